"""The validation pipeline: signatures in batches on worker threads, then the user's validators.

Bounds: at most `queue` messages wait for their signature check (more: QUEUE_FULL) and at most
`throttle` asynchronous validators run (more: THROTTLED). Neither costs the sender anything, and
the router forgets such a message, so that another copy can still succeed.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import TaskGroup

from gossipsub.crypto.message_signing import verify_batch
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage, Validator
from gossipsub.router.effects import Validate, Verdict
from gossipsub.wake import Wake
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message

logger = logging.getLogger("gossipsub.validation")

BATCH = 32
"""Signatures verified in one thread hop: a hop costs as much as half a signature."""
INLINE = 2
"""So few are verified where we are; a hop would cost more than it frees."""


def received_message(message: Message, message_id: bytes, received_from: bytes) -> ReceivedMessage:
    return ReceivedMessage(
        topic=message.topic,
        data=message.data or b"",
        # An author that no signature proves is hearsay (lax policies).
        sender=PeerId(message.from_peer) if message.from_peer and message.signature else None,
        received_from=PeerId(received_from),
        message_id=message_id,
        seqno=message.seqno,
    )


@dataclass(slots=True)
class _Batch:
    effects: list[Validate]
    good: list[bool] | None = None
    """Which signatures are good, once that is known."""


class ValidationPipeline:
    """Takes `Validate` effects, reports verdicts; one for each that `submit` accepted.

    However many workers verify, messages are judged in the order they came: peers with a
    sequence number validator ignore what another message of its author has overtaken.
    """

    def __init__(
        self,
        *,
        queue: int,
        throttle: int,
        workers: int,
        report: Callable[[int, Verdict], None],
        batch_done: Callable[[], None],
    ) -> None:
        self._bound = queue
        self._throttle = throttle
        self._report = report
        self._batch_done = batch_done
        self._queue: deque[Validate] = deque()
        self._verifying: deque[_Batch] = deque()
        self._workers = workers
        self._idle: list[Wake] = []
        self._limiter: anyio.CapacityLimiter | None = None
        self._running = 0
        self._validators: dict[str, Validator] = {}
        self.throttled = 0
        self.queue_full = 0

    def __len__(self) -> int:
        return len(self._queue)

    def is_behind(self) -> bool:
        """So full that what arrives should wait in its stream instead of being lost here."""
        return len(self._queue) * 4 >= self._bound * 3

    def has_caught_up(self) -> bool:
        return len(self._queue) * 2 <= self._bound

    def set_validator(self, topic: str, validator: Validator | None) -> None:
        """One validator per topic; None removes it. LocalProtocolError when there is one already,
        or none to remove."""
        if validator is None:
            if topic not in self._validators:
                raise LocalProtocolError(f"the topic has no validator: {topic}")
            del self._validators[topic]
            return
        if not callable(validator):
            raise LocalProtocolError(f"a validator is a function: {validator!r}")
        if topic in self._validators:
            raise LocalProtocolError(f"the topic has a validator already: {topic}")
        self._validators[topic] = validator

    def submit(self, effect: Validate) -> bool:
        """Queue a message; False (and nothing kept) when the queue is full."""
        if len(self._queue) >= self._bound:
            self.queue_full += 1
            return False
        self._queue.append(effect)
        busy = self._workers - len(self._idle)
        if self._idle and len(self._queue) > BATCH * busy:
            self._idle.pop().set()
        return True

    async def validate_own(self, message: Message, message_id: bytes, author: bytes) -> Verdict:
        """Run the topic's validator on a message about to be published."""
        validator = self._validators.get(message.topic)
        if validator is None:
            return Verdict.ACCEPT
        outcome = self._call(validator, received_message(message, message_id, author))
        if inspect.isawaitable(outcome):
            return await self._settle(validator, outcome)
        return self._verdict(validator, outcome)

    async def run(self) -> None:
        """Serve until cancelled."""
        self._limiter = anyio.CapacityLimiter(self._workers)
        async with anyio.create_task_group() as tasks:
            for _ in range(self._workers):
                tasks.start_soon(self._work, tasks)

    async def _work(self, tasks: TaskGroup) -> None:
        wake = Wake()
        while True:
            while not self._queue:
                self._idle.append(wake)
                await wake.wait()
            size = min(BATCH, len(self._queue))
            batch = _Batch([self._queue.popleft() for _ in range(size)])
            self._verifying.append(batch)
            batch.good = await self._verify([effect.message for effect in batch.effects])
            while self._verifying and (good := self._verifying[0].good) is not None:
                self._judge_batch(self._verifying.popleft().effects, good, tasks)

    def _judge_batch(self, effects: list[Validate], good: list[bool], tasks: TaskGroup) -> None:
        for effect, is_good in zip(effects, good, strict=True):
            if is_good:
                self._judge(effect, tasks)
            else:
                self._report(effect.ticket, Verdict.INVALID_SIGNATURE)
        self._batch_done()

    async def _verify(self, messages: list[Message]) -> list[bool]:
        signed = [message for message in messages if message.signature is not None]
        if len(signed) <= INLINE:
            verified = iter(verify_batch(signed))
            await anyio.lowlevel.checkpoint()
        else:
            verified = iter(
                await anyio.to_thread.run_sync(verify_batch, signed, limiter=self._limiter)
            )
        # Unsigned messages come this far only where the signature policy allows them.
        return [message.signature is None or next(verified) for message in messages]

    def _judge(self, effect: Validate, tasks: TaskGroup) -> None:
        validator = self._validators.get(effect.message.topic)
        if validator is None:
            self._report(effect.ticket, Verdict.ACCEPT)
            return
        is_full = self._running >= self._throttle
        if is_full and _is_asynchronous(validator):
            self._throttled(effect)
            return
        message = received_message(effect.message, effect.message_id, effect.peer)
        outcome = self._call(validator, message)
        if not inspect.isawaitable(outcome):
            self._report(effect.ticket, self._verdict(validator, outcome))
        elif is_full:
            if inspect.iscoroutine(outcome):
                outcome.close()
            self._throttled(effect)
        else:
            self._running += 1
            tasks.start_soon(self._await_verdict, effect.ticket, validator, outcome)

    def _throttled(self, effect: Validate) -> None:
        self.throttled += 1
        self._report(effect.ticket, Verdict.THROTTLED)

    async def _await_verdict(
        self, ticket: int, validator: Validator, outcome: Awaitable[object]
    ) -> None:
        try:
            verdict = await self._settle(validator, outcome)
        except anyio.get_cancelled_exc_class():
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # Something the validator waited for was cancelled, not this task. Passed on it would
            # end the pipeline without a word.
            verdict = self._failed(validator)
        finally:
            self._running -= 1
        self._report(ticket, verdict)
        self._batch_done()

    def _call(self, validator: Validator, message: ReceivedMessage) -> object:
        try:
            return validator(message)
        except Exception:
            return self._failed(validator)
        except anyio.get_cancelled_exc_class():
            return self._failed(validator)  # its own doing: nobody can cancel a plain function

    async def _settle(self, validator: Validator, outcome: Awaitable[object]) -> Verdict:
        try:
            return self._verdict(validator, await outcome)
        except Exception:
            return self._failed(validator)

    def _failed(self, validator: Validator) -> Verdict:
        """Called while the validator's exception is handled."""
        logger.exception("a validator failed name=%s", _name(validator))
        return Verdict.IGNORE

    def _verdict(self, validator: Validator, outcome: object) -> Verdict:
        if outcome is True or outcome is Verdict.ACCEPT:
            return Verdict.ACCEPT
        if outcome is False or outcome is Verdict.REJECT:
            return Verdict.REJECT
        if outcome is Verdict.THROTTLED:
            return Verdict.THROTTLED
        if outcome is not Verdict.IGNORE:
            logger.error("a validator returned no verdict name=%s", _name(validator))
        return Verdict.IGNORE


def _is_asynchronous(validator: Validator) -> bool:
    """Known to be, before it is called."""
    call = getattr(validator, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(validator) or inspect.iscoroutinefunction(call)


def _name(validator: Validator) -> str:
    return getattr(validator, "__qualname__", repr(validator))
