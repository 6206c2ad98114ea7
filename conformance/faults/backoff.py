"""Faults of GRAFT, PRUNE and backoff."""

from __future__ import annotations

from collections.abc import Sequence

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.mesh import Mesh
from gossipsub.router.peers import Peer
from gossipsub.wire.rpc import Graft


@fault
def graft_needs_a_subscription() -> None:
    original = Mesh.handle_graft

    def handle_graft(self: Mesh, peer: Peer, grafts: Sequence[Graft], *, now: float) -> None:
        subscribed = [graft for graft in grafts if graft.topic in peer.topics]
        original(self, peer, subscribed, now=now)

    replace(Mesh, "handle_graft", handle_graft)
