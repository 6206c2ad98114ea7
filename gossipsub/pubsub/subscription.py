"""A local reader of one topic."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from gossipsub.pubsub.inbox import Inbox
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.subscription")

MessageFilter = Callable[[ReceivedMessage], bool]
"""Whether a subscription wants a message."""


@dataclass(frozen=True, slots=True)
class SubscriptionStatistics:
    delivered: int
    """Messages put into the buffer since the subscription was opened."""
    dropped: int
    """Messages that found the buffer full and were lost to this reader."""
    waiting: int
    """Messages in the buffer now."""


class Subscription(Inbox[ReceivedMessage]):
    """`async with topic.subscribe() as messages: async for message in messages: …`"""

    def __init__(
        self,
        *,
        buffer: int,
        opened: Callable[[Self], None],
        closed: Callable[[Self], None],
        message_filter: MessageFilter | None = None,
    ) -> None:
        super().__init__(buffer=buffer, opened=opened, closed=closed)
        if message_filter is not None and not callable(message_filter):
            raise LocalProtocolError(f"a message filter is a function: {message_filter!r}")
        self._filter = message_filter

    def push(self, message: ReceivedMessage) -> None:
        if self._filter is None or self._wants(message, self._filter):
            super().push(message)

    def statistics(self) -> SubscriptionStatistics:
        """What became of the messages since it was opened."""
        return SubscriptionStatistics(self.delivered, self.dropped, len(self))

    def _wants(self, message: ReceivedMessage, message_filter: MessageFilter) -> bool:
        try:
            return bool(message_filter(message))
        except Exception:
            logger.exception("a message filter failed topic=%s", message.topic)
            return False
