"""The router's tables at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The router's tables at one moment, for people and tests."""

    mesh: dict[str, tuple[bytes, ...]]
    fanout: dict[str, tuple[bytes, ...]]
    peers: int
    known_topics: int
    """Topics some peer is subscribed to."""
    seen: int
    cached: int
    wanted: int
    """Messages that peers offered and that are not here yet."""
    pending: int
    refusals: int
    """Messages that some peer refused with IDONTWANT."""
    backoffs: int
    scored_peers: int
    """Peers with a score, those included that left with a bad one."""
    delivery_records: int
    """Messages remembered for what their copies cost or earn."""
    promises: int
    """Messages offered by peers, asked for and not come yet."""
    app_score_failures: int
    """How often the application's score function raised or gave no finite number."""
    callback_failures: int
    """How often the inspector or a filter of the application raised."""
    refused_rpcs: int
    """RPCs dropped as a whole, by the inspector or for too many subscriptions."""
    gater_sources: int
    """IP addresses the peer gater knows."""
    partial_groups: int
    """Groups of parts of messages."""
    announcements_owed: int
    control_owed: int
    """Peers that still miss a GRAFT or PRUNE the driver could not queue."""
    undelivered: dict[str, int]
    """Messages that were not delivered since the start, by reason."""
