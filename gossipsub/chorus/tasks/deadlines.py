"""One deadline for each of many keys; setting another replaces it."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """A heap that leaves replaced entries behind, and clears them away now and then."""

    def __init__(self) -> None:
        self._times: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0

    def set(self, key: K, time: float) -> None:
        self._count += 1
        self._times[key] = (time, self._count)
        heappush(self._heap, (time, self._count, key))
        if len(self._heap) > 2 * len(self._times) + 64:
            self._heap = [(when, n, one) for one, (when, n) in self._times.items()]
            heapify(self._heap)

    def cancel(self, key: K) -> None:
        """Nothing happens where it has none."""
        self._times.pop(key, None)

    def next(self) -> float:
        """The earliest of all; infinity where there is none."""
        while self._heap and self._is_left_behind(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else inf

    def pop_due(self, now: float) -> K | None:
        """A key whose time has come, the earliest first; it has no deadline any more."""
        if self.next() > now:
            return None
        key = heappop(self._heap)[2]
        del self._times[key]
        return key

    def _is_left_behind(self, entry: tuple[float, int, K]) -> bool:
        time, count, key = entry
        return self._times.get(key) != (time, count)
