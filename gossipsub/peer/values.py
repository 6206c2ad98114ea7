"""The values of a flag's JSON, checked as they are read: ValueError for what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


class Values:
    """An object given as JSON."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given

    def pick(self, names: dict[str, str], convert: Callable[[Any], Any]) -> dict[str, Any]:
        """Those of these names that were given, by the names they have here. ValueError says which
        of them `convert` refused."""
        picked = {}
        for theirs, ours in names.items():
            if theirs in self._given:
                try:
                    picked[ours] = convert(self._given[theirs])
                except ValueError as error:
                    raise ValueError(f"{theirs}: {error}") from None
        return picked


def whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"must be a whole number, not {json.dumps(value)}")
    return value


def number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) < 1e15:
        raise ValueError(f"must be a number, not {json.dumps(value)}")
    return float(value)


def seconds(milliseconds: Any) -> float:
    if number(milliseconds) < 0:
        raise ValueError("must not be negative")
    return number(milliseconds) / 1000


def switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {json.dumps(value)}")
    return value


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(e, str) for e in value):
        raise ValueError(f"must be a list of at least one text, not {json.dumps(value)}")
    return tuple(value)
