"""A bounded buffer between the node, which never waits, and one reader, which may be slow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum
from threading import Condition
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio.lowlevel

from gossipsub.wake import Wake
from gossipsub.wire.errors import GossipSubError, LocalProtocolError

Item = TypeVar("Item")


class Overflow(Enum):
    """What happens to an item that finds its reader's buffer full."""

    DROP_NEWEST = "drop_newest"
    """It is lost; the reader goes on with what is older."""
    DROP_OLDEST = "drop_oldest"
    """What has waited longest is lost: for readers to whom the latest matters most."""
    ERROR = "error"
    """It is lost, nothing more is taken, and reading ends in `SubscriptionOverflow` behind what is
    buffered: for readers that must not miss anything without knowing."""


class SubscriptionOverflow(GossipSubError):
    """Items were lost to a reader that asked to be told; no more come. It may subscribe anew."""


class Inbox(Generic[Item]):
    """`async with` opens it, `async for` reads it. One task at a time may read.

    When the buffer is full, the overflow policy says what is dropped; it is counted, and the node
    goes on.
    """

    def __init__(
        self,
        *,
        buffer: int,
        opened: Callable[[Self], None],
        closed: Callable[[Self], None],
        overflow: Overflow | str = Overflow.DROP_NEWEST,
    ) -> None:
        if not isinstance(buffer, int) or buffer < 1:
            raise LocalProtocolError(f"a buffer holds at least 1 item: {buffer!r}")
        try:
            self.overflow = Overflow(overflow)
        except ValueError as error:
            names = ", ".join(repr(policy.value) for policy in Overflow)
            raise LocalProtocolError(f"overflow is one of {names}: {overflow!r}") from error
        self._buffer: deque[Item] = deque()
        self._size = buffer
        self._on_open: Callable[[Any], None] = opened
        self._on_close: Callable[[Any], None] = closed
        self._wake = Wake()
        self._guard: Condition | None = None
        self._ring: Callable[[], None] = self._wake.set
        self._is_open = False
        self._is_read = False
        self._ended = False
        self._overflowed = False
        self.delivered = 0
        """Items read, or waiting in the buffer, since it was opened."""
        self.dropped = 0
        """Items lost to this reader because the buffer was full."""

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
            self.end()
            self._on_close(self)

    def end(self) -> None:
        """Called by the node when it stops."""
        with self._guard or nullcontext():
            self._ended = True
            self._ring()

    def share(self, condition: Condition) -> None:
        """Let threads read instead of tasks: they hold `condition`, which is told of all that
        changes. Called before anything is pushed."""
        self._guard, self._ring = condition, condition.notify_all

    def push(self, item: Item) -> None:
        """Called by the node. Never blocks."""
        if self._guard is None:
            self._receive(item)
        else:
            with self._guard:
                self._receive(item)

    def _receive(self, item: Item) -> None:
        if self._overflowed or (self._is_full(item) and not self._make_room(item)):
            self.dropped += 1
            return
        self._put(item)
        self.delivered += 1
        self._ring()

    def _make_room(self, item: Item) -> bool:
        """The buffer is full: whether the item has room now."""
        if self.overflow is Overflow.DROP_OLDEST:
            while self._is_full(item):
                self.take()
                self.delivered -= 1
                self.dropped += 1
            return True
        if self.overflow is Overflow.ERROR:
            self._overflowed = True
            self._ring()
        return False

    def _is_full(self, item: Item) -> bool:
        """Whether there is no room for one more; an empty buffer has room for anything."""
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
                if self.has_ended():
                    raise StopAsyncIteration
                await self._wake.wait()
            return self.take()
        finally:
            self._is_read = False

    def has_ended(self) -> bool:
        """Whether nothing follows what is buffered. SubscriptionOverflow where something is
        missing behind it."""
        if self._overflowed:
            raise SubscriptionOverflow(f"the buffer was full: {self.dropped} were lost")
        return self._ended

    def _put(self, item: Item) -> None:
        self._buffer.append(item)

    def take(self) -> Item:
        """What has waited longest; IndexError where nothing does."""
        return self._buffer.popleft()
