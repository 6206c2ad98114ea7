"""Virtual time under trio: a clock that jumps to the next deadline.

trio's own `MockClock` can jump by itself as well, but jumps while threads work.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import trio.abc
import trio.lowlevel
import trio.testing

FOREVER = 1e9
"""Real seconds that trio may wait for what is due later: the clock is moved before."""
FOREIGN_PAUSE = 0.01
"""Real seconds between looks while no task waits for a time."""
OWN_SOCKETS = 1
"""Sockets that trio waits for itself, to be woken by threads."""
NO_SOCKETS = "virtual time knows no sockets: give hosts a MemoryNetwork (Host(network=…))"

_testing: Any = trio.testing
"""Stubs that some environments have for trio are too old to know of its threads."""
_scheduler: Any = import_module("trio._core._run")
"""trio shuffles tasks that can run at one time. For tests it has a generator to be seeded and a
switch to sort before, though no official way to them; its own pytest plugin uses the same."""


class VirtualTimeClock(trio.abc.Clock):
    """Starts at 0.0 with each run and moves only when every task waits:
    `trio.run(…, clock=VirtualTimeClock())`. Tasks take turns in the same order in each run."""

    def __init__(self) -> None:
        self._now = 0.0
        self._was_sorting = False

    def start_clock(self) -> None:
        self._was_sorting = _scheduler._ALLOW_DETERMINISTIC_SCHEDULING
        _scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
        self._move_to(0.0)
        # The run is about to begin; a task can be started once it has.
        trio.lowlevel.current_trio_token().run_sync_soon(self._start)

    def current_time(self) -> float:
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0.0 if deadline <= self._now else FOREVER

    def _start(self) -> None:
        trio.lowlevel.spawn_system_task(self._jump_when_idle)

    async def _jump_when_idle(self) -> None:
        try:
            while True:
                await trio.testing.wait_all_tasks_blocked()
                # A test that waits for this moment, too, goes first: both are woken together.
                await trio.testing.wait_all_tasks_blocked()
                await self._jump()
        finally:
            _scheduler._ALLOW_DETERMINISTIC_SCHEDULING = self._was_sorting

    async def _jump(self) -> None:
        if _testing.active_thread_count():
            await _testing.wait_all_threads_completed()
            return
        statistics = trio.lowlevel.current_statistics()
        if _waiting_for_sockets(statistics.io_statistics) > OWN_SOCKETS:
            raise RuntimeError(NO_SOCKETS)
        seconds = statistics.seconds_to_next_deadline
        if math.isinf(seconds):  # until another thread brings something
            await trio.testing.wait_all_tasks_blocked(FOREIGN_PAUSE)
        elif seconds > 0:
            self._move_to(self._now + seconds)

    def _move_to(self, now: float) -> None:
        self._now = now
        # Of each moment anew: what threads upset is forgotten with the moment.
        _scheduler._r.seed(now)


def _waiting_for_sockets(statistics: object) -> int:
    """Not told on every system."""
    names = ("tasks_waiting_read", "tasks_waiting_write")
    return sum(getattr(statistics, name, 0) for name in names)
