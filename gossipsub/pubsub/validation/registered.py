"""Validators as they were registered: what each may take, and what comes of calling it.

Whatever a validator does wrong ends here: it is logged with the validator's name, and the message
is ignored.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from enum import Enum

import anyio

from gossipsub.cancellation import is_task_cancelled
from gossipsub.pubsub.message import ReceivedMessage, Validator
from gossipsub.router.effects import Verdict
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.validation")

_GRAVITY = {Verdict.IGNORE: 0, Verdict.THROTTLED: 1, Verdict.REJECT: 2}
"""A throttled validator might have rejected: so it outweighs IGNORE, and REJECT outweighs it."""


class Cause(Enum):
    """Why a validator did not accept."""

    SAID = "it said so"
    FAILED = "it failed"
    NO_VERDICT = "it returned no verdict"
    TIMED_OUT = "no verdict in time"
    BUSY = "too many run already"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A verdict other than ACCEPT: whose, and why."""

    verdict: Verdict
    validator: str
    cause: Cause

    def __str__(self) -> str:
        why = "" if self.cause is Cause.SAID else f" ({self.cause.value})"
        return f"the validator {self.validator} says {self.verdict.name}{why}"


def graver(one: Refusal | None, other: Refusal | None) -> Refusal | None:
    """Which of two counts, None being ACCEPT; of equal ones the first."""
    if one is None or other is None:
        return one or other
    return other if _GRAVITY[other.verdict] > _GRAVITY[one.verdict] else one


class RegisteredValidator:
    """A validator with its options, and how many calls of it run."""

    __slots__ = (
        "concurrency",
        "function",
        "inline",
        "is_async",
        "name",
        "own",
        "running",
        "timeout",
    )

    def __init__(
        self,
        function: Validator,
        *,
        timeout: float | None,
        concurrency: int,
        inline: bool,
        own: bool,
    ) -> None:
        if not callable(function):
            raise LocalProtocolError(f"a validator is a function: {function!r}")
        if timeout is not None and not (_is_number(timeout) and timeout > 0):
            raise LocalProtocolError(f"a validator's timeout must be positive: {timeout!r}")
        is_whole = isinstance(concurrency, int) and not isinstance(concurrency, bool)
        if not is_whole or concurrency < 1:
            raise LocalProtocolError(f"a validator's concurrency is at least 1: {concurrency!r}")
        if not isinstance(inline, bool):
            raise LocalProtocolError(f"inline must be True or False: {inline!r}")
        if not isinstance(own, bool):
            raise LocalProtocolError(f"own must be True or False: {own!r}")
        self.function = function
        self.name: str = getattr(function, "__qualname__", repr(function))
        self.timeout = timeout
        self.concurrency = concurrency
        self.inline = inline
        self.own = own
        """Whether it is asked about messages that are about to be published, too."""
        self.is_async = _is_asynchronous(function)
        self.running = 0

    def call(self, message: ReceivedMessage) -> Refusal | Awaitable[object] | None:
        """None is ACCEPT; an awaitable is for `settle`."""
        try:
            outcome = self.function(message)
        except Exception:
            return self._failed()
        except anyio.get_cancelled_exc_class():
            return self._failed()  # its own doing: nobody can cancel a plain function
        if outcome is True:
            return None
        return outcome if inspect.isawaitable(outcome) else self._refusal(outcome)

    async def settle(self, outcome: Awaitable[object], *, own: bool) -> Refusal | None:
        """Wait for the verdict. After `timeout` the validator is cancelled where it waits. What
        it returns all the same counts, as in go; else the message is ignored. On an `own` message
        the task is its publisher's, and whoever cancels that is heard."""
        try:
            if self.timeout is None:
                return self._refusal(await outcome)
            with anyio.move_on_after(self.timeout):
                return self._refusal(await outcome)
        except Exception:
            return self._failed()
        except anyio.get_cancelled_exc_class():
            if own or is_task_cancelled():
                raise
            return self._failed()
        return Refusal(Verdict.IGNORE, self.name, Cause.TIMED_OUT)

    def is_busy(self) -> bool:
        return self.running >= self.concurrency

    def busy(self) -> Refusal:
        return Refusal(Verdict.THROTTLED, self.name, Cause.BUSY)

    def _failed(self) -> Refusal:
        """Called while the validator's exception is handled."""
        logger.exception("a validator failed name=%s", self.name)
        return Refusal(Verdict.IGNORE, self.name, Cause.FAILED)

    def _refusal(self, outcome: object) -> Refusal | None:
        if outcome is True or outcome is Verdict.ACCEPT:
            return None
        if outcome is False or outcome is Verdict.REJECT:
            return Refusal(Verdict.REJECT, self.name, Cause.SAID)
        if outcome is Verdict.IGNORE or outcome is Verdict.THROTTLED:
            return Refusal(outcome, self.name, Cause.SAID)
        logger.error("a validator returned no verdict name=%s", self.name)
        return Refusal(Verdict.IGNORE, self.name, Cause.NO_VERDICT)


class ValidatorTable:
    """Which validators judge a topic's messages: the default ones, in the order they were added,
    then the topic's own."""

    def __init__(self) -> None:
        self._default: tuple[RegisteredValidator, ...] = ()
        self._by_topic: dict[str, tuple[RegisteredValidator, ...]] = {}

    def of(self, topic: str) -> tuple[RegisteredValidator, ...]:
        return self._default + self._by_topic.get(topic, ())

    def of_own(self, topic: str) -> tuple[RegisteredValidator, ...]:
        """Those that judge what this host is about to publish there."""
        return tuple([each for each in self.of(topic) if each.own])

    def set(self, topic: str, validator: RegisteredValidator) -> None:
        if topic in self._by_topic:
            raise LocalProtocolError(f"the topic has a validator already: {topic}")
        self._by_topic[topic] = (validator,)

    def remove(self, topic: str) -> None:
        if topic not in self._by_topic:
            raise LocalProtocolError(f"the topic has no validator: {topic}")
        del self._by_topic[topic]

    def add_default(self, validator: RegisteredValidator) -> None:
        if any(_is_same(known.function, validator.function) for known in self._default):
            raise LocalProtocolError(f"it is a default validator already: {validator.name}")
        self._default += (validator,)

    def remove_default(self, function: Validator) -> None:
        left = tuple(each for each in self._default if not _is_same(each.function, function))
        if len(left) == len(self._default):
            raise LocalProtocolError(f"it is no default validator: {function!r}")
        self._default = left


def _is_asynchronous(function: Validator) -> bool:
    """Known to be, before it is called."""
    call = getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _is_same(one: object, other: object) -> bool:
    """A method is another object each time it is named, but an equal one."""
    return one is other or (inspect.ismethod(one) and inspect.ismethod(other) and one == other)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
