"""When heartbeats are due (MESH-17): at fixed times, so that they do not drift."""

from __future__ import annotations

import math


class HeartbeatClock:
    """Due at `start`, `start + interval`, and so on. Those missed are skipped, not made up for."""

    def __init__(self, *, start: float, interval: float) -> None:
        self._start = start
        self._interval = interval
        self._ticks = 0
        self.deadline = start

    def is_due(self, now: float) -> bool:
        """Whether to run a heartbeat now; if so, the deadline moves beyond `now`."""
        if now < self.deadline:
            return False
        missed = math.floor((now - self._start) / self._interval)
        self._ticks = max(self._ticks + 1, missed)
        self.deadline = self._start + self._ticks * self._interval
        while self.deadline <= now:
            self._ticks += 1
            self.deadline = self._start + self._ticks * self._interval
        return True
