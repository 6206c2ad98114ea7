"""The status server: what it answers, to whom, and how long it waits."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from gossipsub import Host, LocalProtocolError
from gossipsub.status import StatusServer
from gossipsub.status import answers as answers_module
from gossipsub.status import server as server_module
from gossipsub.status.server import MAX_CONNECTIONS, REQUEST_BYTES

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serving(listen="127.0.0.1:0", **options):
    async with Host() as host, StatusServer(host, listen, **options) as server:
        yield host, server, int(server.url.rstrip("/").rpartition(":")[2])


async def ask(port, request, *, host="127.0.0.1"):
    """All that comes back on the raw request: status, headers, body."""
    async with await anyio.connect_tcp(host, port) as stream:
        with anyio.fail_after(20):
            await stream.send(request)
            return await answer(stream)


async def answer(stream):
    received = b""
    try:
        while True:
            received += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        pass
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]) if status else None, headers, body


def get(path, *headers, host="127.0.0.1"):
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


# -- what it answers


async def test_it_serves_what_agents_say_where_it_is_given():
    said = {"taken_at": 1.5, "threads": [{"name": "Grüße \ud800"}]}
    async with serving(conversation=lambda: said, token="secret") as (_, _, port):
        status, _, body = await ask(port, get("/conversation"))
        assert (status, b"<title>conversation" in body) == (200, True)
        assert b'href="conversation"' in (await ask(port, get("/")))[2]
        status, _, _ = await ask(port, get("/conversation.json"))
        assert status == 401
        status, headers, body = await ask(
            port, get("/conversation.json", "Authorization: Bearer secret")
        )
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {"taken_at": 1.5, "threads": [{"name": "Grüße ?"}]}


async def test_without_a_conversation_there_is_none():
    async with serving() as (_, _, port):
        for path in ("/conversation", "/conversation.json"):
            status, _, body = await ask(port, get(path))
            assert (status, body) == (404, b"there are /, /snapshot.json and /metrics\n")


async def test_it_serves_the_page():
    async with serving() as (_, _, port):
        status, headers, body = await ask(port, get("/"))
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert body.startswith(b"<!doctype html>")
    assert len(body) == int(headers["Content-Length"])


async def test_it_serves_the_snapshot():
    async with serving() as (host, _, port):
        status, headers, body = await ask(port, get("/snapshot.json"))
        assert status == 200
        assert headers["Content-Type"] == "application/json"
        assert json.loads(body)["peer_id"] == str(host.peer_id)


async def test_it_serves_as_many_peers_as_asked_for():
    async with Host() as other, serving() as (host, _, port):
        await host.connect(other.addresses[0])
        _, _, body = await ask(port, get("/snapshot.json?peers=0"))
        assert (json.loads(body)["peers"], json.loads(body)["peers_left_out"]) == ([], 1)
        _, _, body = await ask(port, get("/snapshot.json?peers=999999"))
        assert len(json.loads(body)["peers"]) == 1


async def test_it_serves_no_more_peers_than_it_lets_itself(monkeypatch):
    monkeypatch.setattr(answers_module, "MOST_PEERS", 0)
    async with Host() as other, serving() as (host, _, port):
        await host.connect(other.addresses[0])
        _, _, body = await ask(port, get("/snapshot.json?peers=5"))
        assert (json.loads(body)["peers"], json.loads(body)["peers_left_out"]) == ([], 1)


async def test_it_serves_metrics():
    async with serving() as (_, _, port):
        status, headers, body = await ask(port, get("/metrics"))
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert b"\ngossipsub_connections 0.0\n" in body


async def test_without_prometheus_client_it_says_how_to_get_metrics(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with serving() as (_, _, port):
        assert (await ask(port, get("/metrics")))[::2] == (
            501,
            b"metrics need prometheus_client: pip install gossipsub[metrics]\n",
        )


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/other", 404, b"there are /, /snapshot.json and /metrics\n"),
        ("//", 404, b"there are /, /snapshot.json and /metrics\n"),
        ("/snapshot.json?peers=x", 400, b"the only parameter is peers=NUMBER\n"),
        ("/snapshot.json?peers=1&a=b", 400, b"the only parameter is peers=NUMBER\n"),
        ("http://127.0.0.1/", 404, b"there are /, /snapshot.json and /metrics\n"),
    ],
)
async def test_there_is_nothing_else(path, status, sentence):
    async with serving() as (_, _, port):
        assert (await ask(port, get(path)))[::2] == (status, sentence)


async def test_many_who_ask_at_once_cost_one_snapshot(monkeypatch):
    async with serving() as (_, _, port):
        bodies = []

        async def one():
            bodies.append((await ask(port, get("/snapshot.json")))[2])

        monkeypatch.setattr(answers_module, "FRESH", 1000.0)
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(one)
        assert len(bodies) == 8
        assert len(set(bodies)) == 1
        monkeypatch.setattr(answers_module, "FRESH", 0.0)
        await one()
        assert len(set(bodies)) == 2


# -- to whom


async def test_a_request_by_a_strangers_name_is_refused():
    async with serving(allowed_hosts=["Node.example"]) as (_, _, port):
        for path in ("/", "/snapshot.json", "/metrics"):
            status, _, body = await ask(port, get(path, host="attacker.example"))
            assert (status, b"peer_id" in body) == (421, False)
        assert (await ask(port, get("/", host="node.example:80")))[0] == 200


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "DELETE", "CONNECT"])
async def test_only_get_is_answered(method, caplog):
    async with serving() as (_, _, port):
        request = get("/").replace(b"GET", method.encode())
        status, headers, body = await ask(port, request)
        assert (status, headers["Allow"]) == (405, "GET")
        assert body == (b"" if method == "HEAD" else b"GET alone is answered\n")
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []


async def test_who_sends_a_body_is_not_cut_off_from_the_answer():
    """A socket closed with bytes unread resets the connection."""
    async with serving() as (_, _, port), await anyio.connect_tcp("127.0.0.1", port) as stream:
        head = get("/", "Content-Length: 6000").replace(b"GET", b"POST")
        received = b""
        with anyio.fail_after(20):
            await stream.send(head + bytes(6000))
            with suppress(anyio.EndOfStream):  # and nothing else
                while True:
                    received += await stream.receive()
        assert received.endswith(b"GET alone is answered\n")


async def test_with_a_token_only_the_page_is_for_everybody():
    async with serving(token="s3cret") as (_, _, port):
        assert (await ask(port, get("/")))[0] == 200
        for path in ("/snapshot.json", "/metrics", "/other"):
            for header in ("X: y", "Authorization: Bearer s3cre", "Authorization: Basic s3cret"):
                status, headers, body = await ask(port, get(path, header))
                assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
                assert body == b"the token is missing or wrong\n"
        assert (await ask(port, get("/metrics", "Authorization: bearer s3cret")))[0] == 200


async def test_a_page_of_another_origin_may_not_read_it():
    async with serving() as (_, _, port):
        _, headers, _ = await ask(port, get("/snapshot.json", "Origin: http://attacker.example"))
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_it_warns_where_everybody_can_read_it(caplog):
    async with serving("0.0.0.0:0"):
        pass
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert record.getMessage().startswith("the status is readable by whoever can connect url=")


@pytest.mark.parametrize("options", [{}, {"listen": "0.0.0.0:0", "token": "s3cret"}])
async def test_it_does_not_warn_on_loopback_nor_with_a_token(options, caplog):
    async with serving(**options):
        pass
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


# -- how long it waits


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\r\nHost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_told_so(request_bytes, caplog):
    async with serving() as (_, _, port):
        status, _, body = await ask(port, request_bytes)
        assert (status, body) == (400, b"bad request\n")
        assert (await ask(port, get("/")))[0] == 200
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_a_request_that_never_ends_is_cut_off_by_its_size():
    async with serving() as (_, _, port):
        endless = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 2 * REQUEST_BYTES
        assert (await ask(port, endless))[0] == 431


async def test_a_request_that_comes_too_slowly_is_ended(monkeypatch):
    monkeypatch.setattr(server_module, "REQUEST_TIMEOUT", 0.1)
    async with serving() as (_, _, port):
        assert await ask(port, b"GET / HTTP/1.1\r\nHost: lo") == (None, {}, b"")


async def test_who_takes_no_answer_is_left_alone(monkeypatch):
    monkeypatch.setattr(server_module, "WRITE_TIMEOUT", 0.1)
    huge = answers_module.Answer(200, "text/plain", (bytes(1 << 20),) * 64)

    async def answer_hugely(self, path, query):
        return huge

    monkeypatch.setattr(answers_module.Answers, "to", answer_hugely)
    async with serving() as (_, _, port), await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(get("/"))
        await anyio.sleep(0.5)
        with anyio.fail_after(20):
            _, _, body = await answer(stream)
        assert len(body) < 64 << 20


async def test_idle_connections_leave_no_room_for_more_but_for_a_while_only(monkeypatch):
    monkeypatch.setattr(server_module, "REQUEST_TIMEOUT", 1.0)
    async with serving() as (_, _, port):
        idle = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        await anyio.sleep(0.1)
        try:
            refused = (await ask(port, get("/")))[0]
        except (anyio.BrokenResourceError, OSError):
            refused = None
        assert refused is None
        for stream in idle:
            with anyio.fail_after(20):
                assert (await answer(stream))[0] is None
            await stream.aclose()
        assert (await ask(port, get("/")))[0] == 200


async def test_it_ends_at_once_whoever_is_connected():
    async with Host() as host:
        with anyio.fail_after(20):
            async with StatusServer(host) as server:
                port = int(server.url.rstrip("/").rpartition(":")[2])
                stream = await anyio.connect_tcp("127.0.0.1", port)
                await anyio.sleep(0.05)
            await stream.aclose()
        with pytest.raises(OSError, match=r"."):
            await anyio.connect_tcp("127.0.0.1", port)


async def test_it_ends_with_what_the_application_raises():
    with pytest.raises(KeyError, match="mine"):
        async with serving():
            raise KeyError("mine")


async def test_a_host_that_closes_first_is_told_of(caplog):
    async def serve(host, *, task_status):
        async with StatusServer(host) as server:
            task_status.started(server.url)
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        async with Host() as host:
            url = await tasks.start(serve, host)
        port = int(url.rstrip("/").rpartition(":")[2])
        for path in ("/snapshot.json", "/metrics"):
            assert (await ask(port, get(path)))[::2] == (503, b"the host is closed\n")
        assert (await ask(port, get("/")))[0] == 200
        tasks.cancel_scope.cancel()
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


# -- wrong values


async def test_wrong_values_are_refused_before_anything_is_opened():
    with pytest.raises(LocalProtocolError, match="not HOST:PORT: '8080'"):
        StatusServer(Host(), "8080")
    for token in ("", "ü"):
        with pytest.raises(LocalProtocolError, match="a token is a non-empty ASCII text"):
            StatusServer(Host(), token=token)
    with pytest.raises(LocalProtocolError, match="open the host first"):
        async with StatusServer(Host()):
            pass
    with pytest.raises(LocalProtocolError, match="open the status server first"):
        _ = StatusServer(Host()).url


async def test_it_is_opened_once():
    async with serving() as (_, server, _):
        with pytest.raises(LocalProtocolError, match="opened once"):
            await server.__aenter__()


async def test_a_port_in_use_is_an_error_at_once():
    async with serving() as (host, _, port):
        with pytest.raises(OSError, match=r"."):
            async with StatusServer(host, f"127.0.0.1:{port}"):
                pass


async def test_without_h11_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "h11", None)
    async with Host() as host:
        with pytest.raises(ImportError, match=r"pip install gossipsub\[status\]"):
            async with StatusServer(host):
                pass
