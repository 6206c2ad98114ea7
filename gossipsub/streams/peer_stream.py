"""A stream to one peer for a protocol of the application's own."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel

from gossipsub.crypto.peer_id import PeerId
from gossipsub.streams.errors import StreamReset
from gossipsub.streams.stream_buffers import StreamBuffers
from gossipsub.wire.errors import LocalProtocolError


class PeerStream:
    """Bytes in both directions, in order, encrypted and authenticated as all of the connection.

    `async with await host.open_stream(peer, protocol) as stream:` closes it at the end, or resets
    it when an exception leaves the block. Each direction ends by itself: `send_eof` ends ours, and
    `receive` gives `b""` when the peer has ended its own. A stream has no deadlines: put what waits
    for the peer into `anyio.fail_after`. One task at a time may send, and one receive
    (`anyio.BusyResourceError` for others).
    """

    def __init__(self, buffers: StreamBuffers, protocol: str) -> None:
        self._buffers = buffers
        self._protocol = protocol
        self._has_sent_eof = False
        self._sending = anyio.ResourceGuard("sending on")
        self._receiving = anyio.ResourceGuard("receiving from")

    @property
    def peer(self) -> PeerId:
        """Who is at the other end, proved by the connection's handshake."""
        return self._buffers.stream.connection.peer

    @property
    def protocol(self) -> str:
        """What both sides agreed on."""
        return self._protocol

    @property
    def opened_by_us(self) -> bool:
        """Whether this host opened it."""
        return self._buffers.stream.opened_by_us

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`. Waits while the peer reads too slowly: beside what is in its window
        64 KiB wait here.

        StreamReset when the stream ended before its time, LocalProtocolError after `send_eof` or
        `close`. When it is cancelled a part may have been sent: reset the stream then.
        """
        buffers = self._buffers
        rest = memoryview(data).cast("B")
        with self._sending:
            await anyio.lowlevel.checkpoint()
            while True:
                self._require_open()
                if self._has_sent_eof:
                    raise LocalProtocolError("nothing can be sent after send_eof")
                if buffers.failure is not None:
                    raise StreamReset(buffers.failure)
                rest = rest[buffers.put(rest) :]
                if not rest:
                    return
                await buffers.writable.wait()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """What has arrived, at least one byte and at most `max_bytes`, as soon as there is some;
        `b""` when the peer has ended its side.

        StreamReset when the stream ended before its time, LocalProtocolError after `close` or for
        a `max_bytes` below 1. Cancelling it loses nothing.
        """
        if max_bytes < 1:
            raise LocalProtocolError(f"max_bytes is at least 1: {max_bytes}")
        buffers = self._buffers
        with self._receiving:
            await anyio.lowlevel.checkpoint()
            while True:
                self._require_open()
                data = buffers.take(max_bytes)
                if data or buffers.has_ended:
                    return data
                if buffers.failure is not None:
                    raise StreamReset(buffers.failure)
                await buffers.readable.wait()

    async def send_eof(self) -> None:
        """Tell the peer that no more comes; receiving goes on. Harmless when called again."""
        await anyio.lowlevel.checkpoint()
        self._has_sent_eof = True
        self._buffers.stream.close_write()

    async def close(self) -> None:
        """Be done with it: what was sent still arrives, what comes is thrown away. Does not wait
        for the peer. Harmless when called again, or on a stream that has ended."""
        if not self._buffers.is_closed:
            self._buffers.close()
        await anyio.lowlevel.checkpoint()

    def reset(self) -> None:
        """End it at once, and tell the peer that something went wrong; what waits is lost.
        Harmless when called again, or on a stream that has ended."""
        self._buffers.reset()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.reset()
        elif not self._buffers.is_closed:
            self._buffers.close()

    def _require_open(self) -> None:
        if self._buffers.is_closed:
            raise LocalProtocolError("the stream is closed")

    def __repr__(self) -> str:
        return f"PeerStream({self.protocol!r}, peer={self.peer})"
