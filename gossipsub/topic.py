"""A topic as its local user holds it: publish, subscribe, wait for peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from gossipsub.crypto.peer_id import PeerId
from gossipsub.message import PublishResult, ReceivedMessage
from gossipsub.subscription import Subscription
from gossipsub.wake import Wake
from gossipsub.wire.errors import LocalProtocolError

if TYPE_CHECKING:
    from gossipsub.pubsub import PubSub


class Topic:
    """One per topic and host, from `host.join(name)`. Joining announces nothing; the first
    subscription does."""

    def __init__(self, pubsub: PubSub, name: str) -> None:
        self.name = name
        self._pubsub = pubsub
        self._subscriptions: dict[Subscription, None] = {}
        self._watchers: list[Wake] = []
        self._is_open = True

    def subscribe(self, *, buffer: int | None = None) -> Subscription:
        """A new subscription, to be opened with `async with`; `buffer` is in messages."""
        return Subscription(
            buffer=self._pubsub.config.subscription_buffer if buffer is None else buffer,
            opened=self._opened,
            closed=self._closed,
        )

    async def publish(self, data: bytes) -> PublishResult:
        """Sign and send `data`; also delivered to this host's own subscriptions.

        Waits while every peer it went to is behind with what was sent before, at most a second.
        A message whose id was delivered before is not sent again: the result names no peers then.
        LocalProtocolError: the topic was closed, `data` is not bytes or too large, or the topic's
        validator refuses it; nothing was sent then.
        """
        if not self._is_open:
            raise LocalProtocolError(f"the topic was closed: {self.name}")
        if not isinstance(data, bytes):
            raise LocalProtocolError(f"data must be bytes: {type(data).__name__}")
        result = await self._pubsub.publish(self.name, data)
        await self._pubsub.wait_for_room(result.queued_to)
        return result

    def peers(self) -> tuple[PeerId, ...]:
        """Connected peers that are subscribed to the topic."""
        return self._pubsub.topic_peers(self.name)

    def mesh(self) -> tuple[PeerId, ...]:
        """Peers this host exchanges the topic's messages with directly."""
        return self._pubsub.mesh(self.name)

    async def wait_for_peers(self, count: int, *, timeout: float) -> None:
        """Return when `count` peers are subscribed; TimeoutError after `timeout` seconds,
        LocalProtocolError when the topic is closed."""
        watcher = Wake()
        self._watchers.append(watcher)
        try:
            with anyio.move_on_after(timeout) as waiting:
                while self._is_open and len(self.peers()) < count:
                    await watcher.wait()
        finally:
            self._watchers.remove(watcher)
        if not self._is_open:
            raise LocalProtocolError(f"the topic was closed: {self.name}")
        if waiting.cancelled_caught:
            raise TimeoutError(
                f"{len(self.peers())} of {count} peers in {self.name} after {timeout} s"
            )

    def close(self) -> None:
        """Give the handle back. LocalProtocolError while a subscription is open."""
        if self._subscriptions:
            raise LocalProtocolError(f"close the subscriptions of {self.name} first")
        if self._is_open:
            self._is_open = False
            self._pubsub.forget_topic(self)
            self.peers_changed()

    def deliver(self, message: ReceivedMessage) -> None:
        """Called by the node for each new message."""
        for subscription in self._subscriptions:
            subscription.push(message)

    def peers_changed(self) -> None:
        """Called by the node when a peer joins or leaves the topic."""
        for watcher in self._watchers:
            watcher.set()

    def end(self) -> None:
        """Called by the node when it stops."""
        self._is_open = False
        for subscription in self._subscriptions:
            subscription.end()
        self._subscriptions.clear()
        self.peers_changed()

    def _opened(self, subscription: Subscription) -> None:
        if not self._is_open:
            raise LocalProtocolError(f"the topic was closed: {self.name}")
        if not self._subscriptions:
            self._pubsub.subscribe(self.name)
        self._subscriptions[subscription] = None

    def _closed(self, subscription: Subscription) -> None:
        self._subscriptions.pop(subscription, None)
        if not self._subscriptions and self._is_open:
            self._pubsub.unsubscribe(self.name)
