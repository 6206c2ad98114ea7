"""Length-prefixed frames: an unsigned varint, then that many bytes (pubsub, "stream management").

One stream carries frames back to back without padding; each frame holds one RPC.
"""

from __future__ import annotations

from gossipsub.wire.errors import FrameTooLarge, RemoteProtocolError
from gossipsub.wire.varint import decode_uvarint, encode_uvarint


def encode_frame(body: bytes) -> bytes:
    """`body` with its length in front."""
    return encode_uvarint(len(body)) + body


class FrameReader:
    """Cuts a byte stream into frames of at most `max_frame_bytes` (the prefix not counted).

    Keeps what was received and not yet handed out: less than one frame once `next_frame` has
    returned None. Every error is fatal to the stream; after one, the reader ignores further
    input and has no more frames.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        # bytes as received while frames end where chunks end, else a bytearray to append to.
        self._buffer: bytes | bytearray = b""
        self._offset = 0
        self._size: int | None = None  # of the frame at _offset, once its prefix was read
        self._whole: bytes | None = None  # the frame before _offset, where two pieces shared it
        self._eof = False
        self._dead = False

    def receive_data(self, data: bytes) -> None:
        """Take bytes off the stream, in pieces of any size."""
        if self._dead:
            return
        buffer = self._buffer
        if self._offset == len(buffer):
            self._buffer = data
        elif 0 < (missing := self._missing()) <= len(data):
            # Mostly a frame that two pieces share: only what they have of it is copied, once.
            rest = memoryview(buffer)[self._offset :]
            self._whole = b"".join((rest, memoryview(data)[:missing]))
            self._size = None
            self._buffer, self._offset = data, missing
            return
        elif isinstance(buffer, bytearray):
            # Cheap: a bytearray gives up its front without moving the rest.
            del buffer[: self._offset]
            buffer += data
        else:
            joined = bytearray(memoryview(buffer)[self._offset :])
            joined += data
            self._buffer = joined
        self._offset = 0

    def _missing(self) -> int:
        """What the frame at hand lacks; 0 where that is not known."""
        return 0 if self._size is None else self._offset + self._size - len(self._buffer)

    def next_frame(self) -> bytes | None:
        """The next whole frame without its prefix (b"" is a frame too), or None for now.

        Raises FrameTooLarge as soon as the prefix is known, RemoteProtocolError for a prefix
        that is no minimal varint and, after `receive_eof`, for a frame that was cut short.
        """
        if self._whole is not None:
            whole, self._whole = self._whole, None
            return whole
        size = self._size
        if size is None:
            size = self._read_prefix()
        buffer, start = self._buffer, self._offset
        if size is None or start + size > len(buffer):
            if self._eof and self._is_inside_frame():
                raise self._fail(RemoteProtocolError("stream ended inside a frame"))
            return None
        end = self._offset = start + size
        self._size = None
        if isinstance(buffer, bytearray):
            with memoryview(buffer) as view:
                return bytes(view[start:end])
        return buffer[start:end]

    def receive_eof(self) -> None:
        """The peer closed its half; RemoteProtocolError when that cut a frame short.

        Where whole frames still wait they are handed out first, then `next_frame` raises it.
        """
        self._eof = True
        if self._whole is not None:
            return
        if not self._dead and not self._is_frame_whole() and self._is_inside_frame():
            raise self._fail(RemoteProtocolError("stream ended inside a frame"))

    def _is_frame_whole(self) -> bool:
        size = self._read_prefix() if self._size is None else self._size
        return size is not None and len(self._buffer) - self._offset >= size

    def _is_inside_frame(self) -> bool:
        return self._size is not None or self._offset < len(self._buffer)

    def _read_prefix(self) -> int | None:
        """The size of the next frame, which is noted; None where its prefix is not whole."""
        buffer, start = self._buffer, self._offset
        # Nearly all have one or two bytes: those are read here.
        if start == len(buffer):
            return None
        size = buffer[start]
        end = start + 1
        if size > 127:
            high = buffer[end] if end < len(buffer) else 0
            if 0 < high < 128:
                size = size & 0x7F | high << 7
                end += 1
            else:
                try:
                    prefix = decode_uvarint(buffer, start)
                except RemoteProtocolError as error:
                    raise self._fail(RemoteProtocolError(f"frame length: {error}")) from error
                if prefix is None:
                    return None
                size, end = prefix
        if size > self._max_frame_bytes:
            message = f"frame of {size} bytes, at most {self._max_frame_bytes} allowed"
            raise self._fail(FrameTooLarge(message))
        self._offset = end
        self._size = size
        return size

    def _fail(self, error: RemoteProtocolError) -> RemoteProtocolError:
        error.fatal_to = "stream"
        self._dead = True
        self._buffer = b""
        self._offset = 0
        self._size = None
        return error
