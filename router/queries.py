"""What can be asked of a router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossipsub.router.assembly import Parts
from gossipsub.router.counts import RouterCounts
from gossipsub.router.outside import RANDOMSUB_PEERS
from gossipsub.router.params import TopicSettings
from gossipsub.router.score.explanation import ScoreExplanation
from gossipsub.router.score.snapshot import PeerScoreSnapshot

if TYPE_CHECKING:
    from gossipsub.router.snapshot import Snapshot


class Queries:
    """Questions that change nothing."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def next_deadline(self) -> float:
        """When `handle_timer` has something to do next."""
        parts = self._parts
        deadline = min(
            parts.heartbeat.deadline,
            parts.announcements.next_deadline(),
            parts.wanted.next_deadline(),
            parts.direct.deadline,
        )
        if parts.scoring is not None:
            deadline = min(deadline, parts.scoring.scores.next_deadline())
        if parts.gater is not None:
            deadline = min(deadline, parts.gater.next_deadline())
        return deadline

    def heartbeat_deadline(self) -> float:
        """When the next heartbeat is due."""
        return self._parts.heartbeat.deadline

    def mesh(self, topic: str) -> list[bytes]:
        """Mesh peers of a topic; empty where it is not joined."""
        return list(self._parts.mesh.meshes.get(topic, ()))

    def topic_peers(self, topic: str) -> list[bytes]:
        """Peers subscribed to a topic, whether or not it is joined here."""
        return list(self._parts.peers.in_topic(topic))

    def has_enough_peers(self, topic: str, wanted: int | None = None) -> bool:
        """Whether a message published now would go to `wanted` peers (D_low where not given):
        direct, floodsub and randomsub peers and those of the mesh, or where the topic is not
        joined those the fanout can take. D_high mesh peers, or 6 randomsub peers, are enough in
        any case."""
        parts = self._parts
        mesh = parts.mesh.meshes.get(topic)
        members = parts.peers.mesh_capable(topic) if mesh is None else mesh
        degrees = parts.topics.of(topic).mesh
        reached = sum(1 for _ in members)
        if reached >= degrees.d_high:
            return True
        flooded, random = parts.peers.flooded_in(topic) or (), parts.peers.random_in(topic) or ()
        random_peers = sum(parts.peers.is_welcome(peer, topic) for peer in random)
        if random_peers >= RANDOMSUB_PEERS:
            return True
        reached += random_peers + sum(parts.peers.is_welcome(peer, topic) for peer in flooded)
        return reached >= (degrees.d_low if wanted is None else wanted)

    def topics(self) -> list[str]:
        """Topics joined here, relays included."""
        return list(self._parts.joined)

    def topics_of(self, peer: bytes) -> list[str]:
        """Topics a connected peer is subscribed to, whether or not they are joined here."""
        record = self._parts.peers.connected.get(peer)
        return [] if record is None else list(record.topics)

    def topic_settings(self, topic: str) -> TopicSettings:
        """The parameters that hold in a topic, joined or not."""
        return self._parts.topics.of(topic)

    def peers(self) -> list[bytes]:
        """Connected peers."""
        return list(self._parts.peers.connected)

    def direct_peers(self) -> list[bytes]:
        """Direct peers, connected or not."""
        return list(self._parts.direct.peers)

    def score(self, peer: bytes) -> float:
        """The peer's score (v1.1, "Peer Scoring"), kept for a while after it left; 0 where it is
        not known, or while scoring is off."""
        scoring = self._parts.scoring
        return 0.0 if scoring is None else scoring.scores.score(peer)

    def score_snapshot(self, peer: bytes) -> PeerScoreSnapshot | None:
        """The score with all counters behind it; None where it is not known or scoring is off."""
        scoring = self._parts.scoring
        return None if scoring is None else scoring.scores.snapshot(peer)

    def explain_score(self, peer: bytes) -> ScoreExplanation | None:
        """What the score is made of, and what the peer's latest misdeeds cost; None where it is
        not known or scoring is off. `print` it."""
        scoring = self._parts.scoring
        return None if scoring is None else scoring.scores.explain(peer)

    def score_snapshots(self) -> dict[bytes, PeerScoreSnapshot]:
        """Those of all peers with counters, some that left included."""
        scoring = self._parts.scoring
        return {} if scoring is None else scoring.scores.snapshots()

    def delivery_points(self, peer: bytes, *, now: float) -> int:
        """What a peer has done for us of late, whether or not scoring is on: points for valid
        messages it was among the first to bring, up to 15 per topic, one less every ten minutes."""
        return self._parts.delivery_points.of(peer, now)

    def is_direct(self, peer: bytes) -> bool:
        return peer in self._parts.direct.peers

    def blacklisted(self, *, now: float) -> list[bytes]:
        """Peers on the blacklist."""
        return self._parts.blacklist.peers(now)

    def is_blacklisted(self, peer: bytes, *, now: float) -> bool:
        return self._parts.blacklist.contains(peer, now)

    def undelivered(self) -> dict[str, int]:
        """How many messages were not delivered, by reason."""
        return self._parts.messages.counts()

    def counts(self) -> RouterCounts:
        """What has happened since the start, by topic."""
        parts, scoring = self._parts, self._parts.scoring
        return RouterCounts(
            topics=parts.counts.copy(),
            penalties={} if scoring is None else dict(scoring.scores.penalties),
            backoff_violations=parts.mesh.backoff_violations,
        )

    def snapshot(self) -> Snapshot:
        """Members and sizes of all tables, and what bounds them."""
        from gossipsub.router.snapshot import take_snapshot

        return take_snapshot(self._parts, self.score)
