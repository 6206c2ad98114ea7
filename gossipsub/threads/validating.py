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
