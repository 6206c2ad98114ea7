from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gossipsub.conformance.interop.scripted_node import node_key
from gossipsub.conformance.interop_node import main, node_number


def test_the_keys_of_nodes_are_the_public_ones() -> None:
    ids = [str(node_key(node).peer_id()) for node in range(10_000)]
    assert ids[0] == "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
    assert ids[1] == "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X"
    text = "".join(f">{node}:{peer}\n" for node, peer in enumerate(ids))
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "11395ea896d00ca25f7f648ebb336488ee092096a5498d90d76b92eaec27867a"
    )


def test_a_node_has_the_number_of_its_host_name() -> None:
    assert [node_number(name) for name in ("node0", "node17", "node3.example")] == [0, 17, 3]


@pytest.mark.parametrize("name", ["node", "nodex", "node-1", "mynode1", "node1x", ""])
def test_another_host_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the host name must be node and a number"):
        node_number(name)


def run_node(params: Path, monkeypatch: pytest.MonkeyPatch, *, name: str = "node0") -> int:
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    return main(["--params", str(params)])


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("vm", '{"script": []}', "interop_node: the host name must be node and a number: 'vm'\n"),
        ("node0", "{}", 'interop_node: FILE: not an object with a list as "script"\n'),
        ("node0", '{"script": [5]}', "interop_node: FILE: instruction 0: must be an object, "),
        ("node0", None, "interop_node: FILE: [Errno 2]"),
    ],
)
def test_a_wrong_script_or_name_ends_with_2(
    name: str,
    text: str | None,
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    params = tmp_path / "params.json"
    if text is not None:
        params.write_text(text)
    assert run_node(params, monkeypatch, name=name) == 2
    assert capsys.readouterr().err.startswith(error.replace("FILE", str(params)))


IN_A_PROCESS = """
import socket, sys
socket.gethostname = lambda: "node3"
from gossipsub.conformance.interop_node import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("script", "flags", "status", "error"),
    [
        ([], [], 0, ""),
        ([], ["--await-start"], 1, "interop_node: the start was called off\n"),
        (
            [{"type": "initGossipSub", "gossipSubParams": {"D": 0.5}}],
            [],
            1,
            "interop_node: InitGossipSub: D: must be a whole number, not 0.5\n",
        ),
    ],
)
def test_the_exit_status_tells_how_the_script_ended(
    script: list[object], flags: list[str], status: int, error: str, tmp_path: Path
) -> None:
    params = tmp_path / "params.json"
    params.write_text(json.dumps({"script": script}))
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, "--params", str(params), *flags],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, error)
    if "InitGossipSub" in error:
        assert done.stdout == ""
        return
    (line,) = done.stdout.splitlines()
    assert '"msg":"PeerID"' in line
    said = json.loads(line)
    assert (said["id"], said["node_id"]) == (str(node_key(3).peer_id()), 3)
