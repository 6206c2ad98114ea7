"""Backoffs: who must not graft whom, in which topic, until when (v1.1, "PRUNE Backoff").

Kept per topic and peer, and across reconnects: a peer must not shed its backoff by hanging up.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import chain

from gossipsub.router.params import BackoffParams


class _Holders:
    """How many backoffs each of some peers has; who has the most is found at once."""

    def __init__(self) -> None:
        self.total = 0
        self._by_count: list[dict[bytes, None]] = [{}]

    def change(self, peer: bytes, before: int, after: int) -> None:
        by_count = self._by_count
        if before:
            del by_count[before][peer]
        if after:
            while len(by_count) <= after:
                by_count.append({})
            by_count[after][peer] = None
        while len(by_count) > 1 and not by_count[-1]:
            by_count.pop()
        self.total += after - before

    def largest(self) -> bytes:
        """Who has the most; of several the one that has had so many for longest."""
        return next(iter(self._by_count[-1]))


class Backoffs:
    """Expiry times, only ever prolonged. At most `limit` are kept; beyond it whoever has the most
    loses its oldest. So nobody's are pushed out by one that has more, however many it causes.

    Peers that left keep theirs. Half of the table is theirs and half that of the others, where
    both need it: identities that come and go only push out each other.
    """

    def __init__(self, params: BackoffParams, *, heartbeat_interval: float, limit: int) -> None:
        self._params = params
        self._slack = params.slack_heartbeats * heartbeat_interval
        self._limit = limit
        self._by_peer: dict[bytes, dict[str, float]] = {}
        self._present = _Holders()
        self._left = _Holders()
        self._gone: dict[bytes, None] = {}

    def __len__(self) -> int:
        return self._present.total + self._left.total

    def by_topic(self) -> dict[str, int]:
        """How many peers have one, by topic."""
        return Counter(chain.from_iterable(self._by_peer.values()))

    def count(self, peer: bytes) -> int:
        """How many the peer has."""
        return len(self._by_peer.get(peer, ()))

    def peer_connected(self, peer: bytes) -> None:
        if peer in self._gone:
            del self._gone[peer]
            self._left.change(peer, self.count(peer), 0)
            self._present.change(peer, 0, self.count(peer))

    def peer_disconnected(self, peer: bytes) -> None:
        if peer in self._by_peer and peer not in self._gone:
            self._gone[peer] = None
            self._present.change(peer, self.count(peer), 0)
            self._left.change(peer, 0, self.count(peer))

    def add(self, topic: str, peer: bytes, seconds: float, now: float) -> None:
        """Start a backoff, or prolong it; a shorter one leaves the longer in force."""
        expiry = now + seconds
        if expiry <= self._expiry(topic, peer):
            return
        expiries = self._by_peer.setdefault(peer, {})
        before = len(expiries)
        expiries[topic] = expiry
        if len(expiries) > before:
            self._count_anew(peer, before)
            if len(self) > self._limit:
                self._make_room()

    def add_remote(self, topic: str, peer: bytes, seconds: int | None, now: float) -> None:
        """Start the backoff a peer's PRUNE states: clamped; absent or zero means the default."""
        params = self._params
        if seconds is None or seconds <= 0:
            stated = params.prune_backoff
        else:
            stated = float(min(seconds, math.ceil(params.max_remote_backoff)))
        self.add(topic, peer, min(stated, params.max_remote_backoff), now)

    def refuses(self, topic: str, peer: bytes, now: float) -> bool:
        """Whether a GRAFT received comes too early: judged by the exact time."""
        return now < self._expiry(topic, peer)

    def is_flooded(self, topic: str, peer: bytes, now: float) -> bool:
        """Whether a GRAFT received comes right after the PRUNE (BACK-10)."""
        params = self._params
        expiry = self._expiry(topic, peer)
        return now < expiry + params.graft_flood_threshold - params.prune_backoff

    def forbids(self, topic: str, peer: bytes, now: float) -> bool:
        """Whether an own GRAFT would come too early for the peer: waits a little longer."""
        return now < self._expiry(topic, peer) + self._slack

    def clear_expired(self, now: float) -> None:
        """Forget those that hinder nobody any more."""
        ended = now - self._slack
        for peer, expiries in list(self._by_peer.items()):
            done = [topic for topic, expiry in expiries.items() if expiry <= ended]
            if done:
                before = len(expiries)
                for topic in done:
                    del expiries[topic]
                self._count_anew(peer, before)

    def _expiry(self, topic: str, peer: bytes) -> float:
        expiries = self._by_peer.get(peer)
        return -math.inf if expiries is None else expiries.get(topic, -math.inf)

    def _make_room(self) -> None:
        """Whichever is oldest of the peer's, expired or not: peers must not cause a walk through
        the table."""
        holders = self._left if self._left.total > self._limit // 2 else self._present
        peer = holders.largest()
        expiries = self._by_peer[peer]
        before = len(expiries)
        del expiries[next(iter(expiries))]
        self._count_anew(peer, before)

    def _count_anew(self, peer: bytes, before: int) -> None:
        """The peer had so many before."""
        after = len(self._by_peer[peer])
        holders = self._left if peer in self._gone else self._present
        holders.change(peer, before, after)
        if not after:
            del self._by_peer[peer]
            self._gone.pop(peer, None)


def wire_seconds(seconds: float) -> int:
    """A backoff as PRUNE states it: whole seconds, never less than what is meant."""
    return math.ceil(seconds)
