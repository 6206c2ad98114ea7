"""What peers have done for us of late: points for bringing messages early.

For the driver, which must decide whose connection to close when there are too many. As in go's
connection manager: a point for each valid message a peer was the first to bring, or brought while
it was under validation; up to 15 per topic, and one less every ten minutes. Unlike scores they
need no parameters.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

MAX_POINTS = 15
DECAY_INTERVAL = 600.0
"""Seconds after which a peer has one point less."""


class DeliveryPoints:
    """Points by topic joined here and connected peer."""

    def __init__(self, connected: Container[bytes]) -> None:
        self._connected = connected
        self._topics: dict[str, dict[bytes, tuple[int, float]]] = {}
        """Points, and since when: they are brought up to date when they are used."""

    def __len__(self) -> int:
        return sum(len(peers) for peers in self._topics.values())

    def delivered(self, topic: str, senders: Iterable[bytes], now: float) -> None:
        """A message proved valid; some of those who sent it may have left since."""
        peers = self._topics.get(topic)
        if peers is None:
            peers = self._topics[topic] = {}
        for sender in senders:
            entry = peers.get(sender)
            if entry is not None and entry[0] == MAX_POINTS and now - entry[1] < DECAY_INTERVAL:
                continue  # as nearly always with those who bring most
            if sender in self._connected:
                points, since = _decayed(entry or (0, now), now)
                peers[sender] = min(points + 1, MAX_POINTS), since

    def of(self, peer: bytes, now: float) -> int:
        """Over all topics."""
        found = (peers[peer] for peers in self._topics.values() if peer in peers)
        return sum(_decayed(each, now)[0] for each in found)

    def forget_peer(self, peer: bytes) -> None:
        for peers in self._topics.values():
            peers.pop(peer, None)

    def forget_topic(self, topic: str) -> None:
        self._topics.pop(topic, None)


def _decayed(entry: tuple[int, float], now: float) -> tuple[int, float]:
    points, since = entry
    if now - since < DECAY_INTERVAL:
        return entry
    steps = int((now - since) // DECAY_INTERVAL)
    return max(points - steps, 0), since + steps * DECAY_INTERVAL
