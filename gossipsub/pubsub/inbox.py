"""A bounded buffer between the node, which never waits, and one reader, which may be slow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio.lowlevel

from gossipsub.wake import Wake
from gossipsub.wire.errors import LocalProtocolError

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """`async with` opens it, `async for` reads it. One task at a time may read.

    When the buffer is full, the newest item is dropped and counted, and the node goes on.
    """

    def __init__(
        self,
        *,
        buffer: int,
        opened: Callable[[Self], None],
        closed: Callable[[Self], None],
    ) -> None:
        if not isinstance(buffer, int) or buffer < 1:
            raise LocalProtocolError(f"a buffer holds at least 1 item: {buffer!r}")
        self._buffer: deque[Item] = deque()
        self._size = buffer
        self._on_open: Callable[[Any], None] = opened
        self._on_close: Callable[[Any], None] = closed
        self._wake = Wake()
        self._is_open = False
        self._is_read = False
        self._ended = False
        self.delivered = 0
        """Items put into the buffer since it was opened."""
        self.dropped = 0
        """Items that found the buffer full and are lost to this reader."""

    async def __aenter__(self) -> Self:
        if self._is_open or self._ended:
            raise LocalProtocolError("it is opened once; make another")
        self._on_open(self)
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop receiving. What is buffered can still be read; then iteration ends."""
        if self._is_open and not self._ended:
            self._ended = True
            self._on_close(self)
            self._wake.set()

    def end(self) -> None:
        """Called by the node when it stops."""
        self._ended = True
        self._wake.set()

    def push(self, item: Item) -> None:
        """Called by the node. Never blocks."""
        if self.is_full():
            self.dropped += 1
            return
        self._buffer.append(item)
        self.delivered += 1
        self._wake.set()

    def is_full(self) -> bool:
        return len(self._buffer) >= self._size

    def __len__(self) -> int:
        """Items in the buffer now."""
        return len(self._buffer)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        if not self._is_open:
            raise LocalProtocolError("open it first: async with …")
        if self._is_read:
            raise LocalProtocolError("another task reads it")
        self._is_read = True
        try:
            # A reader that awaits nothing else must still let the node run now and then.
            if self._buffer and len(self._buffer) & 63 == 0:
                await anyio.lowlevel.checkpoint()
            while not self._buffer:
                if self._ended:
                    raise StopAsyncIteration
                await self._wake.wait()
            return self._take()
        finally:
            self._is_read = False

    def _take(self) -> Item:
        return self._buffer.popleft()
