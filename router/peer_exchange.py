"""Peer exchange: naming other peers to those that are pruned (v1.1, "Peer Exchange")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from gossipsub.router.admission.blacklist import Blacklist
from gossipsub.router.effects import Connect
from gossipsub.router.outbox import Outbox
from gossipsub.router.params import GossipParams
from gossipsub.router.peers import Peer, PeerTable
from gossipsub.wire.rpc import PeerInfo

MAX_PEER_ID_BYTES = 128
"""Peer ids are opaque here; those in use have up to 44 bytes."""
RECORDS_BYTES = 12 * 1024
"""Signed records in one PRUNE: rust refuses an RPC with more than 16 KiB of control messages."""


class PeerExchange:
    """Whom to name in a PRUNE, and whom to dial of those a peer named."""

    def __init__(
        self,
        params: GossipParams,
        *,
        me: bytes,
        peers: PeerTable,
        blacklist: Blacklist,
        outbox: Outbox,
        score: Callable[[bytes], float],
        rng: Random,
    ) -> None:
        self._offers = params.peer_exchange
        self._accepts = params.accept_peer_exchange
        self._count = params.exchange_peers
        self._is_scored = params.score is not None
        self._threshold = params.thresholds.accept_px
        self._max_offered = params.limits.max_offered_peers
        self._max_connects = params.limits.max_exchange_connects
        self._max_record_bytes = params.limits.max_record_bytes
        self._me = me
        self._peers = peers
        self._blacklist = blacklist
        self._outbox = outbox
        self._score = score
        self._rng = rng
        self._taken: dict[bytes, int] = {}
        self._connects = 0

    def note_record(self, peer: Peer, record: bytes | None) -> None:
        """The peer's own signed record, to be handed on; one that is too large is not kept."""
        is_usable = record is not None and len(record) <= self._max_record_bytes
        peer.signed_record = record if is_usable else None

    def offer(self, peer: Peer, topic: str) -> tuple[PeerInfo, ...]:
        """Random others of a topic, for the PRUNE of a peer in good standing. Those of bad
        standing, direct and floodsub peers are not named."""
        if not self._offers or self._score(peer.id) < 0.0:
            return ()
        others = [
            other
            for other in self._peers.mesh_capable(topic)
            if other.id != peer.id and self._score(other.id) >= 0.0
        ]
        offered: list[PeerInfo] = []
        room = RECORDS_BYTES
        for other in self._rng.sample(others, min(self._count, len(others))):
            record = other.signed_record
            if record is not None and len(record) > room:
                record = None
            room -= len(record or b"")
            offered.append(PeerInfo(other.id, record))
        return tuple(offered)

    def take(self, peer: Peer, offered: Sequence[PeerInfo], *, now: float) -> None:
        """Ask the driver to dial some of those a PRUNE names; whether their records are genuine
        it finds out. What one peer, and all of them, can cause between two heartbeats is bounded.

        With scoring off no threshold acts, as in go: whoever prunes is believed.
        """
        if not offered or not self._accepts:
            return
        if self._is_scored and self._score(peer.id) < self._threshold:
            return
        taken = self._taken.get(peer.id, 0)
        share = (self._max_connects - self._connects + 1) // 2
        allowed = min(self._count, self._max_offered - taken, share)
        if allowed <= 0:
            return
        known = {
            info.peer_id: info.signed_peer_record
            for info in offered
            if info.peer_id and self._is_of_use(info.peer_id, info.signed_peer_record, now)
        }
        count = min(allowed, len(known))
        self._taken[peer.id] = taken + count
        self._connects += count
        for other in self._rng.sample(list(known), count):
            self._outbox.effects.append(Connect(other, known[other], told_by=peer.id))

    def reset_budgets(self) -> None:
        """A heartbeat passed."""
        self._taken.clear()
        self._connects = 0

    def _is_of_use(self, peer: bytes, record: bytes | None, now: float) -> bool:
        """Whether it can be a peer and its record, and one to be dialled."""
        return (
            len(peer) <= MAX_PEER_ID_BYTES
            and len(record or b"") <= self._max_record_bytes
            and peer != self._me
            and peer not in self._peers.connected
            and not self._blacklist.contains(peer, now)
        )
