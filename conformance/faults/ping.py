"""Faults of ping."""

from __future__ import annotations

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.wire.ping import PingResponder


@fault
def ping_answers_what_comes_at_once() -> None:
    def data_to_send(self: PingResponder) -> bytes:
        answer = bytes(self._blocks)
        self._blocks.clear()
        return answer

    replace(PingResponder, "data_to_send", data_to_send)
