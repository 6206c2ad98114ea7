"""One topic whose messages are envelopes: it judges what arrives and hands on what is good."""

from __future__ import annotations

import logging
from functools import lru_cache

import anyio
import anyio.lowlevel

from gossipsub.chorus.agent_parts import AgentParts
from gossipsub.chorus.caught_up import CaughtUp
from gossipsub.chorus.delivery import Check, Delivery
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.handlers import Handlers
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads.policy import judge_payload
from gossipsub.chorus.statistics import Counters
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.pubsub.signed_message import SignedMessage
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
    """The content of a topic that carries envelopes; a `JoinedTopic` brings it its messages.

    `judge` lets through envelopes whose `from` is the peer that signed them. The rest is kept
    among the dead letters, and judged thus: REJECT when their author hands them over, IGNORE when
    a neighbour relays them, since agents without validators relay whatever is signed; IGNORE when
    only a limit of this node was passed.
    """

    def __init__(self, name: str, agent: AgentParts) -> None:
        self.name = name
        self.handlers = Handlers()
        self.counters = Counters()
        self._agent = agent
        self._caught_up = CaughtUp()
        self._turn = anyio.Lock(fast_acquire=True)
        self._judged: dict[bytes, Envelope] = {}

    # -- judging ---------------------------------------------------------------------------

    def judge(self, message: ReceivedMessage) -> Verdict:
        """The topic's validator."""
        try:
            envelope = self._accepted(message, self._agent.checks.judge)
        except MalformedEnvelope as error:
            self._refuse(message, error)
            return _verdict(message, error.reason)
        if len(message.data) <= REMEMBERED_BYTES and message.sender != self._agent.me:
            if len(self._judged) == REMEMBERED:
                del self._judged[next(iter(self._judged))]
            self._judged[message.message_id] = envelope
        return Verdict.ACCEPT

    def _accepted(self, message: ReceivedMessage, check: Check) -> Envelope:
        """MalformedEnvelope where it is none, or not its signer's, or its payload or a check
        refuses it."""
        envelope = self._decode(message)
        is_good = judge_payload(envelope, self._agent.payload_policy)
        check(envelope, message)
        self.counters.bad_payloads += not is_good
        return envelope

    def _decode(self, message: ReceivedMessage) -> Envelope:
        """MalformedEnvelope where it is none, or not its signer's."""
        envelope = Envelope.decode(message.data, self._agent.limits)
        if message.sender is None or envelope.from_peer != peer_text(message.sender):
            raise MalformedEnvelope(
                RefusalReason.IMPERSONATION,
                f"from is not the peer that signed it: {envelope.from_peer[:64]!r}",
            )
        return envelope

    def _refuse(self, message: ReceivedMessage, error: MalformedEnvelope) -> None:
        logger.debug("refused reason=%s topic=%s", error.reason, self.name)
        self._agent.refuse(message, error)

    # -- what arrived ----------------------------------------------------------------------

    def wants(self, message: ReceivedMessage) -> bool:
        """Whether it is to wait until it can be taken. Not so what this node has just sent: it was
        logged and told before, and waking the reader for it costs 9 us."""
        if message.sender != self._agent.me or (signed := message.signed) is None:
            return True
        if not self._agent.intake.is_known(signed.origin):
            return True
        self.counters.own += 1
        return False

    async def take(self, message: ReceivedMessage) -> None:
        """Log a message that was let through, tell the observers, and hand it to its handler."""
        signed = message.signed
        if message.sender is None or signed is None:
            return
        # By origin: another peer may have brought our own message back to us.
        is_own = message.sender == self._agent.me
        if is_own:
            self.counters.own += 1
        envelope = self._judged.pop(message.message_id, None)
        if self._agent.intake.is_known(signed.origin):
            self.counters.repeated += not is_own
            return
        if envelope is None:
            try:
                envelope = self._decode(message)
            except MalformedEnvelope as error:
                # Judged while the topic was something else: left, or a room with its own schema.
                self._refuse(message, error)
                return
        delivery = Delivery(
            envelope,
            self.name,
            message.sender,
            signed,
            int(message.received_at * 1e9),
            is_own=is_own,
        )
        self._agent.intake.take(delivery)
        if not is_own:
            await self._hand_over(delivery)

    async def _hand_over(self, delivery: Delivery) -> None:
        envelope = delivery.envelope
        if not isinstance(envelope.type, MessageType):
            logger.debug("unknown message type=%r topic=%s", envelope.type[:64], self.name)
        if not self._agent.routing.is_for_us(envelope):
            self.counters.not_for_us += 1
            return
        handler = self.handlers.find(envelope.type)
        if handler is None:
            self.counters.unhandled += 1
            logger.debug("no handler type=%r topic=%s", envelope.type[:64], self.name)
            return
        async with self._turn:
            succeeded = await self._agent.calls.call(handler, delivery)
        if succeeded:
            self.counters.handled += 1
        else:
            self.counters.handler_errors += 1

    # -- catching up -----------------------------------------------------------------------

    def catch_up(self, signed: SignedMessage) -> bool:
        """Judge an old message as if it had arrived, log it and tell the observers; its handler
        gets it when it is its turn. False where it is known, refused, or too many wait."""
        agent = self._agent
        if agent.intake.is_known(signed.origin) or not self._caught_up.has_room_for(signed):
            return False
        if not signed.is_genuine():
            logger.debug("refused a forged message topic=%s", self.name)
            return False
        message = _as_received(signed)
        try:
            envelope = self._accepted(message, agent.checks.judge_caught_up)
        except MalformedEnvelope as error:
            self._refuse(message, error)
            return False
        delivery = self._caught_up_delivery(signed, envelope)
        agent.intake.take(delivery)
        if not delivery.is_own:
            self._caught_up.put(signed)
        return True

    def _caught_up_delivery(self, signed: SignedMessage, envelope: Envelope) -> Delivery:
        return Delivery(
            envelope,
            self.name,
            signed.sender,
            signed,
            self._agent.clock(),
            is_own=signed.sender == self._agent.me,
            is_caught_up=True,
        )

    async def run(self) -> None:
        """Hand over what was caught up, until `end`."""
        while (signed := await self._caught_up.next()) is not None:
            envelope = Envelope.decode(signed.data, self._agent.limits)
            await self._hand_over(self._caught_up_delivery(signed, envelope))
            # Handlers may await nothing, and thousands may wait for them.
            await anyio.lowlevel.checkpoint()

    def end(self) -> None:
        """What waits is not handed over any more."""
        self._caught_up.end()


def _as_received(signed: SignedMessage) -> ReceivedMessage:
    return ReceivedMessage(
        topic=signed.topic,
        data=signed.data,
        sender=signed.sender,
        received_from=signed.sender,
        message_id=signed.origin,
        seqno=signed.seqno,
        wire=signed.wire,
    )


def _verdict(message: ReceivedMessage, reason: RefusalReason) -> Verdict:
    is_from_author = message.received_from == message.sender
    return Verdict.REJECT if is_from_author and not reason.is_local else Verdict.IGNORE
