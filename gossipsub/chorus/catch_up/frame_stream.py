"""Frames over a stream to one peer: length-prefixed, each with a deadline, all of them counted."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from gossipsub.chorus.catch_up.limits import CatchUpLimits
from gossipsub.streams.peer_stream import PeerStream
from gossipsub.wire.errors import GossipSubError
from gossipsub.wire.framing import FrameReader, encode_frame


class SessionFull(GossipSubError):
    """As many bytes were read as one session may have."""


class FrameStream:
    """One side of a session."""

    def __init__(self, stream: PeerStream, limits: CatchUpLimits, *, max_frame_bytes: int) -> None:
        self._stream = stream
        self._timeout = limits.answer_timeout
        self._reader = FrameReader(max_frame_bytes)
        self._max_bytes = limits.session_bytes
        self.bytes_read = 0
        self._bytes_written = 0

    def has_room_for(self, size: int) -> bool:
        """Whether a frame of that size may still be written."""
        return self._bytes_written + size <= self._max_bytes

    async def read(self) -> bytes | None:
        """The next frame; None when the other side has ended in order.

        TimeoutError when it is not there in time, RemoteProtocolError for a frame that is too
        large or cut short, SessionFull, StreamReset.
        """
        await anyio.lowlevel.checkpoint()  # many small frames may have come at once
        with anyio.fail_after(self._timeout):
            while (frame := self._reader.next_frame()) is None:
                data = await self._stream.receive()
                if not data:
                    self._reader.receive_eof()
                    return None
                self.bytes_read += len(data)
                if self.bytes_read > self._max_bytes:
                    raise SessionFull("as many bytes as a session may have")
                self._reader.receive_data(data)
        return frame

    async def write(self, frame: bytes) -> None:
        """TimeoutError where the other side does not take it in time, StreamReset."""
        self._bytes_written += len(frame)
        with anyio.fail_after(self._timeout):
            await self._stream.send(encode_frame(frame))
