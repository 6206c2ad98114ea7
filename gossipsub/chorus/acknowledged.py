"""Acknowledged publication: a message is sent until those it is for have said that they have it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass

import anyio

from gossipsub.chorus.access_rule import agent_ids
from gossipsub.chorus.acknowledgements import (
    ACKNOWLEDGEMENT,
    MAX_NAMES,
    AcknowledgementQueue,
    Acknowledgements,
    is_asked,
    read_delivery_ids,
)
from gossipsub.chorus.agent_part import AgentPart
from gossipsub.chorus.delivery import Delivery, current_delivery
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.handlers import Handler
from gossipsub.chorus.message_options import MessageOptions
from gossipsub.chorus.payloads import Payload
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.chorus.recent_names import RecentNames, read_name
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

MAX_OPEN = 256
"""Messages of this agent that wait for acknowledgements at one time."""


@dataclass(frozen=True, slots=True)
class AcknowledgedStatistics:
    """Totals since it was opened."""

    published: int
    """Messages of this agent, each counted once."""
    resent: int
    acknowledgements_sent: int
    """Messages, each of which acknowledges what came in a short while."""
    left_out: int
    """Deliveries that were not acknowledged, for too many waited for it."""
    repeats: int
    """Messages of others that came again and were kept from the handlers."""
    waiting: int
    """Messages of this agent that wait for acknowledgements now."""


class _Expected:
    """Who is to acknowledge one delivery, and who has."""

    def __init__(self, expect: int | Collection[PeerId]) -> None:
        self.peers = None if isinstance(expect, int) else dict.fromkeys(agent_ids("expect", expect))
        self._count = expect if isinstance(expect, int) else len(self.peers or ())
        if type(self._count) is not int or not 1 <= self._count <= MAX_NAMES:
            raise LocalProtocolError(f"expect is 1 to {MAX_NAMES} agents, or their number")
        self.acknowledged: dict[PeerId, None] = {}
        self.complete = anyio.Event()

    def note(self, peer: PeerId) -> None:
        if self.complete.is_set() or (self.peers is not None and peer not in self.peers):
            return
        self.acknowledged[peer] = None
        if len(self.acknowledged) >= self._count:
            self.complete.set()


class AcknowledgedPublisher(AgentPart):
    """`async with AcknowledgedPublisher(chorus) as acknowledged:` inside the `async with` of
    `chorus`, at those who publish and at those who receive.

    A receiver acknowledges, in one message for all that came within `delay` seconds, what its
    node has accepted and is for it by role and expertise: that it is here, not that a handler did
    well. Its handlers get a message once however often it is sent, as long as it is among the
    `remembered` newest, and no acknowledgements.

    What another agent acknowledges is its word. Where a number is expected, anybody counts.
    """

    def __init__(
        self, chorus: ChorusPubSub, *, delay: float = 0.05, remembered: int = 4096
    ) -> None:
        if not delay >= 0:
            raise LocalProtocolError(f"delay is at least 0 seconds: {delay}")
        super().__init__(chorus)
        self._queue = AcknowledgementQueue(chorus, delay=delay)
        # Of each delivery the message that came first: several handlers may get that one.
        self._first: RecentNames[bytes] = RecentNames(remembered)
        self._waiting: dict[str, _Expected] = {}
        self._published = 0
        self._resent = 0
        self._repeats = 0

    async def _open(self, stack: AsyncExitStack) -> None:
        tasks = await self._start_tasks(stack)
        tasks.start_soon(self._queue.run)
        self._start_observing(stack)
        self._chorus.add_handler_wrapper(self._once)
        stack.callback(self._chorus.remove_handler_wrapper, self._once)

    async def publish(
        self,
        payload: Payload,
        options: MessageOptions | None = None,
        *,
        topic: str | None = None,
        expect: int | Collection[PeerId],
        timeout: float = 10.0,
        attempts: int = 3,
    ) -> Acknowledgements:
        """Publish to `topic` (None: the home topic of its type) until all agents of `expect`, or
        as many as it says, have acknowledged it; say who did.

        It returns after `timeout` seconds, a second later at most, where all peers are behind
        with what was sent before. Meanwhile the message is sent up to
        `attempts` times, evenly over the time: each is a message of its own, with the same
        `data["delivery_id"]`. Agents that `expect` does not name do not acknowledge.

        LocalProtocolError for arguments that make no sense, with 256 messages waiting, and what
        publishing raises.
        """
        self._require_open()
        if not timeout > 0:
            raise LocalProtocolError(f"timeout is above 0 seconds: {timeout}")
        if type(attempts) is not int or not 1 <= attempts <= 100:
            raise LocalProtocolError(f"attempts is a whole number from 1 to 100: {attempts!r}")
        if len(self._waiting) >= MAX_OPEN:
            raise LocalProtocolError(f"{MAX_OPEN} messages wait for acknowledgements already")
        expected = _Expected(expect)
        delivery_id = secrets.token_hex(16)
        ours: dict[str, object] = {"delivery_id": delivery_id}
        if expected.peers is not None:
            ours["acknowledge"] = [str(peer) for peer in expected.peers]
        message = type(payload).from_data(payload.to_data() | ours)
        self._waiting[delivery_id] = expected
        try:
            sent = await self._send(message, options, topic, expected, timeout, attempts)
        finally:
            del self._waiting[delivery_id]
        return Acknowledgements(
            delivery_id,
            tuple(expected.acknowledged),
            tuple(p for p in expected.peers or () if p not in expected.acknowledged),
            expected.complete.is_set(),
            sent,
        )

    def statistics(self) -> AcknowledgedStatistics:
        """What has happened so far, in numbers."""
        return AcknowledgedStatistics(
            published=self._published,
            resent=self._resent,
            acknowledgements_sent=self._queue.sent,
            left_out=self._queue.left_out,
            repeats=self._repeats,
            waiting=len(self._waiting),
        )

    async def _send(
        self,
        message: Payload,
        options: MessageOptions | None,
        topic: str | None,
        expected: _Expected,
        timeout: float,
        attempts: int,
    ) -> int:
        start = anyio.current_time()
        for attempt in range(1, attempts + 1):
            await self._chorus.publish(message, options, topic=topic)
            self._published += attempt == 1
            self._resent += attempt > 1
            now = anyio.current_time()
            with anyio.move_on_after(start + timeout * attempt / attempts - now):
                await expected.complete.wait()
            # Publishing waits, up to a second, while all peers are behind.
            if expected.complete.is_set() or now >= start + timeout:
                break
        return attempt

    def _observe(self, delivery: Delivery) -> None:
        if delivery.is_own:
            return
        envelope, sender = delivery.envelope, delivery.sender
        if envelope.type == ACKNOWLEDGEMENT:
            for name in read_delivery_ids(envelope):
                if name in self._waiting:
                    self._waiting[name].note(sender)
            return
        delivery_id = read_name((envelope.data or {}).get("delivery_id"))
        if delivery_id is None:
            return
        if self._first.find(sender, delivery_id) is None:
            self._first.add(sender, delivery_id, delivery.signed.origin)
        # Of what is told afterwards nobody waits to hear.
        if (
            not delivery.is_caught_up
            and is_asked(envelope, str(self._chorus.host.peer_id))
            and self._chorus.is_for_us(envelope)
        ):
            self._queue.add(delivery.topic, delivery_id)

    def _once(self, handler: Handler) -> Handler:
        def handle(envelope: Envelope, sender: PeerId) -> Awaitable[None] | None:
            if envelope.type == ACKNOWLEDGEMENT:
                return None
            delivery = current_delivery()
            delivery_id = read_name((envelope.data or {}).get("delivery_id"))
            if delivery is not None and delivery_id is not None:
                first = self._first.find(sender, delivery_id)
                if first is not None and first != delivery.signed.origin:
                    self._repeats += 1
                    return None
            return handler(envelope, sender)

        return handle
