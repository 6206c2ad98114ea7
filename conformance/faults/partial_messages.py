"""Faults with partial messages."""

from __future__ import annotations

from collections.abc import Mapping

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.announce import Announcements
from gossipsub.router.extension.partial import PartialMessages
from gossipsub.router.peers import Peer
from gossipsub.wire.rpc import SubOpts


@fault
def parts_are_not_spoken_of() -> None:
    def option(self: Announcements, topic: str, subscribe: bool) -> SubOpts:
        return SubOpts(topic, subscribe)

    replace(Announcements, "_option", option)


@fault
def full_messages_are_for_all() -> None:
    replace(PartialMessages, "requesting", lambda self, topic: {})


@fault
def who_requests_parts_gets_nothing_else() -> None:
    original = PartialMessages.__init__

    def note_flags(self: PartialMessages, peer: Peer, option: SubOpts) -> None:
        if option.requests_partial:
            peer.partial[option.topic] = True

    def requesting(self: PartialMessages, topic: str) -> Mapping[bytes, None]:
        return {p.id: None for p in self._peers.audience(topic) if p.partial.get(topic)}

    def __init__(self: PartialMessages, *args: object, **parts: object) -> None:
        original(self, *args, **parts)  # type: ignore[arg-type]
        self.is_on = True

    replace(PartialMessages, "note_flags", note_flags)
    replace(PartialMessages, "requesting", requesting)
    replace(PartialMessages, "__init__", __init__)


@fault
def idontwant_is_for_those_that_send_parts() -> None:
    replace(PartialMessages, "serving", lambda self, topic: {})
