"""`gossipsub top`."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from rich.console import Console

from gossipsub.cli import top

HOSTILE = "<b>[red]agent\x1b]0;owned\x07\n\u202etxt"


def snapshot(*, uptime: float = 10.0, more: int = 0) -> dict[str, Any]:
    """What a node with one peer in one topic gives; `more` has happened since the first."""
    connection = {"bytes_in": 1000 + 40 * more, "bytes_out": 2000 + 60_000 * more}
    return {
        "format": 1,
        "peer_id": "12D3KooWNode",
        "measurements": {
            "uptime": uptime,
            "protocols": {"/meshsub/1.2.0": 1},
            "bytes_in": 1000 + 40 * more,
            "bytes_out": 2000 + 60_000 * more,
            "statistics": {
                "delivered": 5 + 10 * more,
                "published": 0,
                "duplicates": 3,
                "validation_waiting": 7,
                "rpc_dropped": 2,
            },
            "counts": {
                "topics": {"news": {"accepted": 5 + 10 * more, "duplicates": 3, "published": 0}}
            },
        },
        "topics": [
            {
                "name": "news",
                "peers": 1,
                "mesh": ["12D3KooWPeer"],
                "subscriptions": [{"delivered": 5, "dropped": 4, "waiting": 0}],
            },
            {"name": HOSTILE, "peers": 0, "mesh": None, "subscriptions": []},
        ],
        "peers": [
            {
                "info": {"peer": "12D3KooWPeer", "agent_version": HOSTILE, "address": None},
                "score": -1.25,
                "meshes": ["news"],
                "connections": [connection],
                "queue_rpcs": 3,
            }
        ],
    }


class Node:
    """Serves snapshots one after the other."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[tuple[str, str | None]] = []
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                node.asked.append((self.path, self.headers["Authorization"]))
                status, body = node.answers.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_port}"

    def gives(self, *snapshots: object) -> None:
        self.answers += [(200, json.dumps(each).encode()) for each in snapshots]


@pytest.fixture
def node() -> Iterator[Node]:
    served = Node()
    thread = Thread(target=lambda: served.server.serve_forever(poll_interval=0.01))
    thread.start()
    yield served
    served.server.shutdown()
    thread.join()
    served.server.server_close()


def shown(now: top.Snapshot, before: top.Snapshot | None) -> str:
    console = Console(file=io.StringIO(), width=140, color_system=None)
    console.print(top.render(now, before))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_rates_are_between_two_snapshots() -> None:
    text = shown(snapshot(uptime=12.0, more=1), snapshot())
    title, totals, *rows = text.splitlines()
    assert title.split() == ["12D3KooWNode", "up", "12", "s"]
    assert "peers 1  delivered/s 5.0  published/s 0.0  duplicates/s 0.0" in totals
    assert "in/s 20.0B  out/s 30.0kB  validating 7  dropped 2" in totals
    by_first = {row.split()[0]: row.split() for row in rows}
    assert by_first["news"] == ["news", "1", "1", "5.0", "0.0", "0.0", "4"]
    assert by_first["12*oWPeer"][1:6] == ["-1.2", "1", "20.0", "30.0k", "3"]


@pytest.mark.parametrize(
    "before",
    [None, snapshot(uptime=12.0), {**snapshot(), "peer_id": "other"}, snapshot(more=2)],
    ids=["none", "same time", "another node", "began anew"],
)
def test_without_a_snapshot_before_there_are_no_rates(before: top.Snapshot | None) -> None:
    now = snapshot(uptime=12.0, more=1)
    assert "delivered/s -  published/s" in shown(now, before)


def test_what_peers_say_of_themselves_does_nothing_to_a_terminal() -> None:
    text = shown(snapshot(), None)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "<b>[red]agent\\x1b]0;own" in text


def test_snapshots_as_json_are_one_a_line(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.gives(snapshot())
    assert top.main([node.place, "--json", "--once", "--token", "s3cret", "--peers", "7"]) == 0
    assert node.asked == [("/snapshot.json?peers=7", "Bearer s3cret")]
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == snapshot()


def test_once_takes_two_looks(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.gives(snapshot(), snapshot(uptime=12.0, more=1))
    assert top.main([f"http://{node.place}/#token=x", "--once", "-n", "1"]) == 0
    assert [path for path, _ in node.asked] == ["/snapshot.json?peers=50"] * 2
    assert "delivered/s 5.0" in capsys.readouterr().out


WRONG_ANSWERS: dict[str, tuple[int, bytes, str]] = {
    "status": (401, b"the token is missing or wrong\n\x1b[31m", "401: the token is missing"),
    "no_json": (200, b"<html>", "Expecting value"),
    "other_json": (200, b"[]", "this is no snapshot that this version can read"),
    "other_format": (200, b'{"format": 2}', "this is no snapshot that this version can read"),
}


@pytest.mark.parametrize(("status", "body", "said"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_a_node_that_gives_none_is_told_in_a_sentence(
    node: Node, status: int, body: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    node.answers.append((status, body))
    assert top.main([node.place, "--once"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"gossipsub top: {node.place}: {said}")
    assert "\x1b" not in told


def test_a_node_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert top.main(["127.0.0.1:1", "--once"]) == 1
    assert capsys.readouterr().err == "gossipsub top: 127.0.0.1:1: Connection refused\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"\x13/multistream/1.0.0\n", "\\x13/multistream/1.0.0"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", "IncompleteRead"),
    ],
)
def test_what_speaks_no_http_is_told_in_a_sentence(
    answer: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(answer)

    listener = socket.create_server(("127.0.0.1", 0))
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    thread = Thread(target=serve)
    thread.start()
    assert top.main([place, "--once"]) == 1
    thread.join()
    assert capsys.readouterr().err.startswith(f"gossipsub top: {place}: {said}")


@pytest.mark.parametrize("place", ["127.0.0.1:abc", "[::1", "a b:1"])
def test_what_is_no_place_is_told_in_a_sentence(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert top.main([place, "--once"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"gossipsub top: {place}: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["a:1", "-n", "0.5"], ["a:1", "-n", "x"], ["a:1", "b"]])
def test_a_wrong_call_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        top.main(arguments)
    assert "usage: gossipsub top" in capsys.readouterr().err


def test_without_rich_json_still_works(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("rich", "rich.console", "rich.live", "rich.text", "rich.table"):
        monkeypatch.setitem(sys.modules, name, None)
    node.gives(snapshot())
    assert top.main([node.place, "--once"]) == 1
    assert capsys.readouterr().err == "gossipsub top: needs rich: pip install gossipsub[cli]\n"
    node.gives(snapshot())
    assert top.main([node.place, "--json", "--once"]) == 0


def test_ctrl_c_ends_it(node: Node) -> None:
    node.gives(*[snapshot()] * 30)
    command = [sys.executable, "-m", "gossipsub", "top", node.place, "--json", "-n", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == snapshot()
        process.send_signal(2)
        assert process.wait(20) == 130
