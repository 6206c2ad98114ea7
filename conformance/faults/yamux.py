"""Faults of yamux."""

from __future__ import annotations

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.pubsub.sender import RpcSender
from gossipsub.router.effects import SendRpc
from gossipsub.transport.connection import Connection
from gossipsub.transport.ping_service import _Echo
from gossipsub.transport.stream import Stream, StreamHandler
from gossipsub.wire import yamux
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.ping import PROTOCOL
from gossipsub.wire.yamux import YamuxSession
from gossipsub.wire.yamux_frame import (
    ACK,
    DATA,
    GO_AWAY,
    GO_AWAY_INTERNAL_ERROR,
    HEADER,
    INITIAL_WINDOW_BYTES,
    MAX_UINT32,
    PING,
    RST,
    SYN,
    YamuxLimits,
    decode_header,
    encode_header,
)
from gossipsub.wire.yamux_stream import YamuxStream, YamuxStreamTable

Header = tuple[int, int, int, int]


@fault
def frames_have_version_1() -> None:
    def encode(kind: int, flags: int, stream_id: int, length: int) -> bytes:
        return HEADER.pack(1, kind, flags, stream_id, length)

    replace(yamux, "encode_header", encode)


@fault
def headers_are_not_checked() -> None:
    def decode(buffer: bytes, offset: int = 0) -> Header:
        _, kind, flags, stream_id, length = HEADER.unpack_from(buffer, offset)
        return (PING, 0, 0, 0) if kind > GO_AWAY else (kind, flags, stream_id, length)

    replace(yamux, "decode_header", decode)


@fault
def a_goaway_is_not_heard() -> None:
    def decode(buffer: bytes, offset: int = 0) -> Header:
        header = decode_header(buffer, offset)
        return (PING, 0, 0, 0) if header[0] == GO_AWAY else header

    replace(yamux, "decode_header", decode)


@fault
def a_reset_by_data_frame_is_ignored() -> None:
    def decode(buffer: bytes, offset: int = 0) -> Header:
        kind, flags, stream_id, length = decode_header(buffer, offset)
        return kind, flags & ~RST if kind == DATA else flags, stream_id, length

    replace(yamux, "decode_header", decode)


@fault
def resets_are_ignored() -> None:
    def decode(buffer: bytes, offset: int = 0) -> Header:
        kind, flags, stream_id, length = decode_header(buffer, offset)
        return kind, flags & ~RST, stream_id, length

    replace(yamux, "decode_header", decode)


@fault
def a_goodbye_is_an_internal_error() -> None:
    original = YamuxSession.go_away

    def go_away(self: YamuxSession, code: int) -> None:
        original(self, GO_AWAY_INTERNAL_ERROR)

    replace(YamuxSession, "go_away", go_away)


@fault
def a_pong_has_syn_too() -> None:
    def receive_ping(self: YamuxSession, flags: int, value: int) -> None:
        if flags & SYN:
            self._answer(encode_header(PING, SYN | ACK, 0, value))

    replace(YamuxSession, "_receive_ping", receive_ping)


@fault
def a_listener_opens_odd_streams() -> None:
    original = YamuxStreamTable.__init__

    def init(self: YamuxStreamTable, limits: YamuxLimits, *, client: bool) -> None:
        original(self, limits, client=client)
        self._next_outbound_id = 1001  # W's own begin with 1

    replace(YamuxStreamTable, "__init__", init)


@fault
def stream_ids_are_not_checked() -> None:
    original = YamuxStreamTable.accept

    def accept(self: YamuxStreamTable, stream_id: int, *, closed: bool) -> YamuxStream | None:
        if stream_id == 0 or stream_id % 2 != self._inbound_parity:
            return None
        return original(self, stream_id, closed=closed)

    replace(YamuxStreamTable, "accept", accept)


@fault
def streams_may_open_twice() -> None:
    original = YamuxStreamTable.accept

    def accept(self: YamuxStreamTable, stream_id: int, *, closed: bool) -> YamuxStream | None:
        if stream_id in self.by_id:
            return None
        return original(self, stream_id, closed=closed)

    replace(YamuxStreamTable, "accept", accept)


@fault
def too_many_opened_streams_end_the_session() -> None:
    original = YamuxStreamTable.accept

    def accept(self: YamuxStreamTable, stream_id: int, *, closed: bool) -> YamuxStream | None:
        if self._inbound_count >= self._limits.max_inbound_streams:
            raise RemoteProtocolError("too many streams")
        return original(self, stream_id, closed=closed)

    replace(YamuxStreamTable, "accept", accept)


@fault
def streams_are_not_acknowledged() -> None:
    original = YamuxSession._greeting

    def greeting(self: YamuxSession, flag: int, stream_id: int) -> bytes:
        return original(self, flag & ~ACK, stream_id)

    replace(YamuxSession, "_greeting", greeting)


@fault
def frames_of_unknown_streams_end_the_session() -> None:
    original = YamuxSession._begin_body

    def begin_body(
        self: YamuxSession,
        stream: YamuxStream | None,
        stream_id: int,
        length: int,
        *,
        is_last: bool,
    ) -> None:
        if stream is None:
            raise RemoteProtocolError("an unknown stream")
        original(self, stream, stream_id, length, is_last=is_last)

    replace(YamuxSession, "_begin_body", begin_body)


@fault
def overruns_are_taken() -> None:
    original = YamuxSession._begin_body

    def begin_body(
        self: YamuxSession,
        stream: YamuxStream | None,
        stream_id: int,
        length: int,
        *,
        is_last: bool,
    ) -> None:
        overruns = stream is not None and length > stream.receive_credit
        known = None if overruns else stream
        original(self, known, stream_id, 0 if overruns else length, is_last=is_last)
        self._body_left = length

    replace(YamuxSession, "_begin_body", begin_body)


@fault
def the_first_window_is_512_kib() -> None:
    original = YamuxStreamTable._add

    def add(self: YamuxStreamTable, stream_id: int, *, outbound: bool) -> YamuxStream:
        stream = original(self, stream_id, outbound=outbound)
        stream.send_window = 2 * INITIAL_WINDOW_BYTES
        return stream

    replace(YamuxStreamTable, "_add", add)


@fault
def credit_is_never_returned() -> None:
    replace(YamuxStream, "take_consumed", lambda self, count, window_bytes: 0)


@fault
def a_window_may_wrap() -> None:
    def add_send_credit(self: YamuxStream, delta: int) -> bool:
        before = self.send_window
        self.send_window = (before + delta) & MAX_UINT32
        return before == 0 and delta > 0

    replace(YamuxStream, "add_send_credit", add_send_credit)


@fault
def credit_returns_before_bytes_are_used() -> None:
    def produce(self: _Echo, room: int) -> bytes:
        return self._responder.data_to_send()

    replace(_Echo, "returns_credit_itself", False)
    replace(_Echo, "produce", produce)


@fault
def a_blocked_stream_blocks_all() -> None:
    original = Connection._gather

    def waits(stream: Stream) -> bool:
        session = stream.connection.session
        return stream.has_unsent and not session.send_window(stream.stream_id)

    def gather(self: Connection) -> None:
        blocked = [each for each in self.streams.values() if waits(each)]
        if blocked:
            self._writable = dict.fromkeys(blocked)
        original(self)

    replace(Connection, "_gather", gather)


@fault
def a_timeout_of_a_stream_ends_the_connection() -> None:
    def stream_deadline_passed(self: Connection, stream: Stream, reason: str) -> None:
        self.abort(reason)

    replace(Connection, "stream_deadline_passed", stream_deadline_passed)


@fault
def unanswered_pings_are_forgotten() -> None:
    original = Connection._ping

    def expect_life(self: Connection) -> None:
        """Begin early: nobody waits half a minute for a fault to show."""
        if self._ping_value < 2:
            self._keepalive = self.timers.after(0.5, lambda: self._ping())

    def ping(self: Connection) -> None:
        original(self)
        self._expect_nothing()
        self._expect_life()

    replace(Connection, "_expect_life", expect_life)
    replace(Connection, "_ping", ping)


@fault
def a_stream_is_opened_for_each_rpc() -> None:
    original = RpcSender.send

    def send(self: RpcSender, effect: SendRpc) -> None:
        original(self, effect)
        for connection in self._pubsub.peers[effect.peer].connections[:1]:
            connection.open_stream([PROTOCOL], lambda stream: StreamHandler(), lambda: None)

    replace(RpcSender, "send", send)


@fault
def nothing_is_said_before_an_ack() -> None:
    original = Stream.pump

    def pump(self: Stream, room: int) -> None:
        known = self.connection.session._table.by_id.get(self.stream_id)
        if known is None or not known.outbound or known.acknowledged:
            original(self, room)

    replace(Stream, "pump", pump)
