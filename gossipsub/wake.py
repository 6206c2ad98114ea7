"""A flag that synchronous code sets and one task waits for."""

from __future__ import annotations

import asyncio

import anyio

from gossipsub.event_loop import asyncio_loop


class Wake:
    """Set from any synchronous code; a set before the wait is not lost.

    Cheaper than a queue: the setter does not yield, and any number of sets before the waiter
    runs cost one wake-up.
    """

    __slots__ = ("_is_set", "_loop", "_waiting")

    def __init__(self) -> None:
        self._waiting: asyncio.Future[None] | anyio.Event | None = None
        self._is_set = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def set(self) -> None:
        if not self._is_set:
            self._is_set = True
            waiting = self._waiting
            if isinstance(waiting, asyncio.Future):
                if not waiting.done():  # cancelled: its task has not run yet
                    waiting.set_result(None)
            elif waiting is not None:
                waiting.set()

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
