"""Validators of a program of threads: blocking ones do the host's loop no harm."""

from __future__ import annotations

import inspect

import anyio
import anyio.to_thread

from gossipsub.pubsub.message import ReceivedMessage, Validator
from gossipsub.router.effects import Verdict


def in_worker_thread(validator: Validator) -> Validator:
    """An asynchronous validator that calls a plain one in a worker thread, for one message at a
    time, so that it needs no lock. A coroutine function is left as it is."""
    if not callable(validator) or inspect.iscoroutinefunction(validator):
        return validator
    turns = anyio.CapacityLimiter(1)

    async def validate(message: ReceivedMessage) -> Verdict | bool:
        # A host that closes does not wait for it.
        outcome = await anyio.to_thread.run_sync(
            validator, message, limiter=turns, abandon_on_cancel=True
        )
        return await outcome if inspect.isawaitable(outcome) else outcome

    validate.__qualname__ = getattr(validator, "__qualname__", repr(validator))
    return validate


class DefaultValidators:
    """What stands for each of the default validators, so that it is found by the validator."""

    def __init__(self) -> None:
        self._known: list[tuple[Validator, Validator]] = []

    def add(self, validator: Validator, substitute: Validator) -> None:
        self._known.append((validator, substitute))

    def substitute(self, validator: Validator) -> Validator | None:
        """None where it is no default validator."""
        return next((other for known, other in self._known if _is_same(known, validator)), None)

    def remove(self, validator: Validator) -> None:
        self._known = [pair for pair in self._known if not _is_same(pair[0], validator)]


def _is_same(one: object, other: object) -> bool:
    """A method is another object each time it is named, but an equal one."""
    return one is other or (inspect.ismethod(one) and one == other)
