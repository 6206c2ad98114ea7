"""Whom not to dial again yet: peers that could not be reached, or soon hung up."""

from __future__ import annotations

import random
from dataclasses import dataclass

MOST_PEERS = 1024
"""Peers remembered; beyond, the one that failed least recently is forgotten."""
SPREAD = (0.8, 1.2)
"""Pauses vary by this factor, so that those who lost a peer together do not return together."""


@dataclass(slots=True)
class _Failures:
    pause: float
    until: float


class DialBackoff:
    """After a failure a peer is left alone for `delay` seconds, after each further one twice as
    long, up to `limit`. `now` are monotonic seconds."""

    def __init__(self, *, delay: float, limit: float, rng: random.Random) -> None:
        self._delay = delay
        self._limit = limit
        self._rng = rng
        self._failures: dict[bytes, _Failures] = {}

    def allows(self, peer: bytes, *, now: float) -> bool:
        """Whether the peer may be dialled."""
        failures = self._failures.get(peer)
        return failures is None or now >= failures.until

    def failed(self, peer: bytes, *, now: float) -> None:
        """It could not be reached, or its connection did not last."""
        earlier = self._failures.pop(peer, None)
        pause = self._delay if earlier is None else min(earlier.pause * 2, self._limit)
        if len(self._failures) >= MOST_PEERS:
            del self._failures[next(iter(self._failures))]
        self._failures[peer] = _Failures(pause, now + pause * self._rng.uniform(*SPREAD))

    def forget(self, peer: bytes) -> None:
        """Its connection lasted: what was before does not count any more."""
        self._failures.pop(peer, None)
