"""What is still to happen, in virtual time.

Time advances in whole ticks. Events of one tick happen in the order in which they were entered, so
the order of all events is that of (time, sequence number); only the distinct ticks are kept in a
heap, which makes entering an event for a tick that has others an append.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gossipsub.testing.links import Pipe

Bucket = list[tuple["Pipe | None", Any]]
"""Events of one tick: a pipe with the RPC that arrives through it, or None with a callable."""


class Agenda:
    """Events by tick. `tick` is the present; `buckets` and `ticks` are open to the
    transport, which enters arrivals without a call."""

    def __init__(self, *, ticks_per_second: int) -> None:
        if ticks_per_second < 1:
            raise ValueError(f"ticks_per_second must be at least 1: {ticks_per_second}")
        self.ticks_per_second = ticks_per_second
        self.tick = 0
        self.buckets: dict[int, Bucket] = {}
        self.ticks: list[int] = []

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self.tick / self.ticks_per_second

    def nearest(self, time: float) -> int:
        """The tick nearest to a time, and not before the present."""
        return max(self.tick, round(time * self.ticks_per_second))

    def not_before(self, time: float) -> int:
        """The first tick that is not earlier than `time`, nor than the present."""
        tick = math.ceil(time * self.ticks_per_second)
        while tick / self.ticks_per_second < time:  # the product was rounded down
            tick += 1
        return max(self.tick, tick)

    def call(self, tick: int, action: Callable[[], object]) -> None:
        """Enter an action for a tick, not before the present one."""
        bucket = self.buckets.get(tick)
        if bucket is None:
            self.buckets[tick] = [(None, action)]
            heappush(self.ticks, tick)
        else:
            bucket.append((None, action))

    def next_bucket(self, last: int) -> Bucket | None:
        """Advance to the next tick with events and take them; None where there are none up to
        and including `last`. What is entered for that same tick afterwards comes next."""
        if not self.ticks or self.ticks[0] > last:
            return None
        self.tick = heappop(self.ticks)
        return self.buckets.pop(self.tick)
