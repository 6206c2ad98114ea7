"""The streams of a yamux session: which exist, how much credit each has, what is closed."""

from __future__ import annotations

from dataclasses import dataclass

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.yamux_frame import INITIAL_WINDOW_BYTES, MAX_UINT32, YamuxLimits


@dataclass(slots=True, eq=False)
class YamuxStream:
    """State of one stream; the session moves the bytes and the frames."""

    stream_id: int
    outbound: bool
    receive_credit: int
    """Bytes the peer may still send."""
    send_window: int = INITIAL_WINDOW_BYTES
    """Bytes we may still send."""
    unreturned: int = 0
    """Bytes the application consumed and for which the peer has no new credit yet."""
    acknowledged: bool = False
    read_closed: bool = False
    write_closed: bool = False

    def add_send_credit(self, delta: int) -> bool:
        """Take a window update; True if the stream became writable by it.

        RemoteProtocolError if the window would no longer fit 32 bits.
        """
        before = self.send_window
        if before + delta > MAX_UINT32:
            raise RemoteProtocolError(
                f"window updates of stream {self.stream_id} exceed 32 bits: {before} + {delta}"
            )
        self.send_window = before + delta
        return before == 0 and delta > 0 and not self.write_closed

    def take_consumed(self, count: int, window_bytes: int) -> int:
        """Count what the application consumed; returns the credit to announce now, mostly 0.

        Credit goes back once half the window was consumed: fewer frames, and the peer never runs
        dry while the application keeps up.
        """
        if self.read_closed:
            return 0  # the peer sends no more, credit is of no use to it
        if count < 0 or self.receive_credit + self.unreturned + count > window_bytes:
            raise LocalProtocolError(
                f"stream {self.stream_id} never delivered the {count} bytes reported as consumed"
            )
        self.unreturned += count
        if self.unreturned * 2 < window_bytes:
            return 0
        credit, self.unreturned = self.unreturned, 0
        self.receive_credit += credit
        return credit


class YamuxStreamTable:
    """The open streams by id, within the limits of the session."""

    def __init__(self, limits: YamuxLimits, *, client: bool) -> None:
        self._limits = limits
        self._next_outbound_id = 1 if client else 2
        self._inbound_parity = 0 if client else 1
        self._inbound_count = 0
        self._unacknowledged_count = 0
        self.by_id: dict[int, YamuxStream] = {}

    def obstacle_to_open(self) -> str | None:
        """Why no stream of our own can be opened now; None if one can."""
        limits = self._limits
        if self._next_outbound_id > limits.max_stream_id:
            return "the ids of this session are used up"
        if self._unacknowledged_count >= limits.max_unacknowledged_streams:
            return f"the peer has not acknowledged {self._unacknowledged_count} streams"
        outbound_count = len(self.by_id) - self._inbound_count
        if outbound_count >= limits.max_outbound_streams:
            return f"{outbound_count} of our streams are open"
        return None

    def open(self) -> YamuxStream:
        """Add the next stream of our own; `obstacle_to_open()` must be None."""
        stream = self._add(self._next_outbound_id, outbound=True)
        self._next_outbound_id += 2
        self._unacknowledged_count += 1
        return stream

    def accept(self, stream_id: int, *, closed: bool) -> YamuxStream | None:
        """Add a stream the peer opens; None if we are `closed` or it has as many as it may.

        RemoteProtocolError for an id that is in use or is not the peer's to choose.
        """
        if stream_id == 0 or stream_id % 2 != self._inbound_parity:
            raise RemoteProtocolError(f"the peer opened stream {stream_id}, an id not of its own")
        if stream_id in self.by_id:
            raise RemoteProtocolError(f"the peer opened stream {stream_id} twice")
        if closed or self._inbound_count >= self._limits.max_inbound_streams:
            return None
        self._inbound_count += 1
        return self._add(stream_id, outbound=False)

    def acknowledge(self, stream: YamuxStream) -> None:
        """The peer knows the stream; says nothing new for one of its own."""
        if stream.outbound and not stream.acknowledged:
            stream.acknowledged = True
            self._unacknowledged_count -= 1

    def forget(self, stream: YamuxStream) -> None:
        """The stream is over; whoever still holds it finds it closed."""
        del self.by_id[stream.stream_id]
        stream.read_closed = stream.write_closed = True
        if not stream.outbound:
            self._inbound_count -= 1
        elif not stream.acknowledged:
            self._unacknowledged_count -= 1

    def forget_all(self) -> None:
        for stream in list(self.by_id.values()):
            self.forget(stream)

    def _add(self, stream_id: int, *, outbound: bool) -> YamuxStream:
        stream = YamuxStream(stream_id, outbound, self._limits.receive_window_bytes)
        self.by_id[stream_id] = stream
        return stream
