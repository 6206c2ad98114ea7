"""Faults of what is counted in topics."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.messages import Messages
from gossipsub.router.score.delivery_records import DeliveryRecords
from gossipsub.router.score.params import PeerScoreParams
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.router.score.topic_counters import TopicCounters
from gossipsub.wire.rpc import Message


@fault
def topics_weigh_the_same() -> None:
    original = TopicCounters.contribution
    replace(
        TopicCounters,
        "contribution",
        lambda self: original(self) / (self.params.topic_weight or 1.0),
    )


@fault
def all_topics_count() -> None:
    original = PeerScores.__init__

    def __init__(self: PeerScores, params: PeerScoreParams, **others: Any) -> None:
        any_topic = next(iter(params.topics.values()))
        original(self, dataclasses.replace(params, other_topics=any_topic), **others)

    replace(PeerScores, "__init__", __init__)


@fault
def the_cap_is_for_everything() -> None:
    original = PeerScores.score

    def score(self: PeerScores, peer: bytes) -> float:
        return min(original(self, peer), self._params.topic_score_cap or math.inf)

    replace(PeerScores, "score", score)


@fault
def time_in_mesh_does_not_end() -> None:
    replace(TopicCounters, "leave_mesh", lambda self: 0.0)


@fault
def time_in_mesh_counts_twice() -> None:
    original = TopicCounters.p1
    replace(TopicCounters, "p1", lambda self: 2 * original(self))


@fault
def time_in_mesh_counts_half() -> None:
    original = TopicCounters.p1
    replace(TopicCounters, "p1", lambda self: original(self) / 2)


@fault
def first_deliveries_have_no_cap() -> None:
    def first_delivery(self: PeerScores, peer: bytes, topic: str) -> None:
        counters = self._counters(peer, topic)
        if counters is not None:
            counters.first_deliveries += 1.0

    replace(PeerScores, "first_delivery", first_delivery)


@fault
def copies_count_as_first_deliveries() -> None:
    def duplicate(
        self: DeliveryRecords, peer: bytes, message_id: bytes, message: Message, now: float
    ) -> None:
        self._scores.first_delivery(peer, message.topic)

    replace(DeliveryRecords, "duplicate", duplicate)


@fault
def arrival_is_credited() -> None:
    original = Messages._validate

    def validate(
        self: Messages, peer: bytes, message: Message, message_id: bytes, *times: float
    ) -> None:
        if self._scoring is not None:
            self._scoring.scores.first_delivery(peer, message.topic)
        original(self, peer, message, message_id, *times)

    replace(Messages, "_validate", validate)


@fault
def only_the_first_delivery_counts_for_the_mesh() -> None:
    replace(PeerScores, "mesh_delivery", lambda self, peer, topic: False)


@fault
def deliveries_make_up_for_nothing() -> None:
    def deficit(self: TopicCounters) -> float:
        return self.params.mesh_message_deliveries_threshold if self.is_active else 0.0

    replace(TopicCounters, "deficit", deficit)


@fault
def failures_in_the_mesh_are_forgotten() -> None:
    def leave_mesh(self: TopicCounters) -> float:
        self.in_mesh = self.is_active = False
        return 0.0

    replace(TopicCounters, "leave_mesh", leave_mesh)


@fault
def deficits_go_on_after_prune() -> None:
    def leave_mesh(self: TopicCounters) -> float:
        deficit = self.deficit()
        self.mesh_failures += deficit * deficit
        self.in_mesh = False
        return deficit * deficit

    replace(TopicCounters, "leave_mesh", leave_mesh)


@fault
def invalid_messages_are_counted_once() -> None:
    def invalid_delivery(self: PeerScores, peer: bytes, topic: str, reason: str = "") -> None:
        counters = self._counters(peer, topic)
        if counters is not None:
            counters.invalid_deliveries = 1.0

    replace(PeerScores, "invalid_delivery", invalid_delivery)


@fault
def late_copies_of_invalid_messages_are_free() -> None:
    original = DeliveryRecords.rejected

    def rejected(self: DeliveryRecords, *what: Any) -> None:
        original(self, *what)
        self._records.clear()

    replace(DeliveryRecords, "rejected", rejected)


@fault
def small_counters_stay() -> None:
    original = TopicCounters.refresh
    replace(TopicCounters, "refresh", lambda self, to_zero, now: original(self, 0.0, now))
