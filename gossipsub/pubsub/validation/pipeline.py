"""The validation pipeline: signatures in batches, on worker threads where many wait, then the
validators. Little that no validator judges takes no such way: it is judged in the turn of the
event loop it came in.

Bounds: at most `queue` messages wait for their signature check (more: QUEUE_FULL), at most
`throttle` messages are with asynchronous validators, and at most `concurrency` with each of these
(more: THROTTLED). None of this costs the sender anything, and the router forgets such a message,
so that another copy can still succeed. go remembers a throttled one as seen and loses it so.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import TaskGroup

from gossipsub.crypto.ed25519 import Ed25519Verify
from gossipsub.crypto.message_signing import verify_batch
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.pubsub.validation.fair_queue import FairQueue
from gossipsub.pubsub.validation.overload import Overload
from gossipsub.pubsub.validation.registered import (
    Cause,
    Refusal,
    RegisteredValidator,
    ValidatorTable,
    graver,
)
from gossipsub.router.effects import Validate, Verdict
from gossipsub.wake import Wake
from gossipsub.wire.rpc import Message

BATCH = 32
"""Signatures verified in one thread hop: a hop costs as much as half a signature."""
BATCH_BYTES = 262_144
"""Data after which a batch is closed, so that large messages do not make it take long."""
BACKLOG = 64
"""Where no more wait, no thread is asked: the hop and the struggle for the interpreter lock make
each signature a tenth to a third dearer, and where all cores are busy nothing is gained by it. In
a queue of less than four times as many it is a quarter of that."""
INLINE = 16
"""So many are verified at a time where we are, in one or two milliseconds; then everybody else
has a turn."""
INLINE_BYTES = 262_144
"""And only with so much data: a mebibyte takes two milliseconds more."""
SLICE = 0.005
"""Seconds of judging after which everybody else has a turn."""

_Started = tuple[RegisteredValidator, Awaitable[object] | None]
"""An asynchronous validator, and what it returned where it was called already."""


def received_message(message: Message, message_id: bytes, received_from: bytes) -> ReceivedMessage:
    return ReceivedMessage(
        message.topic,
        message.data or b"",
        # An author that no signature proves is hearsay (lax policies).
        PeerId(message.from_peer) if message.from_peer and message.signature else None,
        received_from if type(received_from) is PeerId else PeerId(received_from),
        message_id,
        message.seqno,
        None,
        message,
    )


@dataclass(slots=True)
class _Batch:
    effects: list[Validate]
    good: list[bool] | None = None
    """Which signatures are good, once that is known."""


class ValidationPipeline:
    """Takes `Validate` effects, reports one verdict for each.

    However many workers verify, batches are judged in the order they were taken from the queue,
    and within a batch messages in the order they came. So what a peer hands over in a topic is
    judged in its order, up to asynchronous validators that are not inline: peers with a sequence
    number validator ignore what another message of its author has overtaken.
    Two workers verify twice as fast as one, since `cryptography` (from 50 on) and PyNaCl let go of
    the interpreter lock. Without workers signatures are verified on the event loop, and no thread
    is ever used.
    """

    def __init__(
        self,
        *,
        queue: int,
        throttle: int,
        workers: int,
        ed25519: Ed25519Verify,
        report: Callable[[int, Verdict], None],
        batch_done: Callable[[], None],
        overload: Overload,
    ) -> None:
        self._throttle = throttle
        self._ed25519 = ed25519
        self._report = report
        self._batch_done = batch_done
        self._overload = overload
        self._threads = workers
        self._workers = max(workers, 1)
        self._backlog = min(BACKLOG, queue // 4)
        self._verifying: deque[_Batch] = deque()
        self._is_judging = False
        self._left_in_turn = INLINE
        """Messages that may still be judged where they come in this turn of the event loop."""
        self._idle: list[Wake] = []
        self._limiter: anyio.CapacityLimiter | None = None
        self._running = 0
        self.queue = FairQueue(queue)
        self.validators = ValidatorTable()

    def submit(self, effect: Validate) -> None:
        """Queue a message. Whichever has no place then, it or another, is reported at once."""
        displaced = self.queue.put(effect)
        if displaced is not None:
            self._overload.queue_full(displaced.message.topic)
            self._report(displaced.ticket, Verdict.QUEUE_FULL)

    def begin(self) -> bool:
        """Everything that came is submitted: judge it here and now where it is little and nobody
        is asked, since a worker would take some turns of the event loop for that, else wake as
        many workers as it takes. Whether anything was judged.

        It is little only as long as all that came in this turn is: fifty connections that bring a
        little each would keep everybody else from theirs for a tenth of a second."""
        if self.queue and not self._verifying and self._is_little_and_unasked():
            effects = self.queue.take(INLINE, INLINE_BYTES)
            self._left_in_turn -= len(effects)
            if self._left_in_turn < INLINE // 2 and len(self._idle) == self._workers:
                self._idle.pop().set()  # when it runs, others had their turns
            good = self._check([effect.message for effect in effects])
            for effect, is_good in zip(effects, good, strict=True):
                verdict = Verdict.ACCEPT if is_good else Verdict.INVALID_SIGNATURE
                self._report(effect.ticket, verdict)
            return True
        self.wake_workers()
        return False

    def wake_workers(self) -> None:
        """As many as what waits is work for."""
        busy = self._workers - len(self._idle)
        while self._idle and len(self.queue) > self._backlog * busy:
            self._idle.pop().set()
            busy += 1

    def _is_little_and_unasked(self) -> bool:
        queue = self.queue
        if len(queue) > self._left_in_turn or queue.data_bytes > INLINE_BYTES:
            return False
        return not any(self.validators.of(topic) for topic in queue.topics())

    async def validate_own(
        self, message: Message, message_id: bytes, author: bytes
    ) -> Refusal | None:
        """Have a message about to be published judged; None is ACCEPT. It neither waits in the
        queue nor counts against a limit: its publisher waits."""
        validators = self.validators.of_own(message.topic)
        if not validators:
            return None
        received = received_message(message, message_id, author)
        refusal, started = await self._judge_in_turn(validators, received, own=True)
        if started:
            refusal = graver(refusal, await self._judge_together(started, received, own=True))
        return refusal

    async def run(self) -> None:
        """Serve until cancelled."""
        self._limiter = anyio.CapacityLimiter(self._workers)
        async with anyio.create_task_group() as tasks:
            for _ in range(self._workers):
                tasks.start_soon(self._work, tasks)

    # -- signatures ------------------------------------------------------------------------

    async def _work(self, tasks: TaskGroup) -> None:
        wake = Wake()
        while True:
            # An inline validator that waits holds up judging; verifying must not run away.
            while not self.queue or len(self._verifying) >= 2 * self._workers:
                self._idle.append(wake)
                await wake.wait()
                self._left_in_turn = INLINE
            is_backlog = self._threads > 0 and len(self.queue) > self._backlog
            batch = _Batch(self.queue.take(BATCH if is_backlog else INLINE, BATCH_BYTES))
            self._verifying.append(batch)
            messages = [effect.message for effect in batch.effects]
            if is_backlog or (self._threads and not _is_little(messages)):
                batch.good = await anyio.to_thread.run_sync(
                    self._check, messages, limiter=self._limiter
                )
                await self._judge_verified(tasks)
            else:
                batch.good = self._check(messages)
                await self._judge_verified(tasks)
                await anyio.lowlevel.checkpoint()  # others' turn: with verdicts, and none half done

    def _check(self, messages: list[Message]) -> list[bool]:
        """Which are genuine."""
        signed = [message for message in messages if message.signature is not None]
        verified = verify_batch(signed, self._ed25519)
        if len(signed) == len(messages):
            return verified
        # Unsigned messages come this far only where the signature policy allows them.
        outcomes = iter(verified)
        return [message.signature is None or next(outcomes) for message in messages]

    # -- validators ------------------------------------------------------------------------

    async def _judge_verified(self, tasks: TaskGroup) -> None:
        """Judge the batches that are verified, in their order. One worker at a time does."""
        if self._is_judging:
            return
        self._is_judging = True
        try:
            while self._verifying and (good := self._verifying[0].good) is not None:
                await self._judge_batch(self._verifying[0].effects, good, tasks)
                self._verifying.popleft()
                self.wake_workers()
        finally:
            self._is_judging = False

    async def _judge_batch(
        self, effects: list[Validate], good: list[bool], tasks: TaskGroup
    ) -> None:
        started = perf_counter()
        for effect, is_good in zip(effects, good, strict=True):
            validators = self.validators.of(effect.message.topic) if is_good else ()
            if not validators:
                self._report(
                    effect.ticket, Verdict.ACCEPT if is_good else Verdict.INVALID_SIGNATURE
                )
                continue
            await self._judge(effect, validators, tasks)
            if self._threads and perf_counter() - started > SLICE:
                self._batch_done()
                await anyio.lowlevel.checkpoint()
                started = perf_counter()
        self._batch_done()

    async def _judge(
        self, effect: Validate, validators: tuple[RegisteredValidator, ...], tasks: TaskGroup
    ) -> None:
        message = received_message(effect.message, effect.message_id, effect.peer)
        refusal, started = await self._judge_in_turn(validators, message, own=False)
        if not started:
            self._conclude(effect, refusal)
            return
        free: list[_Started] = []
        for validator, outcome in started:
            if self._running >= self._throttle or validator.is_busy():
                _abandon([(validator, outcome)])
                refusal = graver(refusal, validator.busy())
            else:
                free.append((validator, outcome))
        if not free:
            self._conclude(effect, refusal)
            return
        for validator, _ in free:
            validator.running += 1
        self._running += 1
        tasks.start_soon(self._judge_later, effect, message, free, refusal)

    async def _judge_in_turn(
        self, validators: tuple[RegisteredValidator, ...], message: ReceivedMessage, *, own: bool
    ) -> tuple[Refusal | None, list[_Started]]:
        """Ask the plain and the inline ones, the first that rejects ends it. The others are left,
        started where only calling them told that they are asynchronous."""
        refusal: Refusal | None = None
        left: list[_Started] = []
        for validator in validators:
            if validator.is_async and not validator.inline:
                left.append((validator, None))
                continue
            outcome = validator.call(message)
            if outcome is None:
                continue
            if not isinstance(outcome, Refusal):
                if not validator.inline:
                    left.append((validator, outcome))
                    continue
                self._batch_done()  # what was decided before does not wait with it
                try:
                    outcome = await validator.settle(outcome, own=own)
                except BaseException:
                    _abandon(left)  # cancelled: by the host that stops, or a message's publisher
                    raise
            self._count_fault(message.topic, outcome)
            refusal = graver(refusal, outcome)
            if refusal is not None and refusal.verdict is Verdict.REJECT:
                _abandon(left)
                return refusal, []
        return refusal, left

    async def _judge_later(
        self,
        effect: Validate,
        message: ReceivedMessage,
        started: list[_Started],
        refusal: Refusal | None,
    ) -> None:
        try:
            refusal = graver(refusal, await self._judge_together(started, message, own=False))
        finally:
            self._running -= 1
            for validator, _ in started:
                validator.running -= 1
        self._conclude(effect, refusal)
        self._batch_done()

    async def _judge_together(
        self, started: list[_Started], message: ReceivedMessage, *, own: bool
    ) -> Refusal | None:
        """Ask the asynchronous ones all at once; the first that rejects ends it."""
        if len(started) == 1:
            return await self._settle(*started[0], message, own=own)
        gravest: Refusal | None = None

        async def settle(validator: RegisteredValidator, outcome: Awaitable[object] | None) -> None:
            nonlocal gravest
            # The publisher's task is the one that waits for the group, never one of these.
            gravest = graver(gravest, await self._settle(validator, outcome, message, own=False))
            if gravest is not None and gravest.verdict is Verdict.REJECT:
                together.cancel_scope.cancel()

        async with anyio.create_task_group() as together:
            for each in started:
                together.start_soon(settle, *each)
        return gravest

    async def _settle(
        self,
        validator: RegisteredValidator,
        outcome: Awaitable[object] | Refusal | None,
        message: ReceivedMessage,
        *,
        own: bool,
    ) -> Refusal | None:
        if outcome is None:
            outcome = validator.call(message)
        if outcome is not None and not isinstance(outcome, Refusal):
            outcome = await validator.settle(outcome, own=own)
        self._count_fault(message.topic, outcome)
        return outcome

    def _conclude(self, effect: Validate, refusal: Refusal | None) -> None:
        if refusal is None:
            self._report(effect.ticket, Verdict.ACCEPT)
            return
        if refusal.cause is Cause.BUSY:
            self._overload.throttled(effect.message.topic)
        self._report(effect.ticket, refusal.verdict)

    def _count_fault(self, topic: str, refusal: Refusal | None) -> None:
        if refusal is None:
            return
        if refusal.cause is Cause.TIMED_OUT:
            self._overload.counts(topic).timeouts += 1
        elif refusal.cause is not Cause.SAID:
            self._overload.counts(topic).failures += 1


def _is_little(messages: list[Message]) -> bool:
    return sum([len(message.data or b"") for message in messages]) <= INLINE_BYTES


def _abandon(started: list[_Started]) -> None:
    """Nobody will wait for these."""
    for _, outcome in started:
        if inspect.iscoroutine(outcome):
            outcome.close()
