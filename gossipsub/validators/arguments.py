"""What an application builds a validator of: checked there, so that no message finds it wrong."""

from __future__ import annotations

import math

from gossipsub.router.effects import Verdict

_REFUSALS = (Verdict.REJECT, Verdict.IGNORE, Verdict.THROTTLED)


def require_refusal(name: str, verdict: object) -> None:
    """ValueError unless `verdict` is one that a validator may refuse a message with."""
    if verdict not in _REFUSALS:
        names = ", ".join(f"Verdict.{refusal.name}" for refusal in _REFUSALS)
        raise ValueError(f"{name} must be one of {names}: {verdict!r}")


def require_positive(name: str, value: float) -> None:
    """ValueError unless `value` is a finite number above 0."""
    if not _is_number(value) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a finite number above 0: {value!r}")


def require_not_negative(name: str, value: float) -> None:
    """ValueError unless `value` is a finite number, 0 or above."""
    if not _is_number(value) or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a finite number, 0 or above: {value!r}")


def require_count(name: str, value: int) -> None:
    """ValueError unless `value` is a whole number above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number above 0: {value!r}")


def require_function(name: str, value: object) -> None:
    """ValueError unless `value` can be called."""
    if not callable(value):
        raise ValueError(f"{name} must be a function: {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
