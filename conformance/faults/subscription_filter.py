"""Faults of what peers may subscribe to."""

from __future__ import annotations

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.peers import Peer, PeerTable


@fault
def only_plain_names_are_topics() -> None:
    original = PeerTable.subscribe

    def subscribe(self: PeerTable, peer: Peer, topic: str) -> bool:
        return topic.isalnum() and original(self, peer, topic)

    replace(PeerTable, "subscribe", subscribe)
