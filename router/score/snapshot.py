"""A peer's score at one moment, for people and tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicScoreSnapshot:
    """One topic's part in a peer's score."""

    score: float
    """What it contributes, weighted, before the cap on all topics."""
    in_mesh: bool
    time_in_mesh: float
    """Seconds, as of the last refresh; 0 outside the mesh."""
    first_message_deliveries: float
    mesh_message_deliveries: float
    mesh_failure_penalty: float
    invalid_message_deliveries: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerScoreSnapshot:
    """A peer's score with the counters behind it; unweighted but for the `score` fields."""

    score: float
    topics: dict[str, TopicScoreSnapshot]
    app_specific_score: float
    ip_colocation_factor: float
    behaviour_penalty: float
    """The counter, before threshold and square."""
    lost_sends: float
    """Messages that found no room in the peer's queue, decayed, before the threshold."""
