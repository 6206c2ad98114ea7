"""Peers outside of the mesh that get messages all the same: floodsub and direct peers (v1.1)."""

from __future__ import annotations

from collections.abc import Callable, Collection

from gossipsub.router.peers import PeerTable


class OutsideMesh:
    """Who of them is sent a message. Below the publish `threshold` only direct peers are."""

    def __init__(
        self, *, threshold: float, peers: PeerTable, score: Callable[[bytes], float]
    ) -> None:
        self._threshold = threshold
        self._peers = peers
        self._score = score

    def targets(self, topic: str, have_it: Collection[bytes] = ()) -> list[bytes]:
        """Those a message is sent to, without those in `have_it`."""
        flooded = self._peers.flooded_in(topic)
        if flooded is None:
            return []
        return [
            peer
            for peer, record in flooded.items()
            if peer not in have_it
            and (record.direct or self._score(peer) >= self._threshold)
            and self._peers.is_welcome(peer, topic)
        ]
