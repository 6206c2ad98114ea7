"""Virtual time under asyncio: an event loop whose clock jumps to the next deadline."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

THREAD_PATIENCE = 0.01
"""Real seconds after which it is looked again whether threads still work. Those that end wake the
loop, so this is for those that were abandoned."""
NO_SOCKETS = "virtual time knows no sockets: give hosts a MemoryNetwork (Host(network=…))"


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0.0 and moves only when nothing can run: `anyio.run(…,
    backend_options={"loop_factory": VirtualTimeLoop})`."""

    def __init__(self) -> None:
        self._now = 0.0
        self._executing = 0
        selector = _Selector(self)
        super().__init__(selector)
        selector.is_complete = True  # with the loop's own means to be woken

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds

    def has_busy_threads(self) -> bool:
        """Whether a thread works for a task of this loop."""
        if self._executing:
            return True
        return threading.active_count() > 1 and any(map(self._is_busy, threading.enumerate()))

    def _is_busy(self, thread: Any) -> bool:
        """anyio keeps its worker threads to itself; those that rest are in a list each of them
        has. One that stops will not report anything."""
        if getattr(thread, "loop", None) is not self or getattr(thread, "stopping", True):
            return False
        return thread not in thread.idle_workers

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Arguments], T],
        *args: *Arguments,
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._executing += 1
        future.add_done_callback(self._executed)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Waits as long as it takes: the deadline would have passed at once."""
        await super().shutdown_default_executor()

    def _executed(self, future: asyncio.Future[Any]) -> None:
        self._executing -= 1


class _Selector(selectors.DefaultSelector):
    """Where the loop would wait, it lets time jump instead."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self.is_complete = False
        self._loop = loop

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.is_complete:
            raise RuntimeError(NO_SOCKETS)
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if ready:
            return ready
        if self._loop.has_busy_threads():
            return super().select(THREAD_PATIENCE)
        self._loop.jump(timeout)
        return []
