"""What a test peer received, in numbers: counts, order, latency."""

from __future__ import annotations

import time
from typing import Any

SEQUENCE_BYTES = 8
STAMP_BYTES = 16
MAX_SAMPLES = 100_000
"""Latencies kept for percentiles; later ones are counted only."""


class Receiver:
    """Counts deliveries of one run; `reset` starts the next."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.received = 0
        self.bytes = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.backwards = 0
        self._newest = -1
        self._latencies_us: list[float] = []

    def note(self, data: bytes) -> None:
        """Count one delivery; payloads of `publish_many` carry their number and send time."""
        now = time.time_ns()
        self.received += 1
        self.bytes += len(data)
        self.first_ns = self.first_ns or now
        self.last_ns = now
        if len(data) < STAMP_BYTES:
            return
        number = int.from_bytes(data[:SEQUENCE_BYTES], "big")
        sent = int.from_bytes(data[SEQUENCE_BYTES:STAMP_BYTES], "big")
        if number < self._newest:
            self.backwards += 1
        self._newest = max(self._newest, number)
        if 0 <= now - sent < 3600 * 10**9 and len(self._latencies_us) < MAX_SAMPLES:
            self._latencies_us.append((now - sent) / 1000)

    def report(self) -> dict[str, Any]:
        samples = sorted(self._latencies_us)
        return {
            "received": self.received,
            "bytes": self.bytes,
            "first_ns": self.first_ns or 0,
            "last_ns": self.last_ns or 0,
            "backwards": self.backwards,
            "latency_us": {
                "count": len(samples),
                "p50": _percentile(samples, 0.5),
                "p90": _percentile(samples, 0.9),
                "p99": _percentile(samples, 0.99),
                "max": samples[-1] if samples else 0.0,
            },
        }


def _percentile(samples: list[float], share: float) -> float:
    return samples[min(int(len(samples) * share), len(samples) - 1)] if samples else 0.0
