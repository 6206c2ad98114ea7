"""The router's tables at one moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gossipsub.router.assembly import Parts


@dataclass(frozen=True, slots=True)
class TopicSnapshot:
    """A topic that is joined here, or published to without."""

    delivers: bool
    """Joined, and its messages are delivered here; False for relays as well."""
    peers: int
    """Connected peers that are subscribed to it."""
    mesh: tuple[bytes, ...] | None
    """None where the topic is not joined."""
    fanout: tuple[bytes, ...] | None
    """None where nothing was published of late without joining it."""
    backoffs: int
    """Peers that must not be grafted yet."""


@dataclass(frozen=True, slots=True)
class PeerSnapshot:
    """A connected peer."""

    protocol: str
    outbound: bool
    """True where this node dialled."""
    ip: str | None
    direct: bool
    score: float
    """0 while scoring is off."""
    topics: tuple[str, ...]
    """Those it is subscribed to."""
    meshes: tuple[str, ...]
    """Topics in whose mesh it is here."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The router's tables at one moment, for people and tests: plain values, none of them shared
    with the router. `limits` has the bounds of those numbers that have one."""

    topics: dict[str, TopicSnapshot]
    peers: dict[bytes, PeerSnapshot]
    known_topics: int
    """Topics some peer is subscribed to."""
    seen: int
    cached: int
    cached_bytes: int
    wanted: int
    """Messages that peers offered and that are not here yet."""
    wanted_bytes: int
    pending: int
    """Messages under validation."""
    pending_bytes: int
    """What they and their copies count for, each with `limits["pending_bytes"] / limits["pending"]`
    at least."""
    refusals: int
    """Messages that some peer refused with IDONTWANT."""
    backoffs: int
    """Those of all topics, joined or not."""
    delivery_points: int
    """Peers with points for deliveries, each topic\'s counted by itself."""
    scored_peers: int
    """Peers with a score, those included that left with a bad one."""
    retained_scores: int
    """Peers that left with a bad score."""
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
    limits: dict[str, int]
    """How large the number of the same name here can become, where that has a bound."""

    @property
    def mesh(self) -> dict[str, tuple[bytes, ...]]:
        """The meshes of all joined topics."""
        return {name: topic.mesh for name, topic in self.topics.items() if topic.mesh is not None}

    @property
    def fanout(self) -> dict[str, tuple[bytes, ...]]:
        """The fanouts of all topics that have one."""
        topics = self.topics.items()
        return {name: topic.fanout for name, topic in topics if topic.fanout is not None}


def take_snapshot(parts: Parts, score: Callable[[bytes], float]) -> Snapshot:
    """Of what all parts hold now. Its cost grows with the peers' subscriptions and with the
    backoffs: a few milliseconds for the largest tables."""
    scoring = parts.scoring
    return Snapshot(
        topics=_topics(parts),
        peers=_peers(parts, score),
        known_topics=parts.peers.known_topics(),
        seen=parts.messages.seen_count(),
        cached=len(parts.mcache),
        cached_bytes=parts.mcache.held_bytes,
        wanted=len(parts.wanted),
        wanted_bytes=parts.wanted.held_bytes,
        pending=parts.messages.pending_count(),
        pending_bytes=parts.messages.pending_bytes(),
        refusals=len(parts.idontwant),
        backoffs=len(parts.backoffs),
        delivery_points=len(parts.delivery_points),
        scored_peers=0 if scoring is None else len(scoring.scores),
        retained_scores=0 if scoring is None else scoring.scores.retained_count(),
        delivery_records=0 if scoring is None else len(scoring.records),
        promises=0 if scoring is None else len(scoring.promises),
        app_score_failures=0 if scoring is None else scoring.scores.app_failures,
        callback_failures=parts.callbacks.failures,
        refused_rpcs=parts.acceptance.refused_rpcs,
        gater_sources=0 if parts.gater is None else len(parts.gater),
        partial_groups=len(parts.partial),
        announcements_owed=len(parts.announcements),
        control_owed=parts.outbox.owed(),
        undelivered=parts.messages.counts(),
        limits=_limits(parts),
    )


def _topics(parts: Parts) -> dict[str, TopicSnapshot]:
    meshes, fanouts = parts.mesh.meshes, parts.fanout.topics()
    backoffs = parts.backoffs.by_topic()
    topics = {}
    for topic in dict.fromkeys([*meshes, *fanouts]):
        mesh, fanout = meshes.get(topic), fanouts.get(topic)
        topics[topic] = TopicSnapshot(
            delivers=parts.joined.get(topic, False),
            peers=len(parts.peers.in_topic(topic)),
            mesh=None if mesh is None else tuple(mesh),
            fanout=None if fanout is None else tuple(fanout),
            backoffs=backoffs.get(topic, 0),
        )
    return topics


def _peers(parts: Parts, score: Callable[[bytes], float]) -> dict[bytes, PeerSnapshot]:
    meshes: dict[bytes, list[str]] = {peer: [] for peer in parts.peers.connected}
    for topic, mesh in parts.mesh.meshes.items():
        for peer in mesh:
            meshes[peer].append(topic)
    return {
        peer: PeerSnapshot(
            protocol=record.protocol,
            outbound=record.outbound,
            ip=record.ip,
            direct=record.direct,
            score=score(peer),
            topics=tuple(record.topics),
            meshes=tuple(meshes[peer]),
        )
        for peer, record in parts.peers.connected.items()
    }


def _limits(parts: Parts) -> dict[str, int]:
    limits = parts.params.limits
    return {
        "seen": limits.max_seen,
        "cached_bytes": limits.max_cached_bytes,
        "wanted_bytes": limits.max_wanted_bytes,
        "pending": limits.max_pending,
        "pending_bytes": limits.max_pending_bytes,
        "backoffs": limits.max_backoffs,
        "retained_scores": limits.max_retained_scores,
        "delivery_records": 2 * limits.max_delivery_records,
        "promises": limits.max_promises,
    }
