"""What a test peer received, in numbers: counts, order, latency."""

from __future__ import annotations

import math
import time
from typing import Any

STAMP_BYTES = 16
"""Sequence number and send time in nanoseconds, 8 bytes each."""
_SENT_NS = 2**64 - 1
OLDEST_NS, NEWEST_NS = 3600 * 10**9, -(10**9)
"""Ages between which a send time is one; else the message was not made by `publish_many`."""
MAX_AUTHORS = 10_000
"""Further authors' messages count, but nobody looks at their order."""


class Receiver:
    """Counts deliveries of one run; `reset` starts the next."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.received = 0
        self.bytes = 0
        self.first_ns = 0
        self.last_ns = 0
        self.backwards = 0
        self._newest: dict[bytes, int] = {}
        self._latency = Histogram()

    def note(self, author: bytes, data: bytes) -> None:
        """Count one delivery; payloads of `publish_many` carry their number and send time."""
        now = time.time_ns()
        self.received += 1
        self.bytes += len(data)
        self.first_ns = self.first_ns or now
        self.last_ns = now
        stamp = int.from_bytes(data[:STAMP_BYTES], "big")
        age = now - (stamp & _SENT_NS)
        if len(data) < STAMP_BYTES or not NEWEST_NS <= age <= OLDEST_NS:
            return
        self._latency.add(age // 1000 if age > 0 else 0)
        number = stamp >> 64
        newest = self._newest.get(author)
        if newest is not None and number < newest:
            self.backwards += 1
        elif newest is not None or len(self._newest) < MAX_AUTHORS:
            self._newest[author] = number

    def report(self) -> dict[str, Any]:
        return {
            "received": self.received,
            "bytes": self.bytes,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "backwards": self.backwards,
            "latency_us": self._latency.summary(),
        }


class Histogram:
    """Microseconds, any number of them in bounded memory: exact below 128, then kept to their
    seven leading bits, so that a percentile is at most 1/64 too high."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total = 0
        self._max = 0

    def add(self, microseconds: int) -> None:
        highest = microseconds
        if microseconds > 127:
            unit = microseconds.bit_length() - 7
            highest = ((microseconds >> unit) + 1 << unit) - 1
        self._counts[highest] = self._counts.get(highest, 0) + 1
        self._total += 1
        if microseconds > self._max:
            self._max = microseconds

    def summary(self) -> dict[str, int]:
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
        percentiles = {name: self._percentile(share) for name, share in shares.items()}
        return {"count": self._total, **percentiles, "max": self._max}

    def _percentile(self, share: float) -> int:
        rank, seen = math.ceil(share * self._total), 0
        for highest in sorted(self._counts):
            seen += self._counts[highest]
            if seen >= rank:
                return min(highest, self._max)
        return 0
