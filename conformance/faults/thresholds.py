"""Faults of score thresholds."""

from __future__ import annotations

import dataclasses
import math
from random import Random
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.admission.acceptance import Acceptance
from gossipsub.router.fanout import Fanout
from gossipsub.router.gossip import Gossip
from gossipsub.router.mesh import Mesh
from gossipsub.router.outside import OutsideMesh
from gossipsub.router.own_targets import OwnTargets
from gossipsub.router.params import GossipParams
from gossipsub.router.peers import Peer
from gossipsub.router.router import Router
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams


@fault
def a_score_at_a_threshold_is_below_it() -> None:
    def is_heeded(self: Acceptance, peer: Peer) -> bool:
        return peer.direct or self._score(peer.id) > self._graylist

    replace(Acceptance, "is_heeded", is_heeded)


@fault
def graylisted_peers_are_heard() -> None:
    replace(Acceptance, "is_heeded", lambda self, peer: True)


@fault
def who_is_graylisted_is_decided_once() -> None:
    original = Acceptance.is_heeded
    decided: dict[bytes, bool] = {}

    def is_heeded(self: Acceptance, peer: Peer) -> bool:
        if peer.id not in decided:
            decided[peer.id] = original(self, peer)
        return decided[peer.id]

    replace(Acceptance, "is_heeded", is_heeded)


@fault
def gossip_is_for_everybody() -> None:
    _without_threshold(Gossip)


@fault
def own_messages_are_for_everybody() -> None:
    for owner in (OwnTargets, OutsideMesh, Fanout):
        _without_threshold(owner)


def _without_threshold(owner: Any) -> None:
    original = owner.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        replace(self, "_threshold", -math.inf)

    replace(owner, "__init__", __init__)


@fault
def mesh_peers_stay_whatever_their_score() -> None:
    original = Mesh.maintain

    def maintain(self: Mesh, topic: str, *, now: float) -> None:
        score = self._score
        self._score = lambda peer: max(score(peer), 0.0)
        original(self, topic, now=now)
        self._score = score

    replace(Mesh, "maintain", maintain)


@fault
def scores_are_kept_unasked() -> None:
    original = Router.__init__
    topic = TopicScoreParams(
        invalid_message_deliveries_weight=-10.0, invalid_message_deliveries_decay=0.99
    )
    score = PeerScoreParams(other_topics=topic)
    thresholds = PeerScoreThresholds(gossip=-10.0, publish=-50.0, graylist=-80.0)

    def __init__(
        self: Router, params: GossipParams, *, me: bytes, rng: Random, now: float, **others: Any
    ) -> None:
        params = dataclasses.replace(params, score=score, thresholds=thresholds)
        original(self, params, me=me, rng=rng, now=now, **others)

    replace(Router, "__init__", __init__)
