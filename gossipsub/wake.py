"""A flag that synchronous code sets and one task waits for."""

from __future__ import annotations

import anyio


class Wake:
    """Set from any synchronous code; a set before the wait is not lost.

    Cheaper than a queue: the setter does not yield, and any number of sets before the waiter
    runs cost one wake-up.
    """

    __slots__ = ("_event", "_is_set")

    def __init__(self) -> None:
        self._event: anyio.Event | None = None
        self._is_set = False

    def set(self) -> None:
        if not self._is_set:
            self._is_set = True
            if self._event is not None:
                self._event.set()

    async def wait(self) -> None:
        """Return when set since the last return. One task at a time may wait."""
        if not self._is_set:
            self._event = anyio.Event()
            try:
                await self._event.wait()
            finally:
                self._event = None
        self._is_set = False
