"""Fanout: where own messages go in topics that are not joined (v1.0, "Fanout")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random

from gossipsub.router.peers import PeerTable


@dataclass(slots=True)
class _Topic:
    peers: dict[bytes, None]
    last_publish: float


class Fanout:
    """Up to D peers per topic published to, kept for `ttl` seconds after the last publish.

    Only peers that could be grafted, at or above the publish `threshold`, are taken: floodsub and
    direct peers get every message anyway.
    """

    def __init__(
        self,
        *,
        ttl: float,
        threshold: float,
        peers: PeerTable,
        score: Callable[[bytes], float],
        rng: Random,
    ) -> None:
        self._ttl = ttl
        self._threshold = threshold
        self._peers = peers
        self._score = score
        self._rng = rng
        self._topics: dict[str, _Topic] = {}

    def __len__(self) -> int:
        return len(self._topics)

    def publish(self, topic: str, size: int, *, now: float) -> Iterable[bytes]:
        """The peers for a message published now; the same again while they last."""
        entry = self._topics.get(topic)
        if entry is None:
            entry = self._topics[topic] = _Topic({}, now)
        entry.last_publish = now
        if not entry.peers:
            self._fill(topic, entry, size)
        return entry.peers

    def take(self, topic: str) -> Iterable[bytes]:
        """The topic is joined: its fanout peers, for the mesh; the entry is gone."""
        entry = self._topics.pop(topic, None)
        return () if entry is None else entry.peers

    def remove_peer(self, peer: bytes) -> None:
        for entry in self._topics.values():
            entry.peers.pop(peer, None)

    def peer_left(self, peer: bytes, topic: str) -> None:
        entry = self._topics.get(topic)
        if entry is not None:
            entry.peers.pop(peer, None)

    def maintain(self, size_of: Callable[[str], int], *, now: float) -> None:
        """One heartbeat: drop what expired, drop low scores, refill to D."""
        for topic in [t for t, e in self._topics.items() if e.last_publish + self._ttl <= now]:
            del self._topics[topic]
        for topic, entry in self._topics.items():
            for peer in [peer for peer in entry.peers if self._score(peer) < self._threshold]:
                del entry.peers[peer]
            self._fill(topic, entry, size_of(topic))

    def topics(self) -> Mapping[str, dict[bytes, None]]:
        return {topic: entry.peers for topic, entry in self._topics.items()}

    def _fill(self, topic: str, entry: _Topic, size: int) -> None:
        candidates = [
            peer.id
            for peer in self._peers.mesh_capable(topic)
            if peer.id not in entry.peers and self._score(peer.id) >= self._threshold
        ]
        missing = min(size - len(entry.peers), len(candidates))
        if missing > 0:
            entry.peers.update(dict.fromkeys(self._rng.sample(candidates, missing)))
