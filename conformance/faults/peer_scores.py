"""Faults of what scores have beside topics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.score.addresses import AddressTable
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.router.score.retained import RetainedPeers


@fault
def the_applications_score_is_not_weighted() -> None:
    original = PeerScores._app_score

    def app_score(self: PeerScores, peer: bytes) -> float:
        return original(self, peer) / (self._params.app_specific_weight or 1.0)

    replace(PeerScores, "_app_score", app_score)


@fault
def peers_at_one_address_are_not_counted() -> None:
    def surplus(self: AddressTable, keys: Iterable[str], threshold: float) -> float:
        return 0.0

    replace(AddressTable, "surplus", surplus)


@fault
def misbehaviour_costs_from_the_first() -> None:
    replace(PeerScores, "_misdeeds", lambda self, counters: counters.behaviour_penalty**2)


@fault
def scores_end_with_the_connection() -> None:
    def remove_peer(self: PeerScores, peer: bytes, now: float) -> None:
        if peer in self._peers:
            self._forget(peer)

    replace(PeerScores, "remove_peer", remove_peer)


@fault
def debts_are_for_ever() -> None:
    original = RetainedPeers.add

    def add(self: RetainedPeers, peer: bytes, badness: float, expiry: float) -> Any:
        return original(self, peer, badness, math.inf)

    replace(RetainedPeers, "add", add)
