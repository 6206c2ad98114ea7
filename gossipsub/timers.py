"""All deadlines of a host in one heap, served by one task."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable

import anyio
import anyio.lowlevel

from gossipsub.event_loop import loop_clock
from gossipsub.wake import Wake

logger = logging.getLogger("gossipsub.timers")


class Timer:
    """One action at one time; `cancel()` is harmless at any moment."""

    __slots__ = ("_timers", "action", "cancelled", "sequence", "when")

    def __init__(
        self, when: float, sequence: int, action: Callable[[], None], timers: Timers
    ) -> None:
        self.when = when
        self.sequence = sequence
        self.action = action
        self.cancelled = False
        self._timers = timers

    def cancel(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            self.action = _nothing  # what it would have acted on need not be kept
            self._timers.cancelled += 1

    def __lt__(self, other: Timer) -> bool:
        return (self.when, self.sequence) < (other.when, other.sequence)


def _nothing() -> None: ...


class Timers:
    """Runs synchronous actions at their times, in order; `run()` is the task that serves them."""

    def __init__(self) -> None:
        self.cancelled = 0
        """Timers cancelled that may still be in the heap."""
        self._heap: list[Timer] = []
        self._sequence = 0
        self._wake = Wake()
        self._clock: Callable[[], float] = anyio.current_time

    def now(self) -> float:
        """Monotonic seconds of the running event loop."""
        return self._clock()

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        self._sequence += 1
        timer = Timer(when, self._sequence, action, self)
        if self.cancelled > 100 and self.cancelled * 2 > len(self._heap):
            self._forget_cancelled()
        heapq.heappush(self._heap, timer)
        if self._heap[0] is timer:
            self._wake.set()
        return timer

    def __len__(self) -> int:
        """Timers kept, cancelled ones included."""
        return len(self._heap)

    def _forget_cancelled(self) -> None:
        """A peer must not be able to fill the heap by what it starts and ends in time."""
        self._heap = [timer for timer in self._heap if not timer.cancelled]
        heapq.heapify(self._heap)
        self.cancelled = 0

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        return self.at(self.now() + seconds, action)

    async def run(self) -> None:
        """Serve until cancelled. An action's exception is a bug of ours: logged, not passed on."""
        self._clock = loop_clock()
        while True:
            self._run_due()
            # Actions that are due again at once must not keep everybody else from running.
            await anyio.lowlevel.checkpoint()
            heap = self._heap
            # Waking a moment late is harmless, a moment early would spin.
            pause = max(heap[0].when - self.now(), 0.0005) if heap else 3600.0
            with anyio.move_on_after(pause):
                await self._wake.wait()

    def _run_due(self) -> None:
        now = self.now()
        due: list[Timer] = []  # first all, so that what an action starts waits for its turn
        while self._heap and (self._heap[0].cancelled or self._heap[0].when <= now):
            due.append(heapq.heappop(self._heap))
        for timer in due:
            if timer.cancelled:
                self.cancelled = max(self.cancelled - 1, 0)
                continue
            timer.cancelled = True  # cancelling what has run counts for nothing
            try:
                timer.action()
            except Exception:
                logger.exception("a timer's action failed")
