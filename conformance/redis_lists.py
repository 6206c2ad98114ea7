"""As much of a redis client as two processes need to find each other: RPUSH and BLPOP."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream

from gossipsub.wire.errors import GossipSubError

MAX_LINE_BYTES = 1024
MAX_TEXT_BYTES = 1 << 20
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 10.0
"""Until a command that waits for nobody must be answered."""

_Answer = bytes | int | list[bytes] | None


class RedisFailed(GossipSubError):
    """The server cannot be reached, refused a command, or said what is no answer."""


class RedisLists:
    """A connection to a redis server; `async with RedisLists("redis", 6379) as redis`."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._stream: ByteStream | None = None
        self._reader: BufferedByteReceiveStream | None = None

    async def __aenter__(self) -> Self:
        try:
            with anyio.fail_after(CONNECT_SECONDS):
                self._stream = await anyio.connect_tcp(self._host, self._port)
        except OSError as error:  # a TimeoutError is one
            raise RedisFailed(f"no redis at {self._host}:{self._port}: {error}") from error
        self._reader = BufferedByteReceiveStream(self._stream)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            await self._stream.aclose()

    @property
    def own_address(self) -> str:
        """The address of this machine on its way to the server."""
        if self._stream is None:
            raise RedisFailed("the connection is not open")
        return str(self._stream.extra(SocketAttribute.local_address)[0])

    async def push(self, key: str, text: str) -> int:
        """Put a text at the end of a list; how many it has now."""
        answer = await self._command(["RPUSH", key, text], ANSWER_SECONDS)
        if not isinstance(answer, int):
            raise RedisFailed(f"RPUSH: no number came back: {answer!r}")
        return answer

    async def pop(self, key: str, *, timeout: float) -> str:
        """Take the first text of a list. TimeoutError where there is none for `timeout` seconds."""
        whole = max(1, math.ceil(timeout))  # 0 would be for ever
        with anyio.fail_after(timeout):
            answer = await self._command(["BLPOP", key, str(whole)], timeout + ANSWER_SECONDS)
        if answer is None:
            raise TimeoutError(f"nothing in {key} after {timeout:g} s")
        if not isinstance(answer, list) or len(answer) != 2:
            raise RedisFailed(f"BLPOP: no list and text came back: {answer!r}")
        return answer[1].decode(errors="replace")

    async def _command(self, words: Sequence[str], seconds: float) -> _Answer:
        if self._stream is None:
            raise RedisFailed("the connection is not open")
        encoded = [word.encode() for word in words]
        parts = [b"*%d\r\n" % len(encoded)]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded]
        try:
            with anyio.move_on_after(seconds):
                await self._stream.send(b"".join(parts))
                return await self._answer(words[0])
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.IncompleteRead) as error:
            raise RedisFailed(f"{words[0]}: the connection ended") from error
        except anyio.DelimiterNotFound as error:
            raise RedisFailed(f"{words[0]}: a line of more than {MAX_LINE_BYTES} bytes") from error
        raise RedisFailed(f"{words[0]}: no answer after {seconds:g} s")

    async def _answer(self, command: str) -> _Answer:
        kind, rest = await self._line()
        if kind == b"-":
            raise RedisFailed(f"{command}: {rest.decode(errors='replace')}")
        if kind == b":":
            return _whole(rest)
        if kind == b"$":
            return await self._text(rest)
        if kind == b"*":
            count = _whole(rest)
            if count == -1:
                return None
            if not 0 <= count <= 2:
                raise RedisFailed(f"{command}: an answer of {count} parts")
            texts = []
            for _ in range(count):
                kind, rest = await self._line()
                text = await self._text(rest) if kind == b"$" else None
                if text is None:
                    raise RedisFailed(f"{command}: a part that is no text")
                texts.append(text)
            return texts
        raise RedisFailed(f"{command}: an answer that begins with {kind!r}")

    async def _line(self) -> tuple[bytes, bytes]:
        if self._reader is None:
            raise RedisFailed("the connection is not open")
        line = await self._reader.receive_until(b"\r\n", MAX_LINE_BYTES)
        return line[:1], line[1:]

    async def _text(self, size: bytes) -> bytes | None:
        count = _whole(size)
        if count == -1:
            return None
        if not 0 <= count <= MAX_TEXT_BYTES or self._reader is None:
            raise RedisFailed(f"a text of {count} bytes")
        text = await self._reader.receive_exactly(count + 2)
        return text[:-2]


def _whole(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise RedisFailed(f"no number: {text[:40]!r}") from None
