"""What a test peer printed: lines out of bytes, and events kept until somebody takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import anyio

MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_EVENTS = 20_000
MAX_BUFFERED_BYTES = 64 * 1024 * 1024
MAX_KINDS = 32
"""Twice as many as any peer has."""


class LineReader:
    """Cuts a byte stream into lines. A line above the limit is a ValueError."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._rest = bytearray()

    def receive_data(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends and without empty ones."""
        if b"\n" not in data:
            self._rest += data
            lines = []
        else:
            first, *middle = data.split(b"\n")
            lines = [bytes(self._rest) + first, *middle]
            self._rest = bytearray(lines.pop())
        if len(self._rest) > self._max_line_bytes:
            raise ValueError(f"a line of more than {self._max_line_bytes} bytes")
        return [line for line in lines if line.strip()]


class EventBuffer:
    """Events in the order they came, a queue for each kind.

    Each kind keeps at most MAX_EVENTS events and MAX_BUFFERED_BYTES of printed text: the oldest go
    first and are counted in `dropped`. Of kinds there may be MAX_KINDS.
    """

    def __init__(
        self,
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BUFFERED_BYTES,
        max_kinds: int = MAX_KINDS,
    ) -> None:
        self.total = 0
        """How many events came in all."""
        self.dropped: dict[str, int] = {}
        self._changed: anyio.Event | None = None
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._max_kinds = max_kinds
        self._queues: dict[str, deque[tuple[int, int, dict[str, Any]]]] = {}
        self._bytes: dict[str, int] = {}

    def add(self, kind: str, event: dict[str, Any], size_bytes: int) -> None:
        """ValueError for a kind too many: nobody asks for kinds without end."""
        if kind not in self._bytes and len(self._bytes) >= self._max_kinds:
            raise ValueError(f"more than {self._max_kinds} kinds of events")
        queue = self._queues.setdefault(kind, deque())
        queue.append((self.total, size_bytes, event))
        self.total += 1
        self._bytes[kind] = self._bytes.get(kind, 0) + size_bytes
        while len(queue) > self._max_events or self._bytes[kind] > self._max_bytes:
            self._bytes[kind] -= queue.popleft()[1]
            self.dropped[kind] = self.dropped.get(kind, 0) + 1
        self.wake()

    async def changed(self) -> None:
        """Wait for the next event or `wake`."""
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def wake(self) -> None:
        """Let everybody who waits for `changed` look again."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def take(
        self,
        kind: str,
        where: Callable[[dict[str, Any]], bool] | None = None,
        *,
        since: int = 0,
    ) -> dict[str, Any] | None:
        """Remove and return the oldest event of a kind for which `where` holds, None if none does.

        Events before number `since` (a former `total`) are not looked at.
        """
        queue = self._queues.get(kind, deque())
        for position, (number, size_bytes, event) in enumerate(queue):
            if number >= since and (where is None or where(event)):
                del queue[position]
                self._bytes[kind] -= size_bytes
                return event
        return None

    def take_all(self, kind: str) -> list[dict[str, Any]]:
        """Remove and return all events of a kind, oldest first."""
        if kind in self._bytes:
            self._bytes[kind] = 0
        return [event for _, _, event in self._queues.pop(kind, ())]
