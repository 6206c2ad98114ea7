"""A local reader of one topic."""

from __future__ import annotations

from dataclasses import dataclass

from gossipsub.inbox import Inbox
from gossipsub.message import ReceivedMessage


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

    def statistics(self) -> SubscriptionStatistics:
        return SubscriptionStatistics(self.delivered, self.dropped, len(self))
