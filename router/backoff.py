"""Backoffs: who must not graft whom, in which topic, until when (v1.1, "PRUNE Backoff").

Kept per topic and peer, and across reconnects: a peer must not shed its backoff by hanging up.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict

from gossipsub.router.params import BackoffParams


class Backoffs:
    """Expiry times, only ever prolonged. At most `limit` are kept; beyond it the oldest goes."""

    def __init__(self, params: BackoffParams, *, heartbeat_interval: float, limit: int) -> None:
        self._params = params
        self._slack = params.slack_heartbeats * heartbeat_interval
        self._limit = limit
        self._expiry: OrderedDict[tuple[str, bytes], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._expiry)

    def by_topic(self) -> dict[str, int]:
        """How many peers have one, by topic."""
        return Counter(topic for topic, _ in self._expiry)

    def add(self, topic: str, peer: bytes, seconds: float, now: float) -> None:
        """Start a backoff, or prolong it; a shorter one leaves the longer in force."""
        key = (topic, peer)
        expiry = now + seconds
        if expiry <= self._expiry.get(key, -math.inf):
            return
        if key not in self._expiry and len(self._expiry) >= self._limit:
            # Whichever is oldest, expired or not: peers must not cause a walk through the table.
            self._expiry.popitem(last=False)
        self._expiry[key] = expiry

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
        return now < self._expiry.get((topic, peer), -math.inf)

    def is_flooded(self, topic: str, peer: bytes, now: float) -> bool:
        """Whether a GRAFT received comes right after the PRUNE (BACK-10)."""
        params = self._params
        expiry = self._expiry.get((topic, peer), -math.inf)
        return now < expiry + params.graft_flood_threshold - params.prune_backoff

    def forbids(self, topic: str, peer: bytes, now: float) -> bool:
        """Whether an own GRAFT would come too early for the peer: waits a little longer."""
        return now < self._expiry.get((topic, peer), -math.inf) + self._slack

    def clear_expired(self, now: float) -> None:
        """Forget those that hinder nobody any more."""
        done = [key for key, expiry in self._expiry.items() if expiry + self._slack <= now]
        for key in done:
            del self._expiry[key]


def wire_seconds(seconds: float) -> int:
    """A backoff as PRUNE states it: whole seconds, never less than what is meant."""
    return math.ceil(seconds)
