"""One topic whose messages are envelopes: it judges what arrives and hands on what is good."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Self

from gossipsub.chorus.dead_letters import KEPT_BYTES, DeadLetter, DeadLetters
from gossipsub.chorus.delivery import Check, Delivery, Observer
from gossipsub.chorus.envelope import Envelope, EnvelopeLimits
from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.handlers import Handlers, call_handler
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.statistics import Counters, TopicStatistics
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.host import Host
from gossipsub.pubsub.message import PublishResult, ReceivedMessage
from gossipsub.pubsub.subscription import Subscription
from gossipsub.pubsub.topic import Topic
from gossipsub.router.effects import Verdict

logger = logging.getLogger("gossipsub.chorus.envelope_topic")

REMEMBERED = 32
"""Envelopes kept from judging them until they are read, which saves decoding them again (11 us
for 1 KiB). No more than one batch of the validation, and only small ones: decoded, an envelope
can take twenty times the memory."""
REMEMBERED_BYTES = 16384

peer_text = lru_cache(maxsize=1024)(str)
"""Text of a peer id: 5 us, and a fleet's agents come again and again."""


class EnvelopeTopic:
    """Joined with `open`, subscribed and validated until `close`; `run` reads it.

    The topic's validator lets through envelopes whose `from` is the peer that signed them. The
    rest is kept among the dead letters, and judged thus: REJECT for an impersonation; for other
    malformed messages REJECT when their author hands them over, and IGNORE when a neighbour
    relays them, since agents without validators relay whatever is signed; IGNORE when only a
    limit of this node was passed.
    """

    def __init__(
        self,
        host: Host,
        topic: Topic,
        *,
        buffer: int | None,
        limits: EnvelopeLimits,
        dead_letters: DeadLetters,
        checks: Sequence[Check],
        observe: Observer,
        clock: Callable[[], int],
    ) -> None:
        self.name = topic.name
        self.handlers = Handlers()
        self.topic = topic
        self._host = host
        self._me = host.peer_id
        self._limits = limits
        self._dead_letters = dead_letters
        self._checks = checks
        self._observe = observe
        self._clock = clock
        self._counters = Counters()
        self._judged: dict[bytes, Envelope] = {}
        self._subscription: Subscription = topic.subscribe(buffer=buffer)

    @classmethod
    async def open(
        cls,
        host: Host,
        name: str,
        *,
        buffer: int | None,
        limits: EnvelopeLimits,
        dead_letters: DeadLetters,
        checks: Sequence[Check],
        observe: Observer,
        clock: Callable[[], int],
    ) -> Self:
        """Join, validate and subscribe; LocalProtocolError when the topic is joined already."""
        topic = await host.join(name)
        self = cls(
            host,
            topic,
            buffer=buffer,
            limits=limits,
            dead_letters=dead_letters,
            checks=checks,
            observe=observe,
            clock=clock,
        )
        # First, so that no message is delivered unseen.
        host.set_validator(name, self.judge)
        await self._subscription.__aenter__()
        return self

    def close(self) -> None:
        """Leave the topic; the host must still be open."""
        self._subscription.close()
        self._host.set_validator(self.name, None)
        self.topic.close()

    async def run(self) -> None:
        """Hand messages to the handlers, one after the other, until the subscription ends."""
        async for message in self._subscription:
            signed = message.signed
            if message.sender is None or signed is None or message.sender == self._me:
                # By origin: another peer may have brought our own message back to us.
                self._counters.own += 1
                continue
            envelope = self._judged.pop(message.message_id, None)
            if envelope is None:
                envelope = Envelope.decode(message.data, self._limits)
            self._observe(
                Delivery(
                    envelope,
                    self.name,
                    message.sender,
                    signed,
                    int(message.received_at * 1e9),
                )
            )
            if not isinstance(envelope.type, MessageType):
                logger.debug("unknown message type=%r topic=%s", envelope.type[:64], self.name)
            handler = self.handlers.find(envelope.type)
            if handler is None:
                self._counters.unhandled += 1
                logger.debug("no handler type=%r topic=%s", envelope.type[:64], self.name)
            elif await call_handler(handler, envelope, message.sender):
                self._counters.handled += 1
            else:
                self._counters.handler_errors += 1

    async def publish(self, envelope: Envelope) -> PublishResult:
        """Encode, sign, tell the observers and send; errors of `Envelope.encode` and of
        `Topic.publish`."""
        signed = self.topic.sign(envelope.encode(self._limits))
        self._observe(Delivery(envelope, self.name, self._me, signed, self._clock(), is_own=True))
        result = await self.topic.publish_signed(signed)
        self._counters.published += 1
        return result

    def judge(self, message: ReceivedMessage) -> Verdict:
        """The topic's validator."""
        if message.received_from == self._me:
            return Verdict.ACCEPT  # encoded here, within the limits
        try:
            envelope = Envelope.decode(message.data, self._limits)
            if message.sender is None or envelope.from_peer != peer_text(message.sender):
                raise MalformedEnvelope(
                    RefusalReason.IMPERSONATION,
                    f"from is not the peer that signed it: {envelope.from_peer[:64]!r}",
                )
            for check in self._checks:
                check(envelope, message)
        except MalformedEnvelope as error:
            self._keep(message, error)
            return _verdict(message, error.reason)
        if len(message.data) <= REMEMBERED_BYTES and message.sender != self._me:
            if len(self._judged) == REMEMBERED:
                del self._judged[next(iter(self._judged))]
            self._judged[message.message_id] = envelope
        return Verdict.ACCEPT

    def _keep(self, message: ReceivedMessage, error: MalformedEnvelope) -> None:
        logger.debug("refused reason=%s topic=%s", error.reason, self.name)
        self._dead_letters.add(
            DeadLetter(
                topic=self.name,
                reason=error.reason,
                detail=str(error),
                sender=message.sender,
                received_from=message.received_from,
                received_at=Timestamp.from_unix_ns(self._clock()),
                data=message.data[:KEPT_BYTES],
                size=len(message.data),
            )
        )

    def statistics(self) -> TopicStatistics:
        counters = self._counters
        read = self._subscription.statistics()
        return TopicStatistics(
            published=counters.published,
            own=counters.own,
            handled=counters.handled,
            unhandled=counters.unhandled,
            handler_errors=counters.handler_errors,
            dropped=read.dropped,
            waiting=read.waiting,
        )


def _verdict(message: ReceivedMessage, reason: RefusalReason) -> Verdict:
    if reason.is_local:
        return Verdict.IGNORE
    if reason is RefusalReason.IMPERSONATION or message.received_from == message.sender:
        return Verdict.REJECT
    return Verdict.IGNORE
