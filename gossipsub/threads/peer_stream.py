"""A stream as a thread holds it; every method is the one of `gossipsub.PeerStream`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from gossipsub.crypto.peer_id import PeerId
from gossipsub.streams.peer_stream import PeerStream as AsyncPeerStream
from gossipsub.streams.stream_service import StreamFunction
from gossipsub.threads.loop_thread import HostClosed, LoopThread
from gossipsub.wire.errors import LocalProtocolError


class PeerStream:
    """`with host.open_stream(peer, protocol) as stream:` closes it at the end, or resets it when
    an exception leaves the block. A `timeout` is in seconds, and raises TimeoutError."""

    def __init__(self, loop: LoopThread, stream: AsyncPeerStream) -> None:
        self._loop = loop
        self._stream = stream

    @property
    def peer(self) -> PeerId:
        """Who is at the other end."""
        return self._stream.peer

    @property
    def protocol(self) -> str:
        """What both sides agreed on."""
        return self._stream.protocol

    @property
    def opened_by_us(self) -> bool:
        """Whether this host opened it."""
        return self._stream.opened_by_us

    def send(self, data: bytes | bytearray | memoryview, *, timeout: float | None = None) -> None:
        """Send all of `data`; waits while the peer reads too slowly. After a TimeoutError a part
        of it may have been sent."""

        async def send() -> None:
            with anyio.fail_after(timeout):
                await self._stream.send(data)

        self._loop.call(send)

    def receive(self, max_bytes: int = 65536, *, timeout: float | None = None) -> bytes:
        """What has arrived, as soon as there is some; `b""` when the peer has ended its side."""

        async def receive() -> bytes:
            with anyio.fail_after(timeout):
                return await self._stream.receive(max_bytes)

        return self._loop.call(receive)

    def send_eof(self) -> None:
        """Tell the peer that no more comes; receiving goes on."""
        self._loop.call(self._stream.send_eof)

    def close(self) -> None:
        """Be done with it: what was sent still arrives, what comes is thrown away."""
        with suppress(HostClosed):
            self._loop.call(self._stream.close)

    def reset(self) -> None:
        """End it at once, and tell the peer that something went wrong."""
        with suppress(HostClosed):
            self._loop.call(self._stream.reset)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.reset()
        else:
            self.close()


BlockingStreamFunction = Callable[[PeerStream], object]
"""Serves one stream that a peer opened, in a thread of its own."""


def serve_in_threads(
    loop: LoopThread, handler: BlockingStreamFunction, max_streams: int
) -> StreamFunction:
    """A stream handler that calls a plain function in a worker thread for each stream."""
    if not callable(handler):
        kind = type(handler).__name__
        raise LocalProtocolError(f"a stream handler is a function, not of type {kind}")
    threads = anyio.CapacityLimiter(max(max_streams, 1))

    async def serve(stream: AsyncPeerStream) -> None:
        # A host that closes does not wait for it.
        await anyio.to_thread.run_sync(
            handler, PeerStream(loop, stream), limiter=threads, abandon_on_cancel=True
        )

    serve.__qualname__ = getattr(handler, "__qualname__", repr(handler))
    return serve
