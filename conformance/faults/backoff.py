"""Faults of PRUNE and backoff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as changed
from math import inf

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.backoff import Backoffs
from gossipsub.router.mesh import Mesh
from gossipsub.router.outbox import Outbox
from gossipsub.router.peers import Peer
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.wire.rpc import Prune


@fault
def pruned_peers_stay_in_the_mesh() -> None:
    def handle_prune(self: Mesh, peer: Peer, prunes: Sequence[Prune], *, now: float) -> None:
        for prune in prunes:
            self._backoffs.add_remote(prune.topic, peer.id, prune.backoff, now)

    replace(Mesh, "handle_prune", handle_prune)


@fault
def grafts_do_not_wait_for_backoffs() -> None:
    replace(Backoffs, "forbids", lambda self, topic, peer, now: False)


@fault
def stated_backoffs_are_not_heard() -> None:
    original = Backoffs.add_remote

    def add_remote(
        self: Backoffs, topic: str, peer: bytes, seconds: int | None, now: float
    ) -> None:
        original(self, topic, peer, None, now)

    replace(Backoffs, "add_remote", add_remote)


@fault
def prunes_state_no_backoff() -> None:
    original = Outbox.prune

    def prune(self: Outbox, peer: bytes, prune: Prune) -> None:
        original(self, peer, changed(prune, backoff=None))

    replace(Outbox, "prune", prune)


@fault
def early_grafts_are_accepted() -> None:
    replace(Backoffs, "refuses", lambda self, topic, peer, now: False)


@fault
def early_grafts_cost_nothing() -> None:
    replace(PeerScores, "penalise", lambda self, peer, times, why: None)


@fault
def a_flood_of_grafts_costs_no_more() -> None:
    replace(Backoffs, "is_flooded", lambda self, topic, peer, now: False)


@fault
def the_newest_backoff_counts() -> None:
    original = Backoffs.add

    def add(self: Backoffs, topic: str, peer: bytes, seconds: float, now: float) -> None:
        original(self, topic, peer, seconds, now)
        self._by_peer[peer][topic] = now + seconds

    replace(Backoffs, "add", add)


@fault
def huge_backoffs_wrap() -> None:
    def add_remote(
        self: Backoffs, topic: str, peer: bytes, seconds: int | None, now: float
    ) -> None:
        nanoseconds = ((seconds or 0) * 10**9 + 2**63) % 2**64 - 2**63
        self.add(topic, peer, nanoseconds / 1e9, now)

    replace(Backoffs, "add_remote", add_remote)


@fault
def v1_0_peers_are_told_as_much_as_others() -> None:
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
        original(self, peer, topic, backoff, now, reason, offer=offer)
        others = self._exchange.offer(self._peers.connected[peer], topic)
        self._outbox.prune(peer, Prune(topic, others, round(backoff)))

    replace(Mesh, "_send_prune", _send_prune)


@fault
def who_prunes_keeps_everybody_out() -> None:
    def _expiry(self: Backoffs, topic: str, peer: bytes) -> float:
        return max((each.get(topic, -inf) for each in self._by_peer.values()), default=-inf)

    replace(Backoffs, "_expiry", _expiry)


@fault
def backoffs_count_for_all_topics() -> None:
    original = Backoffs._expiry

    def _expiry(self: Backoffs, topic: str, peer: bytes) -> float:
        expiries = self._by_peer.get(peer, {})
        return max(expiries.values(), default=original(self, topic, peer))

    replace(Backoffs, "_expiry", _expiry)
