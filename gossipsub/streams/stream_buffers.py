"""What waits on a stream of the application's: bytes to be read, and bytes to be sent.

Both are bounded. Credit goes back for what the application has read, so no more than the stream's
yamux window (256 KiB) can wait to be read.
"""

from __future__ import annotations

from gossipsub.transport.stream import Stream, StreamHandler
from gossipsub.wake import Wake

OUTGOING_BYTES = 65536
"""What may wait to be sent before `send` waits: half of what a stream adds to one write."""


class StreamBuffers(StreamHandler):
    """The handler of one stream: the connection's side of a `PeerStream`."""

    returns_credit_itself = True
    waits_patiently = True

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.readable = Wake()
        self.writable = Wake()
        self.has_ended = False
        """The peer sends no more."""
        self.is_closed = False
        """The application is done with it."""
        self.failure: str | None = None
        """Why it ended before its time."""
        self._incoming = bytearray()
        self._outgoing = bytearray()

    # -- the application's side ------------------------------------------------------------

    def take(self, max_bytes: int) -> bytes:
        """What has arrived, up to so many bytes; the peer may send as many more."""
        with memoryview(self._incoming) as view:
            data = bytes(view[:max_bytes])
        del self._incoming[: len(data)]
        self._grant(len(data))
        return data

    def put(self, data: memoryview) -> int:
        """Take of the data what there is room for; how much that was."""
        taken = min(OUTGOING_BYTES - len(self._outgoing), len(data))
        if taken > 0:
            self._outgoing += data[:taken]
            self.stream.connection.wake_writer(self.stream)
        return max(taken, 0)

    def close(self) -> None:
        """Send what waits, then our end; what the peer still sends is thrown away. From here on
        the peer has `stalled_stream_timeout` to take the one and end the other."""
        self.is_closed = True
        stream = self.stream
        if not stream.is_open:
            return
        self._grant(len(self._incoming))
        self._incoming.clear()
        self.ends_with_receipt = True
        stream.close_write()
        seconds = stream.connection.config.stalled_stream_timeout
        stream.set_deadline(seconds, "the peer does not end a closed stream")
        self._wake_all()

    def reset(self) -> None:
        """End both directions; what waits is lost."""
        self.failure = self.failure or "it was reset here"
        if self._incoming:
            self.has_ended = False  # or what is lost here would look like all there was
        self._incoming.clear()
        self._outgoing.clear()
        self.stream.reset()
        self._wake_all()

    # -- the connection's side -------------------------------------------------------------

    def received(self, data: bytes) -> None:
        if self.is_closed:
            self._grant(len(data))
            return
        self._incoming += data
        self.readable.set()

    def ended(self) -> None:
        self.has_ended = True
        self.readable.set()

    def closed(self) -> None:
        if not (self.has_ended and self.stream.write_closed):
            self.failure = self.failure or self._reason()
        self._wake_all()

    def produce(self, room: int) -> bytes:
        with memoryview(self._outgoing) as view:
            piece = bytes(view[:room])
        del self._outgoing[: len(piece)]
        self.writable.set()
        return piece

    def _grant(self, size: int) -> None:
        if size:
            self.stream.consumed(size)
            self.stream.connection.wake_writer()

    def _reason(self) -> str:
        connection = self.stream.connection
        if not connection.is_open:
            return f"the connection ended: {connection.end_reason}"
        return "the peer reset it"

    def _wake_all(self) -> None:
        self.readable.set()
        self.writable.set()
