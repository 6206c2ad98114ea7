"""Peers outside of the mesh that get messages all the same: floodsub and direct peers (v1.1), and
randomsub peers (go's randomsub.go; there is no specification)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from random import Random

from gossipsub.router.params import GossipParams
from gossipsub.router.peers import Peer, PeerTable

RANDOMSUB_PEERS = 6
"""Of so many randomsub peers all get every message (go's RandomSubD)."""


class OutsideMesh:
    """Who of them is sent a message. Below the publish threshold only direct peers are."""

    def __init__(
        self,
        params: GossipParams,
        *,
        peers: PeerTable,
        score: Callable[[bytes], float],
        rng: Random,
    ) -> None:
        self._threshold = params.thresholds.publish
        root = math.ceil(math.sqrt(params.randomsub_size))
        self._random_peers = max(RANDOMSUB_PEERS, root)
        self._peers = peers
        self._score = score
        self._rng = rng

    def targets(self, topic: str, have_it: Collection[bytes] = ()) -> list[bytes]:
        """Those a message is sent to, without those in `have_it`: of the randomsub peers a random
        choice, of all others everyone."""
        flooded, randomsub = self._peers.flooded_in(topic), self._peers.random_in(topic)
        if flooded is None and randomsub is None:
            return []
        targets = [] if flooded is None else self._willing(topic, flooded.values(), have_it)
        if randomsub is not None:
            candidates = self._willing(topic, randomsub.values(), have_it)
            count = min(self._random_peers, len(candidates))
            targets += self._rng.sample(candidates, count)
        return targets

    def _willing(
        self, topic: str, peers: Iterable[Peer], have_it: Collection[bytes]
    ) -> list[bytes]:
        return [
            peer.id
            for peer in peers
            if peer.id not in have_it
            and (peer.direct or self._score(peer.id) >= self._threshold)
            and self._peers.is_welcome(peer.id, topic)
        ]
