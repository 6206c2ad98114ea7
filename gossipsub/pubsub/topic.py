"""A topic as its local user holds it: publish, subscribe, wait for peers."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.inbox import Overflow
from gossipsub.pubsub.message import PublishResult, ReceivedMessage
from gossipsub.pubsub.partial import PartialHandler, PartialMessage
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.pubsub.subscription import (
    MessageFilter,
    Subscription,
    SubscriptionStatistics,
)
from gossipsub.wake import Wake
from gossipsub.wire.errors import LocalProtocolError

if TYPE_CHECKING:
    from gossipsub.pubsub.driver import PubSub


class Topic:
    """One per topic and host, from `host.join(name)`. Joining announces nothing; the first
    subscription or relay does, unless the handle is `fanout_only`."""

    def __init__(self, pubsub: PubSub, name: str, *, fanout_only: bool = False) -> None:
        self.name = name
        self.fanout_only = fanout_only
        self._pubsub = pubsub
        self._subscriptions: dict[Subscription, None] = {}
        self._relays = 0
        self._watchers: list[Wake] = []
        self._is_open = True

    def subscribe(
        self,
        *,
        buffer: int | None = None,
        buffer_bytes: int | None = None,
        overflow: Overflow | str | None = None,
        message_filter: MessageFilter | None = None,
    ) -> Subscription:
        """A new subscription, to be opened with `async with`.

        It keeps up to `buffer` messages, with up to `buffer_bytes` of data, for its reader; what
        is dropped beyond that says `overflow`, an `Overflow` or its value. Those not given are
        the `HostConfig`'s.

        What `message_filter` answers False for is not put into the buffer; nor is that for which
        it fails, which is logged. It runs where messages are delivered and must be quick.
        LocalProtocolError: a size is no positive number, `overflow` no policy, or `message_filter`
        no function.
        """
        config = self._pubsub.config
        return Subscription(
            buffer=config.subscription_buffer if buffer is None else buffer,
            buffer_bytes=config.subscription_buffer_bytes if buffer_bytes is None else buffer_bytes,
            overflow=config.subscription_overflow if overflow is None else overflow,
            message_filter=message_filter,
            opened=self._opened,
            closed=self._closed,
        )

    @asynccontextmanager
    async def relay(self) -> AsyncIterator[None]:
        """Take part in the topic and pass its messages on, without reading them:
        `async with topic.relay(): …`. Relays and subscriptions together count as one towards
        peers. LocalProtocolError: the topic was closed, or is fanout-only.
        """
        if not self._is_open:
            raise LocalProtocolError(f"the topic was closed: {self.name}")
        if self.fanout_only:
            raise LocalProtocolError(f"a fanout-only topic relays nothing: {self.name}")
        if not self._relays and not self._subscriptions:
            self._pubsub.subscribe(self.name, deliver=False)
        self._relays += 1
        try:
            yield
        finally:
            self._relays -= 1
            self._part_ended()

    async def publish(
        self,
        data: bytes,
        *,
        local_only: bool = False,
        cache: bool = True,
        wait_for: int = 0,
        timeout: float = math.inf,
    ) -> PublishResult:
        """Sign and send `data`; also delivered to this host's own subscriptions.

        With `local_only` to these alone. Without `cache` peers are neither told of the message
        later nor sent it when they ask. With `wait_for` nothing happens until so many peers are
        subscribed to the topic; TimeoutError where that takes longer than `timeout` seconds.

        Waits while every peer it went to is behind with what was sent before, at most a second.
        A message whose id was delivered before is not sent again. Where it goes to nobody, the
        result's `reason` says why.
        LocalProtocolError: the topic was closed, `data` is not bytes or too large, or the topic's
        validator refuses it; nothing was sent then.
        """
        self._check_open()
        _require_bytes(data)
        if wait_for > 0:
            await self.wait_for_peers(wait_for, timeout=timeout)
        publisher = self._pubsub.publisher
        (result,) = await publisher.publish(self.name, (data,), local_only=local_only, cache=cache)
        await publisher.wait_for_room(result.queued_to)
        return result

    async def publish_batch(
        self,
        batch: Iterable[bytes],
        *,
        local_only: bool = False,
        cache: bool = True,
        wait_for: int = 0,
        timeout: float = math.inf,
    ) -> tuple[PublishResult, ...]:
        """Publish several messages together, all or, where one is refused, none.

        They leave in turns, each message to one peer after the other, so that the first copies of
        all of them are out early. Everything else is as in `publish`.
        """
        batch = tuple(batch)
        self._check_open()
        for data in batch:
            _require_bytes(data)
        if wait_for > 0:
            await self.wait_for_peers(wait_for, timeout=timeout)
        publisher = self._pubsub.publisher
        results = await publisher.publish(self.name, batch, local_only=local_only, cache=cache)
        queued_to = dict.fromkeys(peer for result in results for peer in result.queued_to)
        await publisher.wait_for_room(tuple(queued_to))
        return tuple(results)

    def sign(self, data: bytes) -> SignedMessage:
        """What `publish` would send, not sent yet: to be stored first, so that a program that
        ends in between can send the very same message later.

        LocalProtocolError: the topic was closed, its messages are not signed, `data` is not
        bytes or too large.
        """
        self._check_open()
        _require_bytes(data)
        return self._pubsub.publisher.sign(self.name, data)

    async def publish_signed(self, message: SignedMessage) -> PublishResult:
        """Send what `sign` gave, now or in an earlier life of this host's key.

        Peers with a validator for growing sequence numbers ignore it where a later message has
        overtaken it, and where it was sent before nothing happens. Everything else, and the
        errors, are as in `publish`; LocalProtocolError also where it is another topic's, another
        author's or its signature is bad.
        """
        self._check_open()
        publisher = self._pubsub.publisher
        result = await publisher.publish_signed(self.name, message)
        await publisher.wait_for_room(result.queued_to)
        return result

    def set_partial_handler(self, handler: PartialHandler | None) -> None:
        """Who hears of partial messages in this topic, from now on until it is closed; what comes
        while there is none is lost. LocalProtocolError where the topic was closed."""
        self._check_open()
        self._pubsub.partial.set_handler(self.name, handler)

    def publish_partial(
        self, group_id: bytes, message_for: Callable[[PeerId, bool], PartialMessage | None]
    ) -> tuple[PeerId, ...]:
        """This host has (more) parts of a group: tell the peers that exchange parts of messages.

        `message_for(peer, requests)` says what the peer is sent, None for nothing. Where it does
        not request parts, only the metadata is sent. Asked for are mesh or fanout peers and those
        that spoke of the group. Returns those it was queued for. Peers that had not heard of the
        group come later with the handler's `gossip`. LocalProtocolError: the topic was closed or
        has no `TopicParams.partial_messages`, the group id has not 1 to 256 bytes, or an answer
        exceeds `max_rpc_bytes`; what `message_for` raises passes through. Peers asked before that
        are sent their answers.
        """
        self._check_open()
        return self._pubsub.partial.publish(self.name, group_id, message_for)

    def send_partial(self, peer: PeerId, group_id: bytes, partial: PartialMessage) -> bool:
        """Send one peer parts of a group, metadata or both. False where nothing was sent: the
        peer is gone, does not exchange parts, or only parts were given and it requests none.
        LocalProtocolError as with `publish_partial`."""
        self._check_open()
        return self._pubsub.partial.send(self.name, group_id, peer, partial)

    def peers(self) -> tuple[PeerId, ...]:
        """Connected peers that are subscribed to the topic."""
        return self._pubsub.topic_peers(self.name)

    def has_enough_peers(self, wanted: int | None = None) -> bool:
        """Whether the mesh, or the fanout where nobody subscribes here, can reach `wanted` peers
        (D_low where not given); floodsub peers count."""
        return self._pubsub.router.has_enough_peers(self.name, wanted)

    def mesh(self) -> tuple[PeerId, ...]:
        """Peers this host exchanges the topic's messages with directly."""
        return self._pubsub.mesh(self.name)

    @property
    def relays(self) -> int:
        """How many are open."""
        return self._relays

    def subscription_statistics(self) -> tuple[SubscriptionStatistics, ...]:
        """Of the open subscriptions, oldest first."""
        return tuple(subscription.statistics() for subscription in self._subscriptions)

    async def wait_for_peers(self, count: int, *, timeout: float, grafted: bool = False) -> None:
        """Return when `count` peers are subscribed; the host's discovery, if any, looks for them
        meanwhile. With `grafted` when so many are in the mesh, which there is while somebody here
        subscribes or relays: then messages come at once, not only by gossip.

        TimeoutError after `timeout` seconds, LocalProtocolError when the topic is closed, or is
        fanout-only and `grafted` is asked for."""
        if grafted and self.fanout_only:
            raise LocalProtocolError(f"a fanout-only topic has no mesh: {self.name}")
        found = self.mesh if grafted else self.peers
        watcher = Wake()
        self._watchers.append(watcher)
        if grafted:
            self._pubsub.mesh_watchers.append(watcher)
        try:
            with anyio.move_on_after(timeout) as waiting:
                while self._is_open and len(found()) < count:
                    with anyio.move_on_after(self._pubsub.look_for_peers(self.name)):
                        await watcher.wait()
        finally:
            self._watchers.remove(watcher)
            if grafted:
                self._pubsub.mesh_watchers.remove(watcher)
        self._check_open()
        if waiting.cancelled_caught:
            place = f"the mesh of {self.name}" if grafted else self.name
            raise TimeoutError(f"{len(found())} of {count} peers in {place} after {timeout} s")

    def close(self) -> None:
        """Give the handle back; parameters given with it end, except for scoring, lest what peers
        have done is forgotten. A validator stays: it is the host's.
        LocalProtocolError while a subscription or relay is open."""
        if self._relays:
            raise LocalProtocolError(f"close the relays of {self.name} first")
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
        self._check_open()
        if not self._subscriptions and not self.fanout_only:
            self._pubsub.subscribe(self.name, deliver=True)
        self._subscriptions[subscription] = None

    def _closed(self, subscription: Subscription) -> None:
        self._subscriptions.pop(subscription, None)
        self._part_ended()

    def _part_ended(self) -> None:
        """A subscription or relay was closed: say what is left of our part in the topic."""
        if self._is_open and not self._subscriptions and not self.fanout_only:
            if self._relays:
                self._pubsub.subscribe(self.name, deliver=False)
            else:
                self._pubsub.unsubscribe(self.name)

    def _check_open(self) -> None:
        if not self._is_open:
            raise LocalProtocolError(f"the topic was closed: {self.name}")


def _require_bytes(data: object) -> None:
    if not isinstance(data, bytes):
        raise LocalProtocolError(f"data must be bytes: {type(data).__name__}")
