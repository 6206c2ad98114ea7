"""Faults of the protection from spam."""

from __future__ import annotations

import dataclasses
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.effects import Verdict
from gossipsub.router.gossip import Gossip
from gossipsub.router.mesh import Mesh
from gossipsub.router.messages import Messages
from gossipsub.router.pending import Pending
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.router.score.scoring import Scoring
from gossipsub.wire.rpc import Prune


@fault
def no_ihave_is_too_much() -> None:
    _with_gossip_limit(max_ihave_messages=1_000_000)


@fault
def any_number_of_ids_is_asked_for() -> None:
    _with_gossip_limit(max_ihave_length=1_000_000)


def _with_gossip_limit(**limits: int) -> None:
    original = Gossip.__init__

    def __init__(self: Gossip, params: Any, **parts: Any) -> None:
        original(self, dataclasses.replace(params, **limits), **parts)

    replace(Gossip, "__init__", __init__)


@fault
def broken_promises_cost_nothing() -> None:
    replace(Messages, "charge_broken_promises", lambda self, now: None)


@fault
def promises_are_personal() -> None:
    def judged(self: Scoring, pending: Pending, verdict: Verdict, now: float) -> None:
        if verdict is not Verdict.INVALID_SIGNATURE:
            self.excused(pending.peer, pending.message_id)

    replace(Scoring, "judged", judged)


@fault
def invalid_messages_cost_nothing() -> None:
    replace(PeerScores, "invalid_delivery", lambda self, peer, topic, reason="": None)


@fault
def refusals_are_sent_twice() -> None:
    original = Mesh._send_prune

    def send_prune(
        self: Mesh, peer: bytes, topic: str, backoff: float, *others: Any, **more: Any
    ) -> None:
        original(self, peer, topic, backoff, *others, **more)
        self._outbox.flush()
        self._outbox.prune(peer, Prune(topic, (), int(backoff)))

    replace(Mesh, "_send_prune", send_prune)
