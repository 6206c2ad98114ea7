"""Escalation: what agents cannot settle reaches a person, with what was said before, and the
person's decision goes back into the conversation."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from random import Random

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from gossipsub.chorus.agent_part import AgentPart
from gossipsub.chorus.delivery import Delivery, envelope_of
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.escalation_line import Admission, EscalationLine
from gossipsub.chorus.message_options import MessageOptions, options_of_answer
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads import EscalationTrigger, Payload
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.chorus.recent_names import read_name
from gossipsub.chorus.thread_history import Thread, ThreadHistory
from gossipsub.chorus.trace_context import TraceContext, current_trace, use_trace
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import GossipSubError, LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.escalation")

MAX_RAISING = 64
"""Conversations that wait to be escalated; further ones are tried at their next message."""
RAISE_WITHIN = 2.0
"""Seconds: desks wait at random, so that one of them raises what all have noticed."""
CATCH_UP_GRACE = 10.0
"""Seconds in which the conclusion of an old conversation may be caught up as well."""
HISTORY_THREADS = 256
HISTORY_BYTES = 4 << 20

_DECISIONS = (MessageType.META_DISCUSSION, MessageType.COORDINATION_COMPLETE)


@dataclass(frozen=True, slots=True)
class Escalation:
    """What a person is asked about."""

    envelope: Envelope
    """The EscalationTrigger."""
    sender: PeerId
    topic: str
    thread: tuple[Envelope, ...]
    """The newest messages of its conversation, oldest first, when the person is asked."""
    is_caught_up: bool
    """It was told afterwards by another node, and may be old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadLimits:
    """When a conversation without a CoordinationComplete is escalated: both are those of BZZZ's
    coordinator. LocalProtocolError where one makes no sense."""

    messages: int = 10
    """At its message of that number."""
    seconds: float = 1800.0
    """At its first message later than that after it began."""

    def __post_init__(self) -> None:
        if self.messages < 2 or not self.seconds > 0:
            raise LocalProtocolError(
                f"at least 2 messages, more than 0 seconds: {self.messages}, {self.seconds}"
            )


Person = Callable[[Escalation], Awaitable[Payload | None]]
"""Asks somebody; returns the decision as a MetaDiscussion or CoordinationComplete, or None."""


@dataclass(slots=True)
class EscalationCounters:
    """Totals since the desk was opened."""

    handed: int = 0
    """Escalations the person was asked about."""
    decided: int = 0
    """Decisions that were published."""
    repeated: int = 0
    """Further triggers of a conversation, soon after one."""
    left_out: int = 0
    """Triggers that found too many waiting."""
    settled: int = 0
    """Triggers whose conversation had come to a conclusion when it was their turn."""
    failed: int = 0
    """Times asking failed or took too long, or what came of it could not be published."""
    raised: int = 0
    """Conversations that were escalated because they passed a limit."""


class EscalationDesk(AgentPart):
    """`async with EscalationDesk(chorus, person):` inside the `async with` of `chorus`.

    Every EscalationTrigger for this agent is handed to `person`, this node's own too, and missed
    ones that are caught up: `at_once` at a time and `per_minute` in any minute; 64 may wait, 8 of
    one agent. Further triggers of a conversation within `repeat_after` seconds are counted, and
    not handed, and neither are those whose conversation has a CoordinationComplete by then. What
    `person` returns within `decision_timeout` seconds is published where the
    trigger came from, in its conversation; so is `receipt`, before the person is asked.
    `thread_messages` is how much of a conversation the person is shown.

    With `limits` the desk itself escalates conversations that pass them.
    """

    def __init__(
        self,
        chorus: ChorusPubSub,
        person: Person,
        *,
        receipt: Payload | None = None,
        limits: ThreadLimits | None = None,
        thread_messages: int = 20,
        at_once: int = 4,
        per_minute: int = 10,
        repeat_after: float = 300.0,
        decision_timeout: float = 3600.0,
        rng: Random | None = None,
    ) -> None:
        if not callable(person):
            kind = type(person).__name__
            raise LocalProtocolError(f"person is a coroutine function, not of type {kind}")
        if at_once < 1:
            raise LocalProtocolError(f"at_once is at least 1: {at_once}")
        if not decision_timeout > 0:
            raise LocalProtocolError(f"decision_timeout is above 0 seconds: {decision_timeout}")
        if receipt is not None:
            _require_decision(receipt)
        super().__init__(chorus)
        self._person = person
        self._receipt = receipt
        self._limits = limits
        self._at_once = at_once
        self._decision_timeout = decision_timeout
        self._rng = rng or Random()
        self._line = EscalationLine(per_minute=per_minute, repeat_after=repeat_after)
        self._history = ThreadHistory(
            messages=thread_messages, threads=HISTORY_THREADS, max_bytes=HISTORY_BYTES
        )
        self._counters = EscalationCounters()
        self._raising: MemoryObjectSendStream[Thread] | None = None

    async def _open(self, stack: AsyncExitStack) -> None:
        self._raising, receive = anyio.create_memory_object_stream[Thread](MAX_RAISING)
        stack.callback(self._raising.close)
        tasks = await self._start_tasks(stack)
        for _ in range(self._at_once):
            tasks.start_soon(self._work)
        tasks.start_soon(self._keep_raising, receive)
        self._start_observing(stack)

    def statistics(self) -> EscalationCounters:
        """What has happened so far, in numbers."""
        return replace(self._counters)

    # -- hearing ---------------------------------------------------------------------------

    def _observe(self, delivery: Delivery) -> None:
        now = anyio.current_time()
        thread = self._history.note(delivery, now=now)
        if delivery.envelope.type == MessageType.ESCALATION_TRIGGER:
            if thread is not None:
                thread.is_escalated = True
            if self._chorus.is_for_us(delivery.envelope):
                admission = self._line.join(delivery, now=now)
                self._counters.repeated += admission is Admission.REPEATED
                self._counters.left_out += admission is Admission.FULL
        elif thread is not None and not delivery.is_caught_up:
            self._consider(thread, now)

    def _consider(self, thread: Thread, now: float) -> None:
        limits = self._limits
        if limits is None or self._raising is None:
            return
        if thread.is_escalated or thread.is_raising:
            return
        if thread.count >= limits.messages or now - thread.started_at > limits.seconds:
            try:
                self._raising.send_nowait(thread)
            except anyio.WouldBlock:
                return
            thread.is_raising = True

    # -- raising ---------------------------------------------------------------------------

    async def _keep_raising(self, threads: MemoryObjectReceiveStream[Thread]) -> None:
        with threads:
            async for thread in threads:
                await anyio.sleep(self._rng.uniform(0, RAISE_WITHIN))
                thread.is_raising = False
                # Another desk may have been quicker, or the agents have come to an end.
                if not thread.is_escalated and self._history.find(thread.thread_id) is thread:
                    await self._raise(thread)

    async def _raise(self, thread: Thread) -> None:
        minutes = (anyio.current_time() - thread.started_at) / 60
        trigger = EscalationTrigger(
            reason=f"no conclusion after {thread.count} messages in {minutes:.0f} minutes",
            requires_human=True,
            escalated_by=str(self._chorus.host.peer_id),
        )
        if await self._publish(trigger, MessageOptions(thread_id=thread.thread_id), thread.topic):
            self._counters.raised += 1

    # -- asking ----------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            delivery = await self._line.next()
            if delivery.is_caught_up:
                await anyio.sleep(CATCH_UP_GRACE)
            envelope = delivery.envelope
            said_at = envelope.timestamp.unix_ns
            if self._history.is_concluded(envelope.thread_id, after=said_at):
                self._counters.settled += 1
                continue
            options = options_of_answer(envelope)
            if self._receipt is not None:
                await self._publish(_answering(self._receipt, envelope), options, delivery.topic)
            self._counters.handed += 1
            decision, trace = await self._ask(delivery)
            if decision is not None:
                with use_trace(trace):
                    answer = _answering(decision, envelope)
                    self._counters.decided += await self._publish(answer, options, delivery.topic)

    async def _ask(self, delivery: Delivery) -> tuple[Payload | None, TraceContext | None]:
        """The decision, and the trace that it belongs to."""
        envelope, sender = delivery.envelope, delivery.sender
        said = await self._said_in(envelope.thread_id)
        escalation = Escalation(envelope, sender, delivery.topic, said, delivery.is_caught_up)
        decisions: list[tuple[Payload | None, TraceContext | None]] = []

        async def ask(envelope: Envelope, sender: PeerId) -> None:
            decision = await self._person(escalation)
            if decision is not None:
                _require_decision(decision)
            decisions.append((decision, current_trace()))

        with anyio.move_on_after(self._decision_timeout):
            await self._chorus.call_handler(ask, delivery)
        self._counters.failed += not decisions
        return decisions[0] if decisions else (None, None)

    async def _said_in(self, thread_id: str) -> tuple[Envelope, ...]:
        thread = self._history.find(thread_id)
        said = []
        for signed in tuple(thread.kept) if thread is not None else ():
            said.append(envelope_of(signed))
            await anyio.lowlevel.checkpoint()  # a large one takes milliseconds
        return tuple(said)

    async def _publish(self, payload: Payload, options: MessageOptions, topic: str) -> bool:
        try:
            await self._chorus.publish(payload, options, topic=topic)
        except (GossipSubError, ValueError) as error:
            self._counters.failed += 1
            logger.warning("not published type=%s error=%s", payload.message_type, error)
            return False
        return True


def _require_decision(payload: Payload) -> None:
    if payload.message_type not in _DECISIONS:
        raise LocalProtocolError(
            "a decision is a MetaDiscussion or CoordinationComplete, "
            f"not of type {type(payload).__name__}"
        )


def _answering(payload: Payload, trigger: Envelope) -> Payload:
    """With the name of the trigger, where it has one."""
    request_id = read_name((trigger.data or {}).get("request_id"))
    if request_id is None:
        return payload
    return type(payload).from_data(payload.to_data() | {"request_id": request_id})
