"""Faults of JOIN, LEAVE and the upkeep of meshes."""

from __future__ import annotations

from collections.abc import Iterable

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.heartbeat import HeartbeatClock
from gossipsub.router.mesh import LEAVING, Mesh
from gossipsub.router.peers import Peer


@fault
def join_grafts_everybody() -> None:
    original = Mesh.join

    def join(self: Mesh, topic: str, fanout: Iterable[bytes], *, now: float) -> None:
        original(self, topic, fanout, now=now)
        for peer in self._candidates(topic, now):
            self._graft(peer.id, topic, now)

    replace(Mesh, "join", join)


@fault
def leaving_states_the_longer_backoff() -> None:
    original = Mesh._send_prune

    def _send_prune(
        self: Mesh,
        peer: bytes,
        topic: str,
        backoff: float,
        now: float,
        reason: str,
        *,
        offer: bool = True,
    ) -> None:
        if reason == LEAVING:
            backoff = self._backoff_params.prune_backoff
        original(self, peer, topic, backoff, now, reason, offer=offer)

    replace(Mesh, "_send_prune", _send_prune)


@fault
def small_meshes_are_filled_to_d_low() -> None:
    original = Mesh._graft_random

    def _graft_random(
        self: Mesh, candidates: list[bytes], topic: str, size: int, now: float
    ) -> None:
        size = min(size, self._topics.of(topic).mesh.d_low)
        original(self, candidates, topic, size, now)

    replace(Mesh, "_graft_random", _graft_random)


@fault
def meshes_are_not_pruned() -> None:
    replace(Mesh, "_keepers", lambda self, mesh, params: dict(mesh))


@fault
def only_the_first_topic_has_a_mesh() -> None:
    subscribed, maintain = Mesh.peer_subscribed, Mesh.maintain

    def only_first_subscribed(self: Mesh, peer: Peer, topic: str, *, now: float) -> None:
        if topic in list(self.meshes)[:1]:
            subscribed(self, peer, topic, now=now)

    def only_first_maintained(self: Mesh, topic: str, *, now: float) -> None:
        if topic in list(self.meshes)[:1]:
            maintain(self, topic, now=now)

    replace(Mesh, "peer_subscribed", only_first_subscribed)
    replace(Mesh, "maintain", only_first_maintained)


@fault
def every_subscriber_is_grafted() -> None:
    def peer_subscribed(self: Mesh, peer: Peer, topic: str, *, now: float) -> None:
        if topic in self.meshes and peer.id not in self.meshes[topic]:
            self._graft(peer.id, topic, now)

    replace(Mesh, "peer_subscribed", peer_subscribed)


@fault
def lost_peers_are_not_replaced() -> None:
    replace(Mesh, "_graft_random", lambda self, candidates, topic, size, now: None)


@fault
def heartbeats_are_half_as_frequent() -> None:
    original = HeartbeatClock.__init__

    def slow(self: HeartbeatClock, *, start: float, interval: float) -> None:
        original(self, start=start, interval=2 * interval)

    replace(HeartbeatClock, "__init__", slow)
