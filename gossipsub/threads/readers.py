"""What threads read: messages of a subscription, events of peers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Condition
from types import TracebackType
from typing import Generic, Self, TypeVar

from gossipsub.peer_events import PeerEvent
from gossipsub.pubsub.inbox import Inbox
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.pubsub.subscription import Subscription as AsyncSubscription
from gossipsub.pubsub.subscription import SubscriptionStatistics
from gossipsub.pubsub.validation.overload import OverloadEvent
from gossipsub.threads.loop_thread import HostClosed, LoopThread
from gossipsub.wire.errors import LocalProtocolError

Item = TypeVar("Item")


class Reader(Generic[Item]):
    """`with` opens it, `for` reads it; any number of threads may read, each item goes to one.

    Threads take items out of the buffer themselves, without a call into the host's thread: a call
    costs a hundred times as much.
    """

    def __init__(self, loop: LoopThread, inbox: Inbox[Item]) -> None:
        self._loop = loop
        self._inbox = inbox
        self._changed = Condition()
        self._is_open = False
        inbox.share(self._changed)

    def __enter__(self) -> Self:
        self._loop.call(self._inbox.__aenter__)
        self._is_open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop receiving. What is buffered can still be read; then iteration ends."""
        if self._is_open:
            with suppress(HostClosed):
                self._loop.call(self._inbox.close)

    def receive(self, timeout: float | None = None) -> Item:
        """The next item, as soon as there is one. TimeoutError after `timeout` seconds, EOFError
        when it was closed and all is read, SubscriptionOverflow where the `overflow` policy says
        so."""
        if not self._is_open:
            raise LocalProtocolError("open it first: with …")
        deadline = None if timeout is None else time.monotonic() + timeout
        inbox, changed = self._inbox, self._changed
        with changed:
            while not len(inbox):
                if inbox.has_ended():
                    raise EOFError("it was closed, and all is read")
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    raise TimeoutError(f"nothing came within {timeout} s")
                changed.wait(remaining)
            return inbox.take()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        try:
            return self.receive()
        except EOFError:
            raise StopIteration from None

    def __len__(self) -> int:
        """Items in the buffer now."""
        return len(self._inbox)

    @property
    def delivered(self) -> int:
        """Items read, or waiting in the buffer, since it was opened."""
        return self._inbox.delivered

    @property
    def dropped(self) -> int:
        """Items lost to this reader because the buffer was full."""
        return self._inbox.dropped


class Subscription(Reader[ReceivedMessage]):
    """`with topic.subscribe() as messages: for message in messages: …`"""

    def __init__(self, loop: LoopThread, subscription: AsyncSubscription) -> None:
        super().__init__(loop, subscription)
        self._subscription = subscription

    def statistics(self) -> SubscriptionStatistics:
        """What became of the messages since it was opened."""
        with self._changed:
            return self._subscription.statistics()


class PeerEvents(Reader[PeerEvent]):
    """`with host.peer_events() as events: for event in events: …`"""


class OverloadEvents(Reader[OverloadEvent]):
    """`with host.overload_events() as events: for event in events: …`"""
