"""A flag that synchronous code sets and one task waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from gossipsub.event_loop import asyncio_loop

if TYPE_CHECKING:
    import asyncio


class Wake:
    """Set from any synchronous code; a set before the wait is not lost.

    Cheaper than a queue: the setter does not yield, and any number of sets before the waiter
    runs cost one wake-up.
    """

    __slots__ = ("_is_set", "_loop", "_waiting")

    def __init__(self) -> None:
        self._waiting: Any = None
        """A future of the loop, or an event where there is none."""
        self._is_set = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def set(self) -> None:
        if not self._is_set:
            self._is_set = True
            waiting = self._waiting
            if waiting is None:
                return
            if self._loop is None:
                waiting.set()
            elif not waiting.done():  # cancelled: its task has not run yet
                waiting.set_result(None)

    async def wait(self) -> None:
        """Return when set since the last return. One task at a time may wait."""
        if not self._is_set:
            loop = self._loop
            if loop is None:
                loop = self._loop = asyncio_loop()
            try:
                if loop is not None:
                    self._waiting = loop.create_future()
                    await self._waiting
                else:
                    self._waiting = anyio.Event()
                    await self._waiting.wait()
            finally:
                self._waiting = None
        self._is_set = False
