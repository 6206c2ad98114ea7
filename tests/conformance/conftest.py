"""A redis server of two commands, for the nodes that find each other by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream


class _Lists:
    def __init__(self) -> None:
        self._lists: dict[bytes, list[bytes]] = {}
        self._pushed = anyio.Condition()

    async def serve(self, stream: SocketStream) -> None:
        reader = BufferedByteReceiveStream(stream)
        async with stream:
            try:
                while True:
                    await stream.send(await self._answer(await self._command(reader)))
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                return

    async def _command(self, reader: BufferedByteReceiveStream) -> list[bytes]:
        count = await reader.receive_until(b"\r\n", 100)
        words = []
        for _ in range(int(count[1:])):
            size = await reader.receive_until(b"\r\n", 100)
            words.append((await reader.receive_exactly(int(size[1:]) + 2))[:-2])
        return words

    async def _answer(self, words: list[bytes]) -> bytes:
        name, key, rest = words
        async with self._pushed:
            texts = self._lists.setdefault(key, [])
            if name == b"RPUSH":
                texts.append(rest)
                self._pushed.notify_all()
                return b":%d\r\n" % len(texts)
            assert name == b"BLPOP"
            assert int(rest) > 0
            while not texts:
                await self._pushed.wait()
            text = texts.pop(0)
        return b"*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key, len(text), text)


@asynccontextmanager
async def _serve() -> AsyncIterator[int]:
    lists = _Lists()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, lists.serve)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@pytest.fixture
def redis_server() -> Callable[[], AbstractAsyncContextManager[int]]:
    """`async with redis_server() as port`."""
    return _serve
