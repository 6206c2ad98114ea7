"""Several validators as one."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterator

from gossipsub.pubsub.message import ReceivedMessage, Validator
from gossipsub.router.effects import Verdict
from gossipsub.validators.arguments import require_function

_FINAL = (Verdict.REJECT, Verdict.THROTTLED)
"""What no later validator can change."""


def all_of(*validators: Validator) -> Validator:
    """One validator that accepts what all of them accept.

    They are asked in the order given, each when the one before has answered: the cheap ones first.
    REJECT ends it, and so does THROTTLED: another copy of the message is to be asked about anew, so
    those that count must not have counted this one. After IGNORE the others are asked all the same,
    since one of them may REJECT.

    It is plain as long as all of them are, and asynchronous where one of them is. What one raises
    passes through, and a TypeError says which returned no verdict: the host logs either and ignores
    the message. ValueError for none at all or for what is no function.
    """
    if not validators:
        raise ValueError("all_of needs at least one validator")
    for validator in validators:
        require_function("a validator", validator)
    if any(_is_asynchronous(validator) for validator in validators):
        return _AsynchronousAllOf(validators)
    return _AllOf(validators)


class _AllOf:
    __slots__ = ("_validators",)

    def __init__(self, validators: tuple[Validator, ...]) -> None:
        self._validators = validators

    def __call__(self, message: ReceivedMessage) -> Verdict | Awaitable[Verdict]:
        return _ask(iter(self._validators), message, Verdict.ACCEPT)

    def __repr__(self) -> str:
        return f"all_of({', '.join(map(repr, self._validators))})"


class _AsynchronousAllOf(_AllOf):
    """Seen to be so before it is called: a busy host need not begin what it could not finish."""

    __slots__ = ()

    async def __call__(self, message: ReceivedMessage) -> Verdict:
        outcome = _ask(iter(self._validators), message, Verdict.ACCEPT)
        return outcome if isinstance(outcome, Verdict) else await outcome


def _ask(
    validators: Iterator[Validator], message: ReceivedMessage, so_far: Verdict
) -> Verdict | Awaitable[Verdict]:
    """Ask those that are left; `so_far` is what the ones before have said."""
    for validator in validators:
        outcome = validator(message)
        if not isinstance(outcome, Verdict | bool) and inspect.isawaitable(outcome):
            return _ask_on(validator, outcome, validators, message, so_far)
        so_far = _joined(so_far, validator, outcome)
        if so_far in _FINAL:
            break
    return so_far


async def _ask_on(
    validator: Validator,
    answer: Awaitable[object],
    validators: Iterator[Validator],
    message: ReceivedMessage,
    so_far: Verdict,
) -> Verdict:
    so_far = _joined(so_far, validator, await answer)
    if so_far in _FINAL:
        return so_far
    outcome = _ask(validators, message, so_far)
    return outcome if isinstance(outcome, Verdict) else await outcome


def _joined(so_far: Verdict, validator: Validator, outcome: object) -> Verdict:
    """`so_far` is ACCEPT or IGNORE: nothing is asked after the others."""
    if outcome is True or outcome is Verdict.ACCEPT:
        return so_far
    if outcome is False:
        return Verdict.REJECT
    if outcome is Verdict.IGNORE or outcome in _FINAL:
        return outcome
    # Not the value itself: errors are logged, and it may hold what a peer sent.
    kind = outcome.name if isinstance(outcome, Verdict) else type(outcome).__name__
    raise TypeError(f"{validator!r} returned {kind} instead of a verdict")


def _is_asynchronous(validator: Validator) -> bool:
    call = getattr(validator, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(validator) or inspect.iscoroutinefunction(call)
