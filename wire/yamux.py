"""A yamux session over bytes (yamux specification /yamux/1.0.0, with go-yamux's RST codes)."""

from __future__ import annotations

from collections import deque

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.yamux_events import (
    GoneAway,
    PingAnswered,
    StreamData,
    StreamEnded,
    StreamOpened,
    StreamReset,
    StreamWritable,
    YamuxEvent,
)
from gossipsub.wire.yamux_frame import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    GO_AWAY_INTERNAL_ERROR,
    GO_AWAY_NORMAL,
    GO_AWAY_PROTOCOL_ERROR,
    HEADER_BYTES,
    INITIAL_WINDOW_BYTES,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
    YamuxLimits,
    decode_header,
    encode_header,
)
from gossipsub.wire.yamux_stream import YamuxStream, YamuxStreamTable

__all__ = [
    "GO_AWAY_INTERNAL_ERROR",
    "GO_AWAY_NORMAL",
    "GO_AWAY_PROTOCOL_ERROR",
    "GoneAway",
    "PingAnswered",
    "StreamData",
    "StreamEnded",
    "StreamOpened",
    "StreamReset",
    "StreamWritable",
    "YamuxEvent",
    "YamuxLimits",
    "YamuxSession",
]

_PEER_WENT_AWAY = "the peer ended the session"


class YamuxSession:
    """One end of a multiplexed connection; `client` is the side that dialled.

    After `receive_data()` take every `next_event()`, and after any call send `data_to_send()`.
    What arrives is understood at once: a stream that the peer reset is gone (`send_window()` is
    0) even while its `StreamReset` waits behind other events, and events that were waiting when
    you called `reset()` are still handed out; ignore those of streams you no longer know.

    Nothing is buffered but an incomplete header: bodies are handed out as they arrive. A stream
    is forgotten when both sides closed it or one reset it. Time-outs are the owner's: `ping()`
    regularly, and `reset()` what never ends (a stream we closed that the peer never closes
    occupies its place until then).
    """

    def __init__(self, *, client: bool, limits: YamuxLimits | None = None) -> None:
        self._limits = limits if limits is not None else YamuxLimits()
        self._table = YamuxStreamTable(self._limits, client=client)
        self._going_away: str | None = None
        self._error: RemoteProtocolError | None = None
        self._pings_in_flight: dict[int, None] = {}
        self._events: deque[YamuxEvent] = deque()
        self._just_over: dict[int, None] = {}  # ended by the peer in what still waits there
        # Input: at most one of an incomplete header and an incomplete body.
        self._partial_header = b""
        self._body_left = 0
        self._body_stream: YamuxStream | None = None
        self._body_is_last = False
        # Output.
        self._urgent = bytearray()  # pongs, credit, SYN, ACK: may overtake any data
        self._ordered: list[bytes | memoryview] = []  # data, and what must not overtake it
        self._queued_pongs = 0

    def open_stream(self) -> int:
        """Open a stream and announce it at once; returns its id (odd for the client, else even).

        LocalProtocolError when `can_open_stream()` is False.
        """
        obstacle = self._going_away or self._table.obstacle_to_open()
        if obstacle is not None:
            raise LocalProtocolError(f"cannot open a stream: {obstacle}")
        stream = self._table.open()
        self._urgent += self._greeting(SYN, stream.stream_id)
        return stream.stream_id

    def can_open_stream(self) -> bool:
        """Whether `open_stream()` would succeed now; what the peer sends may change it."""
        return self._going_away is None and self._table.obstacle_to_open() is None

    def stream_count(self) -> int:
        """Streams, of either side, that are not yet over."""
        return len(self._table.by_id)

    def send_window(self, stream_id: int) -> int:
        """Bytes `send_data()` takes now; 0 for a stream that is closed for writing, or unknown."""
        stream = self._table.by_id.get(stream_id)
        if stream is None or stream.write_closed:
            return 0
        return stream.send_window

    def send_data(self, stream_id: int, data: bytes) -> None:
        """Queue bytes of a stream. LocalProtocolError if they exceed its `send_window()`."""
        stream = self._table.by_id.get(stream_id)
        if stream is None or stream.write_closed:
            raise LocalProtocolError(f"stream {stream_id} is closed for writing")
        length = len(data)
        if length > stream.send_window:
            raise LocalProtocolError(
                f"{length} bytes exceed the window of stream {stream_id}: {stream.send_window}"
            )
        stream.send_window -= length
        limit = self._limits.max_frame_bytes
        if 0 < length <= limit:
            self._ordered.append(encode_header(DATA, 0, stream_id, length))
            self._ordered.append(data)
            return
        rest = memoryview(data)
        while rest:
            piece, rest = rest[:limit], rest[limit:]
            self._ordered.append(encode_header(DATA, 0, stream_id, len(piece)))
            self._ordered.append(piece)

    def close_write(self, stream_id: int) -> None:
        """Close our writing side after the data queued so far; harmless if it is closed."""
        stream = self._table.by_id.get(stream_id)
        if stream is None or stream.write_closed:
            return
        self._ordered.append(encode_header(WINDOW_UPDATE, FIN, stream_id, 0))
        stream.write_closed = True
        if stream.read_closed:
            self._table.forget(stream)

    def reset(self, stream_id: int, error_code: int = 0) -> None:
        """End both directions of a stream; harmless if it is over. The code has 32 bits."""
        stream = self._table.by_id.get(stream_id)
        if stream is not None:
            self._ordered.append(encode_header(WINDOW_UPDATE, RST, stream_id, error_code))
            self._table.forget(stream)

    def consumed(self, stream_id: int, count: int) -> None:
        """The application took `count` bytes of the stream; credit follows per half window.

        Harmless for a stream that is over. LocalProtocolError for more than was delivered.
        """
        stream = self._table.by_id.get(stream_id)
        if stream is not None:
            credit = stream.take_consumed(count, self._limits.receive_window_bytes)
            if credit:
                self._urgent += encode_header(WINDOW_UPDATE, 0, stream_id, credit)

    def ping(self, value: int) -> None:
        """Ask the peer for a `PingAnswered(value)`; `value` has 32 bits.

        LocalProtocolError if it is in flight already, too many are, or the session is dead.
        """
        if self._error is not None:
            raise LocalProtocolError("cannot ping: the peer broke the protocol")
        if value in self._pings_in_flight:
            raise LocalProtocolError(f"cannot ping: {value} is in flight")
        if len(self._pings_in_flight) >= self._limits.max_pings_in_flight:
            raise LocalProtocolError(f"cannot ping: {len(self._pings_in_flight)} are in flight")
        self._urgent += encode_header(PING, SYN, 0, value)
        self._pings_in_flight[value] = None

    def go_away(self, code: int = GO_AWAY_NORMAL) -> None:
        """Tell the peer, after all that is queued, that the session ends; 32 bits of reason.

        No stream is opened any more by either side; those that exist go on, but go and rust end
        the connection on receipt. Harmless on a dead session, which has said so already.
        """
        if self._error is None:
            self._ordered.append(encode_header(GO_AWAY, 0, 0, code))
            self._going_away = "we ended the session"

    @property
    def has_output(self) -> bool:
        """Whether `data_to_send()` would give anything."""
        return bool(self._ordered or self._urgent)

    def data_to_send(self) -> bytes:
        """Everything queued, control frames first; the queues are empty afterwards."""
        if not self.has_output:
            return b""
        queued = b"".join((self._urgent, *self._ordered))
        self._urgent.clear()
        self._ordered.clear()
        self._queued_pongs = 0
        return queued

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer; anything wrong with them is raised by `next_event()`."""
        if self._error is not None:
            return
        try:
            self._read_frames(data)
        except RemoteProtocolError as error:
            self._fail(error)

    def receive_eof(self) -> None:
        """The peer sends no more; all streams are over. Events that wait stay available.

        RemoteProtocolError if it stopped inside a frame.
        """
        self._table.forget_all()
        self._going_away = "the connection has ended"
        if self._error is None and (self._partial_header or self._body_left):
            raise RemoteProtocolError("the connection ended inside a yamux frame")

    def next_event(self) -> YamuxEvent | None:
        """The next event, None if there is none now.

        RemoteProtocolError, after the last event, once the peer broke the protocol: the session
        is dead, `data_to_send()` holds a GoAway, and every further call raises the same.
        """
        if self._events:
            return self._events.popleft()
        if self._just_over:
            self._just_over.clear()
        if self._error is not None:
            raise self._error
        return None

    def _read_frames(self, data: bytes) -> None:
        if self._partial_header:
            data = self._partial_header + data
        offset = self._take_body(data, 0) if self._body_left else 0
        end = len(data)
        streams = self._table.by_id
        while end - offset >= HEADER_BYTES:
            kind, flags, stream_id, length = decode_header(data, offset)
            offset += HEADER_BYTES
            if kind <= WINDOW_UPDATE:
                if flags:
                    reset_code = length if kind == WINDOW_UPDATE else 0
                    stream = self._apply_flags(flags, stream_id, reset_code)
                else:
                    stream = streams.get(stream_id)
                if kind == DATA:
                    self._begin_body(stream, stream_id, length, is_last=flags & FIN != 0)
                    if length:
                        offset = self._take_body(data, offset)
                elif stream is not None:
                    if stream.add_send_credit(length):
                        self._events.append(StreamWritable(stream_id))
                    if flags & FIN:
                        self._end_reading(stream)
            elif kind == PING:
                self._receive_ping(flags, length)
            elif self._going_away != _PEER_WENT_AWAY:
                self._going_away = _PEER_WENT_AWAY
                self._events.append(GoneAway(length))
        self._partial_header = data[offset:]

    def _apply_flags(self, flags: int, stream_id: int, reset_code: int) -> YamuxStream | None:
        """Apply SYN, ACK and RST; returns the stream, None if none is left to speak of.

        All may come on either kind of frame and together.
        """
        stream = self._accept(stream_id) if flags & SYN else self._table.by_id.get(stream_id)
        if stream is None:
            return None
        if flags & ACK:
            self._table.acknowledge(stream)
        if flags & RST:
            self._forget(stream)
            self._events.append(StreamReset(stream_id, reset_code))
            return None
        return stream

    def _accept(self, stream_id: int) -> YamuxStream | None:
        """Acknowledge a new stream of the peer at once, or reset it where it finds no room, or
        takes the id of a stream that ended a moment ago.

        At once, as a peer stops opening after 256 streams that nobody acknowledged.
        """
        # Where events of an ended stream wait, the owner could not tell them from a new one's.
        refused = self._going_away is not None or stream_id in self._just_over
        stream = self._table.accept(stream_id, closed=refused)
        if stream is None:
            self._answer(encode_header(WINDOW_UPDATE, RST, stream_id, 0))
        else:
            self._answer(self._greeting(ACK, stream_id))
            self._events.append(StreamOpened(stream_id))
        return stream

    def _begin_body(
        self, stream: YamuxStream | None, stream_id: int, length: int, *, is_last: bool
    ) -> None:
        """Charge a data frame to the credit of its stream before its body is looked at.

        The body of a stream that is over, or was refused, is drained: it may have been under
        way. But no stream ever has more credit than one window, so a longer one is an overrun.
        """
        credit = self._limits.receive_window_bytes if stream is None else stream.receive_credit
        if length > credit:
            raise RemoteProtocolError(
                f"{length} bytes on stream {stream_id} overrun its credit of {credit}"
            )
        if stream is not None:
            stream.receive_credit -= length
            if is_last and not length:
                self._end_reading(stream)
        self._body_stream = stream
        self._body_left = length
        self._body_is_last = is_last

    def _take_body(self, data: bytes, offset: int) -> int:
        """Hand out what is there of the body; returns the offset behind it."""
        stop = min(offset + self._body_left, len(data))
        self._body_left -= stop - offset
        stream = self._body_stream
        if stream is not None and not stream.read_closed:
            if stop > offset:
                self._events.append(StreamData(stream.stream_id, data[offset:stop]))
            if self._body_is_last and not self._body_left:
                self._end_reading(stream)
        return stop

    def _end_reading(self, stream: YamuxStream) -> None:
        if stream.read_closed:
            return
        stream.read_closed = True
        self._events.append(StreamEnded(stream.stream_id))
        if stream.write_closed:
            self._forget(stream)

    def _forget(self, stream: YamuxStream) -> None:
        """The peer ended a stream of which the owner still has events to take."""
        self._table.forget(stream)
        self._just_over[stream.stream_id] = None

    def _receive_ping(self, flags: int, value: int) -> None:
        if flags & SYN:
            if self._queued_pongs < self._limits.max_queued_pongs:
                self._queued_pongs += 1
                self._answer(encode_header(PING, ACK, 0, value))
        elif flags & ACK and value in self._pings_in_flight:
            del self._pings_in_flight[value]
            self._events.append(PingAnswered(value))

    def _greeting(self, flag: int, stream_id: int) -> bytes:
        """The window update that opens or acknowledges a stream, with what credit is above 256 KiB.

        Always sent at once, even with no credit to give, so that the peer sees the stream.
        """
        extra = self._limits.receive_window_bytes - INITIAL_WINDOW_BYTES
        return encode_header(WINDOW_UPDATE, flag, stream_id, extra)

    def _answer(self, header: bytes) -> None:
        """Queue what the peer made us say, within a bound: it may write for ever and never read."""
        if len(self._urgent) + len(header) > self._limits.max_queued_answer_bytes:
            raise RemoteProtocolError(
                f"the peer left {len(self._urgent)} bytes of yamux control frames unread"
            )
        self._urgent += header

    def _fail(self, error: RemoteProtocolError) -> None:
        self._error = error
        self._going_away = "the peer broke the protocol"
        self._table.forget_all()
        self._partial_header = b""
        self._urgent.clear()
        self._ordered.clear()
        self._ordered.append(encode_header(GO_AWAY, 0, 0, GO_AWAY_PROTOCOL_ERROR))
