"""Faults of GRAFT."""

from __future__ import annotations

from collections.abc import Sequence

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.mesh import Mesh
from gossipsub.router.peers import Peer
from gossipsub.wire.rpc import Graft, Prune

MINUTE = 60.0


@fault
def every_graft_is_refused() -> None:
    def handle_graft(self: Mesh, peer: Peer, grafts: Sequence[Graft], *, now: float) -> None:
        _refuse(self, peer, grafts, now)

    replace(Mesh, "handle_graft", handle_graft)


@fault
def a_repeated_graft_is_refused() -> None:
    original = Mesh.handle_graft

    def handle_graft(self: Mesh, peer: Peer, grafts: Sequence[Graft], *, now: float) -> None:
        repeated = [graft for graft in grafts if peer.id in self.meshes.get(graft.topic, ())]
        original(self, peer, [graft for graft in grafts if graft not in repeated], now=now)
        _refuse(self, peer, repeated, now)

    replace(Mesh, "handle_graft", handle_graft)


def _refuse(mesh: Mesh, peer: Peer, grafts: Sequence[Graft], now: float) -> None:
    for graft in grafts:
        if peer.id in mesh.meshes.get(graft.topic, ()):
            mesh._exit(peer.id, graft.topic, "fault")
        mesh._send_prune(peer.id, graft.topic, MINUTE, now, "fault")


@fault
def grafts_for_unknown_topics_are_answered() -> None:
    original = Mesh.handle_graft

    def handle_graft(self: Mesh, peer: Peer, grafts: Sequence[Graft], *, now: float) -> None:
        original(self, peer, grafts, now=now)
        for graft in grafts:
            if graft.topic not in self.meshes:
                self._outbox.prune(peer.id, Prune(graft.topic, (), round(MINUTE)))

    replace(Mesh, "handle_graft", handle_graft)


@fault
def grafts_for_unknown_topics_cost_something() -> None:
    original = Mesh.handle_graft

    def handle_graft(self: Mesh, peer: Peer, grafts: Sequence[Graft], *, now: float) -> None:
        original(self, peer, grafts, now=now)
        if self._scores is not None and any(graft.topic not in self.meshes for graft in grafts):
            self._scores.penalise(peer.id, 1, "fault")

    replace(Mesh, "handle_graft", handle_graft)


@fault
def graft_needs_a_subscription() -> None:
    original = Mesh.handle_graft

    def handle_graft(self: Mesh, peer: Peer, grafts: Sequence[Graft], *, now: float) -> None:
        subscribed = [graft for graft in grafts if graft.topic in peer.topics]
        original(self, peer, subscribed, now=now)

    replace(Mesh, "handle_graft", handle_graft)


@fault
def peers_of_negative_score_are_let_in() -> None:
    def _finds_fault(self: Mesh, peer: Peer, topic: str, now: float) -> bool:
        return self._backoffs.refuses(topic, peer.id, now)

    replace(Mesh, "_finds_fault", _finds_fault)


@fault
def a_full_mesh_lets_more_in() -> None:
    _treat_all_as(outbound=True)


@fault
def a_full_mesh_lets_nobody_in() -> None:
    _treat_all_as(outbound=False)


def _treat_all_as(*, outbound: bool) -> None:
    original = Mesh.handle_graft

    def handle_graft(self: Mesh, peer: Peer, grafts: Sequence[Graft], *, now: float) -> None:
        in_truth, peer.outbound = peer.outbound, outbound
        original(self, peer, grafts, now=now)
        peer.outbound = in_truth

    replace(Mesh, "handle_graft", handle_graft)


@fault
def outbound_peers_are_not_sought() -> None:
    original = Mesh.maintain

    def maintain(self: Mesh, topic: str, *, now: float) -> None:
        if len(self.meshes[topic]) < self._topics.of(topic).mesh.d_low:
            original(self, topic, now=now)

    replace(Mesh, "maintain", maintain)
