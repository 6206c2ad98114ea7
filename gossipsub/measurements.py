"""Everything that can be counted on a host, at one moment: for monitoring of any kind."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gossipsub.pubsub.measures import Distribution
from gossipsub.router.counts import RouterCounts
from gossipsub.router.snapshot import Snapshot
from gossipsub.statistics import HostStatistics

if TYPE_CHECKING:
    from gossipsub.node import Node

SCORE_BOUNDS = (-100.0, -10.0, -1.0, 0.0, 1.0, 10.0, 100.0)
"""Those of libp2p's draft of metrics."""

_TABLES = (
    "seen", "cached", "cached_bytes", "wanted", "wanted_bytes", "pending", "pending_bytes",
    "refusals", "backoffs", "delivery_points", "scored_peers", "retained_scores",
    "delivery_records", "promises", "gater_sources", "partial_groups", "known_topics",
    "announcements_owed", "control_owed",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSizes:
    """How many peers have to do with a topic."""

    peers: int
    """Connected and subscribed to it."""
    mesh: int | None
    """None where the topic is not joined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMeasurements:
    """Counters count from the opening of the host on."""

    uptime: float
    """Seconds since the host was opened."""
    statistics: HostStatistics
    counts: RouterCounts
    """By topic, and the penalties."""
    rpc_received: Mapping[str, int]
    """Messages, subscriptions and the entries of control messages, by kind."""
    rpc_sent: Mapping[str, int]
    """The same, of what was given to the queues of peers."""
    bytes_in: int
    """Read from all connections since their handshakes, encryption included."""
    bytes_out: int
    heartbeat_duration: Distribution
    """Seconds of work in a heartbeat."""
    heartbeat_lateness: Distribution
    """Seconds by which heartbeats began too late: what else keeps the event loop busy."""
    validation: Distribution
    """Seconds from a message's arrival to the verdict on it; of one in 16 messages."""
    refused_rpcs: int
    """RPCs dropped as a whole, by the inspector or for too many subscriptions."""
    callback_failures: Mapping[str, int]
    """How often what the application gave the router raised: its score function, and its inspector
    or filters."""
    protocols: Mapping[str, int]
    """Peers by the pubsub protocol spoken with them."""
    scores: Distribution | None
    """Of the peers connected now; None while scoring is off."""
    topics: Mapping[str, TopicSizes]
    """Those joined, or published to of late."""
    tables: Mapping[str, int]
    """Entries in the router's tables, or their bytes."""
    limits: Mapping[str, int]
    """How large the number of that name in `tables` can become, where it has a bound."""


def measure(node: Node, tables: Snapshot | None = None) -> HostMeasurements:
    """What a host has measured so far; `tables` are the router's, where they are known."""
    pubsub = node.pubsub
    router, measures = pubsub.router, pubsub.measures
    tables = tables or router.snapshot()
    connections = [each for known in node.connections.by_peer.values() for each in known]
    protocols: dict[str, int] = {}
    for peer in tables.peers.values():
        protocols[peer.protocol] = protocols.get(peer.protocol, 0) + 1
    scores = (peer.score for peer in tables.peers.values())
    return HostMeasurements(
        uptime=node.timers.now() - node.opened_at,
        statistics=node.statistics(),
        counts=router.counts(),
        rpc_received=measures.received.by_type(),
        rpc_sent=measures.sent.by_type(),
        bytes_in=node.bytes_in + sum([each.bytes_in for each in connections]),
        bytes_out=node.bytes_out + sum([each.bytes_out for each in connections]),
        heartbeat_duration=measures.heartbeat_duration.read(),
        heartbeat_lateness=measures.heartbeat_lateness.read(),
        validation=measures.validation.read(),
        refused_rpcs=tables.refused_rpcs,
        callback_failures={
            "score function": tables.app_score_failures,
            "inspector or filter": tables.callback_failures,
        },
        protocols=protocols,
        scores=None if pubsub.params.score is None else _distribution(scores),
        topics={
            name: TopicSizes(
                peers=topic.peers, mesh=None if topic.mesh is None else len(topic.mesh)
            )
            for name, topic in tables.topics.items()
        },
        tables={name: getattr(tables, name) for name in _TABLES},
        limits=tables.limits,
    )


def _distribution(values: Iterable[float]) -> Distribution:
    counts, total = [0] * (len(SCORE_BOUNDS) + 1), 0.0
    for value in values:
        counts[bisect_left(SCORE_BOUNDS, value)] += 1
        total += value
    return Distribution(SCORE_BOUNDS, tuple(counts), total)
