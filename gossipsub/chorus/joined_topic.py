"""A topic of the host that an agent is in: joined, validated, subscribed and read."""

from __future__ import annotations

from contextlib import suppress
from typing import Self

import anyio
import anyio.lowlevel

from gossipsub.chorus.envelope_topic import EnvelopeTopic
from gossipsub.chorus.raw_topic import RawTopic
from gossipsub.chorus.statistics import TopicStatistics
from gossipsub.host import Host
from gossipsub.pubsub.inbox import Overflow
from gossipsub.pubsub.message import PublishResult, ReceivedMessage
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.pubsub.subscription import Subscription
from gossipsub.pubsub.topic import Topic
from gossipsub.router.effects import Verdict
from gossipsub.wire.errors import LocalProtocolError

LARGE_BYTES = 4096
"""Decoding more can take a millisecond, and a buffer is full of it: others must have a turn in
between."""


class JoinedTopic:
    """Joined with `open` until `close`; `run` reads it. What its messages are, `content` knows."""

    def __init__(
        self, host: Host, topic: Topic, content: EnvelopeTopic | RawTopic, *, buffer: int | None
    ) -> None:
        self.name = topic.name
        self.content = content
        self.topic = topic
        self._host = host
        self._is_open = True
        self._scope = anyio.CancelScope()
        self._subscription: Subscription = topic.subscribe(
            buffer=buffer, overflow=Overflow.DROP_NEWEST, message_filter=self._wants
        )

    @classmethod
    async def open(
        cls, host: Host, content: EnvelopeTopic | RawTopic, *, buffer: int | None
    ) -> Self:
        """Join, validate and subscribe, or nothing of it; LocalProtocolError when the topic is
        joined or has a validator already, or `buffer` is no size."""
        topic = await host.join(content.name)
        try:
            self = cls(host, topic, content, buffer=buffer)
            # First, so that no message is delivered unseen. Own ones are judged before they are
            # signed.
            host.set_validator(topic.name, self._judge, own=False)
        except BaseException:
            topic.close()
            raise
        await self._subscription.__aenter__()
        return self

    def close(self, *, stop_handler: bool) -> None:
        """Leave the topic. A running handler is left to end, unless it is to be stopped. The host
        must still be open."""
        if self._is_open:
            self._is_open = False
            self._subscription.close()
            self.content.end()
            self.topic.close()
            with suppress(LocalProtocolError):  # the application took it away
                self._host.set_validator(self.name, None)
        if stop_handler:
            self._scope.cancel()

    async def run(self) -> None:
        """Read one message after the other until it is closed."""
        with self._scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.content.run)
                async for message in self._subscription:
                    if not self._is_open:
                        break
                    await self.content.take(message)
                    if len(message.data) > LARGE_BYTES:
                        await anyio.lowlevel.checkpoint()

    def become_raw(self, content: RawTopic) -> None:
        """From now on its messages have a schema of their own."""
        self.content.end()
        self.content = content

    def sign(self, data: bytes) -> SignedMessage:
        """Errors as in `Topic.sign`."""
        return self.topic.sign(data)

    async def send(self, signed: SignedMessage) -> PublishResult:
        """Errors as in `Topic.publish_signed`."""
        result = await self.topic.publish_signed(signed)
        self.content.counters.published += 1
        return result

    def statistics(self) -> TopicStatistics:
        counters = self.content.counters
        read = self._subscription.statistics()
        return TopicStatistics(
            published=counters.published,
            own=counters.own,
            handled=counters.handled,
            unhandled=counters.unhandled,
            handler_errors=counters.handler_errors,
            dropped=read.dropped,
            waiting=read.waiting,
            not_for_us=counters.not_for_us,
            bad_payloads=counters.bad_payloads,
            repeated=counters.repeated,
        )

    def _wants(self, message: ReceivedMessage) -> bool:
        return self.content.wants(message)

    def _judge(self, message: ReceivedMessage) -> Verdict:
        return self.content.judge(message)
