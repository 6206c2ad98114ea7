"""One yamux stream of a scripted peer: frames by hand, or bytes with credit respected."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipsub.conformance.scripted_wire import (
    PATIENCE,
    Negotiating,
    WireClosed,
    deadline,
)
from gossipsub.wire.framing import encode_frame
from gossipsub.wire.yamux_frame import (
    ACK,
    DATA,
    FIN,
    INITIAL_WINDOW_BYTES,
    RST,
    SYN,
    WINDOW_UPDATE,
)

if TYPE_CHECKING:
    from gossipsub.conformance.scripted_peer import Frame, ScriptedPeer

PIECE_BYTES = 16384


class ScriptedStream(Negotiating):
    """What the other side did to the stream is in its attributes; nothing is answered by itself
    but what the peer's switches say."""

    def __init__(self, peer: ScriptedPeer, stream_id: int, *, opened_by_us: bool) -> None:
        super().__init__()
        self.peer = peer
        self.stream_id = stream_id
        self.opened_by_us = opened_by_us
        self.protocol: str | None = None
        self.window = INITIAL_WINDOW_BYTES
        """Bytes the other side lets us send."""
        self.received_bytes = 0
        """All payload that ever came."""
        self.credited_bytes = 0
        """All credit that ever came in window updates."""
        self.acknowledged = not opened_by_us
        self.ended = False
        """The other side sent FIN."""
        self.reset_code: int | None = None
        """The other side sent RST, with this code."""
        self._unread = bytearray()

    # -- sending ---------------------------------------------------------------------------

    async def send(self, data: bytes, flags: int = 0) -> None:
        """One data frame, whatever credit there is."""
        self.window -= len(data)
        await self.peer.send_frame(DATA, flags, self.stream_id, len(data), data)

    async def write(self, data: bytes, *, timeout: float = PATIENCE) -> None:
        """In data frames, waiting for credit as it must."""
        offset = 0
        while offset < len(data):
            await self._until(lambda: self.window > 0, "credit", timeout)
            piece = data[offset : offset + min(self.window, PIECE_BYTES)]
            offset += len(piece)
            await self.send(piece)

    async def write_frame(self, body: bytes, *, timeout: float = PATIENCE) -> None:
        """`body` with its length in front."""
        await self.write(encode_frame(body), timeout=timeout)

    async def finish(self) -> None:
        """FIN: we send no more."""
        await self.peer.send_frame(WINDOW_UPDATE, FIN, self.stream_id, 0)

    async def reset(self, code: int = 0) -> None:
        await self.peer.send_frame(WINDOW_UPDATE, RST, self.stream_id, code)

    async def grant(self, size: int, flags: int = 0) -> None:
        """Give the other side credit."""
        await self.peer.send_frame(WINDOW_UPDATE, flags, self.stream_id, size)

    # -- receiving -------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self.reset_code is not None or self.peer.ended

    async def read_exactly(self, size: int, *, timeout: float = PATIENCE) -> bytes:
        """WireClosed where the stream ends before."""
        await self._until(lambda: len(self._unread) >= size or self.ended, f"{size} bytes", timeout)
        if len(self._unread) < size:
            raise WireClosed(f"stream {self.stream_id} ended after {len(self._unread)} bytes")
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    async def read_to_end(self, *, timeout: float = PATIENCE) -> bytes:
        """All that comes until the other side's FIN."""
        await self._until(lambda: self.ended, "FIN", timeout)
        return await self.read_exactly(len(self._unread))

    async def wait_acknowledged(self, *, timeout: float = PATIENCE) -> None:
        await self._until(lambda: self.acknowledged, "ACK", timeout)

    async def wait_received(self, total: int, *, timeout: float = PATIENCE) -> None:
        """Until that much payload came in all, read or not."""
        await self._until(lambda: self.received_bytes >= total, f"{total} bytes", timeout)

    async def wait_reset(self, *, timeout: float = PATIENCE) -> int:
        """The code of the other side's RST. WireClosed where the whole connection ends."""
        what = f"reset of stream {self.stream_id}"
        await self.peer.until(lambda: self.reset_code is not None, what, timeout)
        return self.reset_code or 0

    async def _until(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        with deadline(timeout, f"{what} on stream {self.stream_id}"):
            await self.peer.until(lambda: condition() or self.is_over, what, math.inf)
        if not condition():
            raise WireClosed(f"stream {self.stream_id} is over: code {self.reset_code}")

    def take(self, frame: Frame) -> None:
        """Called by the peer for each frame of the stream."""
        if frame.flags & ACK:
            self.acknowledged = True
        if frame.flags & RST:
            self.reset_code = frame.length if frame.kind == WINDOW_UPDATE else 0
        elif frame.kind == DATA:
            self._unread += frame.body
            self.received_bytes += len(frame.body)
        else:
            self.window += frame.length
            self.credited_bytes += 0 if frame.flags & SYN else frame.length
        if frame.flags & FIN:
            self.ended = True
