"""TCP connections of asyncio's event loop, driven by its transports themselves.

anyio's streams take task switches, cancel scopes and system calls for each piece. Here what the
kernel takes at once is written by a plain call, and what arrives is kept until it is read.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn, cast

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute

from gossipsub.event_loop import taskless_context
from gossipsub.transport.address import Address
from gossipsub.wake import Wake

READ_BYTES = 65536
"""Most that is read at once."""
UNREAD_BYTES = 262_144
"""Kept for whoever reads; then the kernel keeps the rest, and the peer has to wait."""


class AsyncioSocket(asyncio.BufferedProtocol, ByteStream):
    """One connection. One task at a time may read, and one write.

    `buffer` is what the event loop reads into; all connections of one event loop may share it.
    """

    _transport: asyncio.Transport

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self._chunks: deque[bytes] = deque()
        self.unread_bytes = 0
        """Arrived, and not received yet."""
        self._is_reading = True
        self._take: Callable[[memoryview], None] | None = None
        self._fault: Exception | None = None
        self._readable = Wake()
        self._writable = Wake()
        self._may_write = True
        self._is_ended = False
        self._is_closed = False
        self._failure: Exception | None = None

    # -- what a connection calls -----------------------------------------------------------

    async def receive(self, max_bytes: int = READ_BYTES) -> bytes:
        """What has arrived, at most so much. `anyio.EndOfStream`, `BrokenResourceError` or
        `ClosedResourceError` where nothing more comes."""
        while not self._chunks:
            self._check()
            if self._is_ended:
                raise anyio.EndOfStream
            await self._readable.wait()
        chunk = self._chunks.popleft()
        if len(chunk) > max_bytes:
            self._chunks.appendleft(chunk[max_bytes:])
            chunk = chunk[:max_bytes]
        self.unread_bytes -= len(chunk)
        if not self._is_reading and self.unread_bytes < UNREAD_BYTES:
            self._is_reading = True
            self._transport.resume_reading()
        return chunk

    async def pass_on(self, take: Callable[[bytes | memoryview], None]) -> NoReturn:
        """Call `take` with what arrives, right where the event loop reads it, in this task's
        context: no task is switched to, nothing is copied, and a memoryview is good during the
        call only.

        Raises what `receive` does where nothing more comes, and what `take` raised: it is called
        no more then.
        """
        while self._chunks:
            take(await self.receive())
        context = taskless_context()
        self._take = lambda data: context.run(take, data)
        try:
            while self._fault is None:
                self._check()
                if self._is_ended:
                    raise anyio.EndOfStream
                await self._readable.wait()
            raise self._fault
        finally:
            self._take = None

    def write(self, data: bytes) -> bool:
        """Hand `data` to the kernel. True where it took all of it; else wait until the rest is
        `written` before more is. `anyio.BrokenResourceError`, `ClosedResourceError`."""
        self._check()
        self._transport.write(data)
        return self._may_write

    async def written(self) -> None:
        """Return when the kernel has taken all. Raises what `write` does."""
        while not self._may_write:
            self._check()
            await self._writable.wait()
        self._check()

    async def send(self, item: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        self.write(item)
        await self.written()

    async def send_eof(self) -> None:
        with suppress(OSError):  # it has ended already
            self._transport.write_eof()

    async def aclose(self) -> None:
        """At once: what the kernel has not taken is lost."""
        self._is_closed = True
        self._transport.abort()
        self._readable.set()
        self._writable.set()
        await anyio.lowlevel.checkpoint()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {
            SocketAttribute.local_address: partial(self._end, "sockname"),
            SocketAttribute.remote_address: partial(self._end, "peername"),
        }

    def _end(self, name: str) -> tuple[str, int]:
        end = self._transport.get_extra_info(name)
        if not isinstance(end, tuple):
            raise OSError(errno.ENOTCONN, "the connection has ended")
        host, port, *more = end
        if len(more) == 2 and more[1] and "%" not in host:  # an IPv6 address with its zone
            host = f"{host}%{more[1]}"
        return host, port

    def _check(self) -> None:
        if self._is_closed:
            raise anyio.ClosedResourceError
        if self._failure is not None:
            raise anyio.BrokenResourceError from self._failure

    # -- what the event loop calls ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        take = self._take
        if take is not None:
            try:
                take(self._buffer[:nbytes])
            except Exception as error:
                self._take, self._fault = None, error
                self._readable.set()
            return
        self._chunks.append(bytes(self._buffer[:nbytes]))
        self.unread_bytes += nbytes
        if self.unread_bytes >= UNREAD_BYTES:
            self._is_reading = False
            self._transport.pause_reading()
        self._readable.set()

    def eof_received(self) -> bool:
        self._is_ended = True
        self._readable.set()
        return True  # we may have more to say

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._failure = exc or ConnectionResetError(errno.ECONNRESET, "the connection has ended")
        self._readable.set()
        self._writable.set()


async def connect(host: str, port: int, buffer: memoryview) -> AsyncioSocket:
    """OSError when nobody is there."""
    loop = asyncio.get_running_loop()
    _, connected = await loop.create_connection(partial(AsyncioSocket, buffer), host, port)
    return connected


class AsyncioListener:
    """A listening TCP socket. One task at a time may accept."""

    def __init__(self, address: Address, listening: socket.socket, buffer: memoryview) -> None:
        self.address = replace(address, port=listening.getsockname()[1], peer=None)
        self._socket = listening
        self._buffer = buffer
        self._accepting: anyio.CancelScope | None = None
        self._is_closed = False

    async def accept(self) -> ByteStream:
        if self._is_closed:
            raise anyio.ClosedResourceError
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as self._accepting:
            try:
                accepted, _ = await loop.sock_accept(self._socket)
            finally:
                self._accepting = None
                # A cancelled one goes on listening (bugs.python.org/issue41317).
                with suppress(ValueError, NotImplementedError):
                    loop.remove_reader(self._socket)
        if self._is_closed:
            raise anyio.ClosedResourceError
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        factory = partial(AsyncioSocket, self._buffer)
        _, connected = await loop.connect_accepted_socket(factory, accepted)
        return connected

    async def aclose(self) -> None:
        self._is_closed = True
        if self._accepting is not None:
            self._accepting.cancel()
        try:
            await anyio.lowlevel.checkpoint()  # lets `accept` end before its socket is closed
        finally:
            self._socket.close()
