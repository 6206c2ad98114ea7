"""Whose counters are kept after they left (v1.1, "Peer Scoring", RetainScore)."""

from __future__ import annotations

import heapq

SPARE = 16


class RetainedPeers:
    """At most `limit` peers, each until its time. Beyond it the least bad goes first, of equally
    bad ones the oldest: identities that did nothing wrong cannot push out one that did."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._entries: dict[bytes, tuple[float, int]] = {}  # in the order of time
        self._order: list[tuple[float, int, bytes]] = []  # a heap, with some that are gone already
        self._count = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, peer: bytes) -> bool:
        return peer in self._entries

    def add(self, peer: bytes, badness: float, expiry: float) -> bytes | None:
        """A peer left; returns who must be forgotten for it, the peer itself maybe."""
        self._rank(peer, badness, expiry)
        return self._take_least_bad() if len(self._entries) > self._limit else None

    def change(self, peer: bytes, badness: float) -> None:
        """What one of them did before it left turned out worse."""
        self._rank(peer, badness, self._entries[peer][0])

    def discard(self, peer: bytes) -> None:
        """It is back, if it is one of them."""
        self._entries.pop(peer, None)

    def take_expired(self, now: float) -> list[bytes]:
        """Those whose time is over; they are removed."""
        done: list[bytes] = []
        for peer, (expiry, _) in self._entries.items():
            if expiry >= now:
                break
            done.append(peer)
        for peer in done:
            del self._entries[peer]
        return done

    def _rank(self, peer: bytes, badness: float, expiry: float) -> None:
        self._count += 1
        self._entries[peer] = (expiry, self._count)
        heapq.heappush(self._order, (badness, self._count, peer))
        if len(self._order) > 2 * len(self._entries) + SPARE:
            self._order = [entry for entry in self._order if self._is_current(entry)]
            heapq.heapify(self._order)

    def _take_least_bad(self) -> bytes:
        while True:
            entry = heapq.heappop(self._order)
            if self._is_current(entry):
                del self._entries[entry[2]]
                return entry[2]

    def _is_current(self, entry: tuple[float, int, bytes]) -> bool:
        _, count, peer = entry
        return self._entries.get(peer, (0.0, 0))[1] == count
