"""A limit on what peers send besides messages: announcements, gossip, fields nobody knows."""

from __future__ import annotations

from gossipsub.wire.rpc import Rpc

REMEMBERED_PEERS = 4096
"""Peers whose recent sending is remembered. It outlasts their connections, so that to connect
again is no way around the limit."""


class OverheadLimit:
    """A token bucket per peer: `burst` bytes, refilled with `rate` bytes per second.

    What does not fit is refused and takes nothing from the bucket: an honest peer that sent too
    much for a moment is not shut out for what it sent in vain.
    """

    def __init__(self, *, rate: float, burst: int) -> None:
        self.refused = 0
        """RPCs that were too much."""
        self._rate = rate
        self._burst = burst
        self._full_at: dict[bytes, float] = {}
        """By peer: when its bucket is full again. Without an entry it is."""

    def admits(self, peer: bytes, rpc: Rpc, size: int, now: float) -> bool:
        """Whether the peer may still send an RPC of so many bytes, its payloads included."""
        cost = size - payload_bytes(rpc)
        missing = max(self._full_at.get(peer, now) - now, 0.0) * self._rate
        if missing + cost > self._burst:
            self.refused += 1
            return False
        if peer not in self._full_at and len(self._full_at) >= REMEMBERED_PEERS:
            self._make_room(now)
        self._full_at[peer] = now + (missing + cost) / self._rate
        return True

    def __len__(self) -> int:
        """Peers remembered."""
        return len(self._full_at)

    def _make_room(self, now: float) -> None:
        """Forget those with a full bucket, or else who was noted first."""
        kept = {peer: full_at for peer, full_at in self._full_at.items() if full_at > now}
        if len(kept) >= REMEMBERED_PEERS:
            del kept[next(iter(kept))]
        self._full_at = kept


def payload_bytes(rpc: Rpc) -> int:
    """Bytes of an RPC that the application gets: data of messages, and of parts of one."""
    payload = sum(len(message.data or b"") for message in rpc.publish)
    if rpc.partial is not None:
        payload += len(rpc.partial.partial_message or b"")
    return payload
