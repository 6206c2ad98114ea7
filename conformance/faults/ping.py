"""Faults of ping."""

from __future__ import annotations

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.transport import ping_service
from gossipsub.wire.ping import PingResponder


@fault
def ping_answers_what_comes_at_once() -> None:
    def data_to_send(self: PingResponder) -> bytes:
        answer = bytes(self._blocks)
        self._blocks.clear()
        return answer

    replace(PingResponder, "data_to_send", data_to_send)


@fault
def ping_answers_only_once() -> None:
    original = PingResponder.data_to_send

    def data_to_send(self: PingResponder) -> bytes:
        answer = original(self)
        if answer:
            replace(PingResponder, "data_to_send", lambda self: b"")
        return answer

    replace(PingResponder, "data_to_send", data_to_send)


@fault
def a_second_ping_stream_is_refused() -> None:
    replace(ping_service, "MAX_INBOUND", 1)


@fault
def ping_streams_stay_half_open() -> None:
    replace(ping_service._Echo, "ended", lambda self: None)
