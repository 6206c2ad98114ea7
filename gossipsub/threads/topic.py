"""A topic as a thread holds it; every method is the one of `gossipsub.Topic` with that name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.inbox import Overflow
from gossipsub.pubsub.message import PublishResult
from gossipsub.pubsub.partial import PartialHandler, PartialMessage
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.pubsub.subscription import MessageFilter, SubscriptionStatistics
from gossipsub.pubsub.topic import Topic as AsyncTopic
from gossipsub.threads.loop_thread import HostClosed, LoopThread
from gossipsub.threads.readers import Subscription


class Topic:
    """One per topic and host, from `host.join(name)`."""

    def __init__(self, loop: LoopThread, topic: AsyncTopic) -> None:
        self._loop = loop
        self._topic = topic

    @property
    def name(self) -> str:
        """The topic's name."""
        return self._topic.name

    @property
    def fanout_only(self) -> bool:
        """Whether the host never takes part in the topic."""
        return self._topic.fanout_only

    def subscribe(
        self,
        *,
        buffer: int | None = None,
        buffer_bytes: int | None = None,
        overflow: Overflow | str | None = None,
        message_filter: MessageFilter | None = None,
    ) -> Subscription:
        """A new subscription, to be opened with `with`. `message_filter` runs in the host's
        thread."""
        subscription = self._topic.subscribe(
            buffer=buffer,
            buffer_bytes=buffer_bytes,
            overflow=overflow,
            message_filter=message_filter,
        )
        return Subscription(self._loop, subscription)

    @contextmanager
    def relay(self) -> Iterator[None]:
        """Take part in the topic and pass its messages on, without reading them."""
        relay = self._topic.relay()
        self._loop.call(relay.__aenter__)
        try:
            yield
        finally:
            with suppress(HostClosed):
                self._loop.call(relay.__aexit__, None, None, None)

    def publish(
        self,
        data: bytes,
        *,
        local_only: bool = False,
        cache: bool = True,
        wait_for: int = 0,
        timeout: float = math.inf,
    ) -> PublishResult:
        """Sign and send `data`; tells who is sent it."""
        (result,) = self.publish_batch(
            (data,), local_only=local_only, cache=cache, wait_for=wait_for, timeout=timeout
        )
        return result

    def publish_batch(
        self,
        batch: Iterable[bytes],
        *,
        local_only: bool = False,
        cache: bool = True,
        wait_for: int = 0,
        timeout: float = math.inf,
    ) -> tuple[PublishResult, ...]:
        """Publish several messages together; much cheaper than one call for each."""
        publish = partial(
            self._topic.publish_batch,
            tuple(batch),
            local_only=local_only,
            cache=cache,
            wait_for=wait_for,
            timeout=timeout,
        )
        return self._loop.call(publish)

    def sign(self, data: bytes) -> SignedMessage:
        """What `publish` would send, not sent yet."""
        return self._loop.call(self._topic.sign, data)

    def publish_signed(self, message: SignedMessage) -> PublishResult:
        """Send what `sign` gave."""
        return self._loop.call(self._topic.publish_signed, message)

    def set_partial_handler(self, handler: PartialHandler | None) -> None:
        """Who hears of partial messages; it is called in the host's thread."""
        self._loop.call(self._topic.set_partial_handler, handler)

    def publish_partial(
        self, group_id: bytes, message_for: Callable[[PeerId, bool], PartialMessage | None]
    ) -> tuple[PeerId, ...]:
        """Tell peers of parts of a group; `message_for` is called in the host's thread."""
        return self._loop.call(self._topic.publish_partial, group_id, message_for)

    def send_partial(self, peer: PeerId, group_id: bytes, partial: PartialMessage) -> bool:
        """Send one peer parts of a group, metadata or both; False where nothing was sent."""
        return self._loop.call(self._topic.send_partial, peer, group_id, partial)

    def peers(self) -> tuple[PeerId, ...]:
        """Connected peers that are subscribed to the topic."""
        return self._loop.call(self._topic.peers)

    def has_enough_peers(self, wanted: int | None = None) -> bool:
        """Whether a message can reach `wanted` peers (D_low where not given)."""
        return self._loop.call(self._topic.has_enough_peers, wanted)

    def mesh(self) -> tuple[PeerId, ...]:
        """Peers this host exchanges the topic's messages with directly."""
        return self._loop.call(self._topic.mesh)

    @property
    def relays(self) -> int:
        """How many are open."""
        return self._topic.relays

    def subscription_statistics(self) -> tuple[SubscriptionStatistics, ...]:
        """Of the open subscriptions, oldest first."""
        return self._loop.call(self._topic.subscription_statistics)

    def wait_for_peers(self, count: int, *, timeout: float, grafted: bool = False) -> None:
        """Return when `count` peers are subscribed, or with `grafted` in the mesh; TimeoutError
        after `timeout` seconds."""
        wait = partial(self._topic.wait_for_peers, count, timeout=timeout, grafted=grafted)
        self._loop.call(wait)

    def close(self) -> None:
        """Give the handle back; LocalProtocolError while a subscription or relay is open."""
        with suppress(HostClosed):
            self._loop.call(self._topic.close)
