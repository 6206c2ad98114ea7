from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from gossipsub.conformance import redis_lists
from gossipsub.conformance.redis_lists import RedisFailed, RedisLists

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def answering(answer: bytes, *, ends: bool = False) -> AsyncIterator[int]:
    """A server that gives this answer to whatever it is sent, in pieces; its port."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            for start in range(0, len(answer), 3):
                await stream.send(answer[start : start + 3])
                await anyio.lowlevel.checkpoint()
            if not ends:
                await anyio.sleep_forever()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


RedisServer = Callable[[], AbstractAsyncContextManager[int]]


async def test_texts_are_popped_as_they_were_pushed(redis_server: RedisServer) -> None:
    async with (
        redis_server() as port,
        RedisLists("127.0.0.1", port) as one,
        RedisLists("127.0.0.1", port) as other,
    ):
        assert one.own_address == "127.0.0.1"
        assert [await one.push("list", text) for text in ("ä b", "")] == [1, 2]
        assert [await other.pop("list", timeout=10) for _ in range(2)] == ["ä b", ""]


async def test_who_pops_waits_for_a_push(redis_server: RedisServer) -> None:
    async with redis_server() as port, anyio.create_task_group() as tasks:
        popped = []

        async def pop() -> None:
            async with RedisLists("127.0.0.1", port) as redis:
                popped.append(await redis.pop("list", timeout=10))

        tasks.start_soon(pop)
        async with RedisLists("127.0.0.1", port) as redis:
            await redis.push("list", "x")
    assert popped == ["x"]


async def test_a_wait_ends_after_its_time(redis_server: RedisServer) -> None:
    async with redis_server() as port, RedisLists("127.0.0.1", port) as redis:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            await redis.pop("list", timeout=0.05)
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("answer", [b"*-1\r\n", b"$-1\r\n"])
async def test_a_server_that_gives_up_waiting_is_a_time_out(answer: bytes) -> None:
    async with answering(answer) as port, RedisLists("127.0.0.1", port) as redis:
        with pytest.raises(TimeoutError, match="nothing in list after 10 s"):
            await redis.pop("list", timeout=10)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"-ERR no\r\n", "BLPOP: ERR no"),
        (b":1\r\n", "BLPOP: no list and text came back: 1"),
        (b"*1\r\n$1\r\na\r\n", "BLPOP: no list and text came back: [b'a']"),
        (b"*3\r\n", "BLPOP: an answer of 3 parts"),
        (b"*2\r\n$1\r\na\r\n:1\r\n", "BLPOP: a part that is no text"),
        (b"*2\r\n$1\r\na\r\n$1048577\r\n", "a text of 1048577 bytes"),
        (b"*2\r\n$1\r\na\r\n$-2\r\n", "a text of -2 bytes"),
        (b"*x\r\n", "no number: b'x'"),
        (b"?\r\n", "BLPOP: an answer that begins with b'?'"),
        (b"$" * 2000, "BLPOP: a line of more than 1024 bytes"),
    ],
)
async def test_what_is_no_answer_is_an_error_and_never_kept(answer: bytes, error: str) -> None:
    async with answering(answer) as port, RedisLists("127.0.0.1", port) as redis:
        with pytest.raises(RedisFailed) as caught:
            await redis.pop("list", timeout=10)
    assert str(caught.value) == error


@pytest.mark.parametrize("answer", [b"", b"*2\r\n", b"*2\r\n$4\r\nab"])
async def test_an_answer_that_ends_early_is_an_error(answer: bytes) -> None:
    async with answering(answer, ends=True) as port, RedisLists("127.0.0.1", port) as redis:
        with pytest.raises(RedisFailed, match="BLPOP: the connection ended"):
            await redis.pop("list", timeout=10)


async def test_a_push_that_nobody_answers_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_lists, "ANSWER_SECONDS", 0.05)
    async with answering(b"") as port, RedisLists("127.0.0.1", port) as redis:
        with pytest.raises(RedisFailed, match=r"RPUSH: no answer after 0\.05 s"):
            await redis.push("list", "x")


async def test_a_push_is_answered_by_a_number() -> None:
    async with answering(b"$2\r\nOK\r\n") as port, RedisLists("127.0.0.1", port) as redis:
        with pytest.raises(RedisFailed, match="RPUSH: no number came back: b'OK'"):
            await redis.push("list", "x")


async def test_where_nobody_listens_is_told() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
    with pytest.raises(RedisFailed, match=rf"no redis at 127\.0\.0\.1:{port}: "):
        async with RedisLists("127.0.0.1", port):
            pass
