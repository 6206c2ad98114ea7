"""A local reader of one topic."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from gossipsub.pubsub.inbox import Inbox, Overflow
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.subscription")

MessageFilter = Callable[[ReceivedMessage], bool]
"""Whether a subscription wants a message."""


@dataclass(frozen=True, slots=True)
class SubscriptionStatistics:
    delivered: int
    """Messages read, or waiting in the buffer, since the subscription was opened."""
    dropped: int
    """Messages lost to this reader because the buffer was full."""
    waiting: int
    """Messages in the buffer now."""
    waiting_bytes: int
    """Their data."""


class Subscription(Inbox[ReceivedMessage]):
    """`async with topic.subscribe() as messages: async for message in messages: …`"""

    def __init__(
        self,
        *,
        buffer: int,
        buffer_bytes: int,
        opened: Callable[[Self], None],
        closed: Callable[[Self], None],
        overflow: Overflow | str = Overflow.DROP_NEWEST,
        message_filter: MessageFilter | None = None,
    ) -> None:
        super().__init__(buffer=buffer, opened=opened, closed=closed, overflow=overflow)
        if not isinstance(buffer_bytes, int) or buffer_bytes < 1:
            raise LocalProtocolError(f"a buffer holds at least 1 byte: {buffer_bytes!r}")
        if message_filter is not None and not callable(message_filter):
            raise LocalProtocolError(f"a message filter is a function: {message_filter!r}")
        self._filter = message_filter
        self._max_bytes = buffer_bytes
        self._bytes = 0

    def push(self, message: ReceivedMessage) -> None:
        if self._filter is not None and not self._wants(message, self._filter):
            return
        buffer, size = self._buffer, self._bytes + len(message.data)
        is_full = buffer and (len(buffer) >= self._size or size > self._max_bytes)
        if is_full or self._overflowed or self._guard is not None:
            super().push(message)
            return
        # What that would do, without its five calls: nearly all messages come this way.
        buffer.append(message)
        self._bytes = size
        self.delivered += 1
        self._ring()

    def statistics(self) -> SubscriptionStatistics:
        """What became of the messages since it was opened."""
        return SubscriptionStatistics(self.delivered, self.dropped, len(self), self._bytes)

    def _is_full(self, message: ReceivedMessage) -> bool:
        waiting = len(self._buffer)
        if not waiting:
            return False
        return waiting >= self._size or self._bytes + len(message.data) > self._max_bytes

    def _put(self, message: ReceivedMessage) -> None:
        self._buffer.append(message)
        self._bytes += len(message.data)

    def take(self) -> ReceivedMessage:
        message = self._buffer.popleft()
        self._bytes -= len(message.data)
        return message

    def _wants(self, message: ReceivedMessage, message_filter: MessageFilter) -> bool:
        try:
            return bool(message_filter(message))
        except Exception:
            logger.exception("a message filter failed topic=%s", message.topic)
            return False
