"""Faults of multistream-select."""

from __future__ import annotations

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.transport.connection import Connection
from gossipsub.transport.ping_service import PingService
from gossipsub.transport.stream import NegotiatingInbound, Stream, StreamHandler
from gossipsub.wire import multistream
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.multistream import (
    MAX_PROPOSALS,
    NOT_AVAILABLE,
    MultistreamDialer,
    MultistreamListener,
)
from gossipsub.wire.varint import decode_uvarint


@fault
def a_line_is_counted_without_its_newline() -> None:
    replace(multistream, "_HEADER_LINE", b"\x12/multistream/1.0.0\n")


@fault
def the_header_waits_for_a_proposal() -> None:
    original = MultistreamListener.data_to_send

    def data_to_send(self: MultistreamListener) -> bytes:
        is_asked = self._agreed or self._refusals_left < MAX_PROPOSALS
        return original(self) if is_asked else b""

    replace(MultistreamListener, "data_to_send", data_to_send)


@fault
def a_dialler_waits_for_the_header() -> None:
    original = MultistreamDialer.data_to_send

    def data_to_send(self: MultistreamDialer) -> bytes:
        return original(self) if self._header_seen else b""

    replace(MultistreamDialer, "data_to_send", data_to_send)


@fault
def a_refusal_ends_the_negotiation() -> None:
    original = MultistreamListener._handle_line

    def handle_line(self: MultistreamListener, line: str) -> None:
        self._refusals_left = 0
        original(self, line)

    replace(MultistreamListener, "_handle_line", handle_line)


@fault
def a_dialler_takes_any_answer() -> None:
    original = MultistreamDialer._handle_line

    def handle_line(self: MultistreamDialer, line: str) -> None:
        proposed = self._protocols[self._current]
        original(self, NOT_AVAILABLE if line == NOT_AVAILABLE else proposed)

    replace(MultistreamDialer, "_handle_line", handle_line)


@fault
def any_header_will_do() -> None:
    original = MultistreamListener._next_line

    def next_line(self: MultistreamListener) -> str | None:
        line = original(self)
        if line is None:
            return None
        return line if self._header_seen else multistream.HEADER

    replace(MultistreamListener, "_next_line", next_line)


@fault
def lines_are_not_checked() -> None:
    def next_line(self: MultistreamListener) -> str | None:
        prefix = decode_uvarint(self._received)
        if prefix is None or len(self._received) < sum(prefix):
            return None
        length, start = prefix
        line = bytes(self._received[start : start + length - 1])
        del self._received[: start + length]
        return line.decode()

    replace(MultistreamListener, "_next_line", next_line)


@fault
def a_failed_negotiation_ends_the_connection() -> None:
    original = NegotiatingInbound.received

    def received(self: NegotiatingInbound, data: bytes) -> None:
        try:
            original(self, data)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(str(error)) from error

    def ended(self: NegotiatingInbound) -> None:
        raise RemoteProtocolError("stream ended during negotiation")

    replace(NegotiatingInbound, "received", received)
    replace(NegotiatingInbound, "ended", ended)


@fault
def what_follows_the_agreement_is_lost() -> None:
    replace(MultistreamListener, "surplus", lambda self: b"")


@fault
def ls_ends_the_negotiation() -> None:
    original = MultistreamListener._handle_line

    def handle_line(self: MultistreamListener, line: str) -> None:
        if line == "ls":
            raise RemoteProtocolError("nobody lists protocols")
        original(self, line)

    replace(MultistreamListener, "_handle_line", handle_line)


@fault
def too_many_streams_end_the_connection() -> None:
    original = PingService._accept

    def accept(self: PingService, stream: Stream) -> StreamHandler:
        try:
            return original(self, stream)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(str(error)) from error

    replace(PingService, "_accept", accept)


@fault
def a_half_closed_stream_is_dropped() -> None:
    def stream_ended(self: Connection, stream: Stream) -> None:
        self.reset_stream(stream)

    replace(Connection, "_stream_ended", stream_ended)
