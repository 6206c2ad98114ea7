"""What one field of a payload may hold: the types its class is annotated with.

A plain type says all (`str`, `bool`, `tuple[str, ...]`); the aliases here say more than Python's
types can, and carry the check that goes with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from gossipsub.chorus.errors import MalformedEnvelope
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.wire.errors import LocalProtocolError


class BadPayload(LocalProtocolError):
    """`data` is not what its message type says; `path` names the field, `reason` what is wrong.

    As text both: `capabilities[2] is a number, not text`.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason


Judge = Callable[[str, object], None]
"""Given a field's path and its value, which is not None; raises BadPayload."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a field may hold, in words and as a check."""

    words: str
    judge: Judge
    plain: frozenset[type] = frozenset()
    """Values of exactly these types are right and need no judge, which saves most calls."""
    is_list: bool = False


def wrong_type(path: str, value: object, wanted: str) -> BadPayload:
    """What to raise for a value of another type than the `wanted` one."""
    return BadPayload(path, f"is {_name(value)}, not {wanted}")


def _name(value: object) -> str:
    """The type of a value in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "an object" if isinstance(value, Mapping) else f"of type {type(value).__name__}"


def _text(path: str, value: object) -> None:
    if not isinstance(value, str):
        raise wrong_type(path, value, "text")


def _flag(path: str, value: object) -> None:
    if not isinstance(value, bool):
        raise wrong_type(path, value, "true or false")


def _identifier(path: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise wrong_type(path, value, "text or a whole number")


def _time(path: str, value: object) -> None:
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise wrong_type(path, value, "a time")
        _finite(path, value)
    elif value:
        try:
            Timestamp(value)
        except MalformedEnvelope as error:
            raise BadPayload(path, "is not a time in the form of RFC 3339") from error


def _finite(path: str, value: float) -> None:
    # Not asked of int: one too large for a float is an OverflowError.
    if isinstance(value, float) and not math.isfinite(value):
        raise BadPayload(path, f"is {value}")


def _numbers(lowest: float = -math.inf, highest: float = math.inf) -> Judge:
    def judge(path: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise wrong_type(path, value, "a number")
        _finite(path, value)
        if value < lowest:
            raise BadPayload(path, f"is below {lowest:g}")
        if value > highest:
            raise BadPayload(path, f"is above {highest:g}")

    return judge


def _count(path: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        wanted = "a whole number"
        if isinstance(value, float):
            raise BadPayload(path, f"is not {wanted}")
        raise wrong_type(path, value, wanted)
    if value < 0:
        raise BadPayload(path, "is below 0")


def _one_of(*words: str) -> Kind:
    choice = f"{', '.join(words[:-1])} or {words[-1]}"
    right = frozenset(("", *words))

    def judge(path: str, value: object) -> None:
        _text(path, value)
        if value not in right:
            raise BadPayload(path, f"is {str(value)[:32]!r}, not {choice}")

    return Kind(choice, judge)


def _priority(path: str, value: object) -> None:
    if isinstance(value, str):
        _URGENCY.judge(path, value)
    elif isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(path, value, "a word or a whole number")


def _object(path: str, value: object) -> None:
    if not isinstance(value, Mapping):
        raise wrong_type(path, value, "an object")


def _anything(path: str, value: object) -> None:
    pass


def _lists(item: Kind) -> Judge:
    judge_item, plain = item.judge, item.plain

    def judge(path: str, value: object) -> None:
        if not isinstance(value, (list, tuple)):
            raise wrong_type(path, value, "a list")
        for index, element in enumerate(value):
            if type(element) not in plain:
                judge_item(f"{path}[{index}]", element)

    return judge


_TEXT = Kind("text", _text, frozenset((str,)))
_IDENTIFIER = Kind("text or whole number", _identifier, frozenset((str, int)))
_OBJECT = Kind("object", _object, frozenset((dict,)))

Identifier = Annotated[str | int, _IDENTIFIER]
"""Of a task, an issue, a project: text, or the number it has elsewhere."""
Identifiers = Annotated[
    tuple[str | int, ...],
    Kind("list of texts or whole numbers", _lists(_IDENTIFIER), is_list=True),
]
Time = Annotated[str | float, Kind("time", _time)]
"""Text in the form of RFC 3339 (`Timestamp`'s), or seconds since 1970."""
Share = Annotated[float, Kind("number from 0 to 1", _numbers(0, 1))]
Seconds = Annotated[float, Kind("seconds, at least 0", _numbers(0))]
Number = Annotated[float, Kind("number", _numbers())]
Count = Annotated[int, Kind("whole number, at least 0", _count)]
_UrgencyWord = Literal["low", "medium", "high", "urgent"]
_SeverityWord = Literal["low", "medium", "high", "critical"]
_URGENCY = _one_of(*get_args(_UrgencyWord))
Urgency = Annotated[_UrgencyWord | Literal[""], _URGENCY]
Severity = Annotated[_SeverityWord | Literal[""], _one_of(*get_args(_SeverityWord))]
Priority = Annotated[
    _UrgencyWord | Literal[""] | int, Kind(f"{_URGENCY.words}, or whole number", _priority)
]
"""A word, or a number that means more to those who give it than to us."""
Object = Annotated[Mapping[str, object], _OBJECT]
Objects = Annotated[
    tuple[Mapping[str, object], ...], Kind("list of objects", _lists(_OBJECT), is_list=True)
]
Anything = Annotated[object, Kind("anything", _anything)]

_OF_PLAIN_TYPES: dict[Any, Kind] = {
    str: _TEXT,
    bool: Kind("true or false", _flag, frozenset((bool,))),
    tuple[str, ...]: Kind("list of texts", _lists(_TEXT), is_list=True),
}


def kind_of(annotation: Any) -> Kind:
    """The kind that an annotation stands for; None beside it (`Share | None`) does not matter.

    LookupError for one that is none of ours.
    """
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is Annotated:
        kind = get_args(annotation)[1]
        if isinstance(kind, Kind):
            return kind
    found = _OF_PLAIN_TYPES.get(annotation)
    if found is None:
        raise LookupError(f"no kind of field: {annotation}")
    return found
