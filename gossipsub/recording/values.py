"""Values as JSON and back: whatever goes into a router or comes out of it.

Numbers, texts, True, False and None are themselves, sequences are arrays (and come back as
tuples). What JSON lacks is an object with one name that begins with `$`: `$b` bytes in base64,
`$e` a member of an enum, `$m` a mapping, `$f` a function, `$x` what was raised, `$u` something
else. Dataclasses are objects of their fields with the class's name as `$`.

A recording may come from a stranger: only classes and functions of the tables below are made of
it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, KeysView, Mapping, ValuesView
from dataclasses import MISSING, fields, is_dataclass, replace
from enum import Enum
from typing import Any

from gossipsub.recording.errors import RecordingUnreadable
from gossipsub.router import effects, features, message_id, params
from gossipsub.router.score import params as score_params
from gossipsub.wire import rpc
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.message_codec import decode_message
from gossipsub.wire.rpc import Message, Rpc

CLASSES: dict[str, Any] = {
    name: each
    for module in (rpc, effects, features, score_params, params)
    for name, each in vars(module).items()
    if isinstance(each, type) and (is_dataclass(each) or issubclass(each, Enum))
}
"""Classes a recording may be made of: those of RPCs, parameters and effects."""
_FUNCTIONS: dict[str, Callable[..., object]] = {
    "origin_id": message_id.origin_id,
    "features_of": features.features_of,
}
"""Functions of this library that parameters may name; all others are the application's."""
_PLAIN = (str, int, float, bool, type(None))
_MOSTLY_ABSENT = {
    each for each in CLASSES.values() if each.__module__ in (rpc.__name__, effects.__name__)
}
_FIELDS = {
    each: tuple(
        (field.name, field.default if each in _MOSTLY_ABSENT else MISSING)
        for field in fields(each)
        # Kept for sending the RPC: the router does not look at it.
        if not (each is Rpc and field.name == "encoding")
    )
    for each in CLASSES.values()
    if is_dataclass(each)
}
"""Fields by class, and the values with which they need not be written: those of RPCs and effects,
most of which are absent most of the time. Parameters are written whole, so that a later version
with other defaults replays the same."""


class Captured:
    """A function of the application inside parameters: on replay its answers are known."""

    def __init__(self, number: int, call: Callable[..., object]) -> None:
        self.number = number
        self._call = call

    def __call__(self, *arguments: object, **named: object) -> object:
        return self._call(*arguments, **named)


def capture(value: Any, wrap: Callable[[Callable[..., object]], Captured]) -> Any:
    """`value` with every function of the application replaced by what `wrap` makes of it."""
    kind = type(value)
    if kind in _PLAIN or kind in _MOSTLY_ABSENT or isinstance(value, (bytes, Enum, type)):
        return value
    if is_dataclass(value):
        changed = {}
        for field in fields(value):
            before = getattr(value, field.name)
            after = capture(before, wrap)
            if after is not before:
                changed[field.name] = after
        return replace(value, **changed) if changed else value  # type: ignore[type-var]
    if isinstance(value, Mapping):
        copies = {key: capture(part, wrap) for key, part in value.items()}
        return copies if any(copies[key] is not part for key, part in value.items()) else value
    if callable(value) and value not in _FUNCTIONS.values() and not isinstance(value, Captured):
        return wrap(value)
    return value


def settled(value: Any) -> Any:
    """`value`, or a tuple of what it yields if that can be asked for only once."""
    return tuple(value) if isinstance(value, Iterator) else value


def to_json(value: Any) -> Any:
    """LocalProtocolError for what cannot be recorded."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, (bytes, bytearray)):
        return {"$b": b64encode(value).decode()}
    if kind is tuple or kind is list:
        return [to_json(part) for part in value]
    if kind in _FIELDS:
        return _fields_to_json(value)
    if isinstance(value, Enum):
        return {"$e": [kind.__name__, value.name]}
    if isinstance(value, Mapping):
        return {"$m": [[to_json(key), to_json(part)] for key, part in value.items()]}
    if isinstance(value, (tuple, list, KeysView, ValuesView)):
        return [to_json(part) for part in value]
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Captured):
        return {"$f": value.number}
    if callable(value):
        name = next((name for name, known in _FUNCTIONS.items() if known is value), None)
        if name is not None:
            return {"$f": name}
    raise LocalProtocolError(f"cannot record a {kind.__qualname__}: {value!r:.200}")


def _fields_to_json(value: Any) -> dict[str, Any]:
    kind = type(value)
    written: dict[str, Any] = {"$": kind.__name__}
    if kind is Message and _is_all_in_its_encoding(value):
        written["encoding"] = to_json(value.encoding)
        return written
    for name, default in _FIELDS[kind]:
        part = getattr(value, name)
        if default is MISSING or part != default:
            written[name] = to_json(part)
    return written


def _is_all_in_its_encoding(message: Message) -> bool:
    """As in every message that came from the network."""
    if message.encoding is None:
        return False
    try:
        return decode_message(message.encoding, len(message.encoding)) == message
    except (IndexError, RemoteProtocolError):
        return False


def answer_to_json(answer: Any) -> Any:
    """What an application's function returned, whatever it was."""
    try:
        return to_json(answer)
    except LocalProtocolError:
        pass
    try:
        return float(answer)  # the number types of other libraries
    except (TypeError, ValueError, OverflowError):
        return {"$u": type(answer).__name__}


def from_json(value: Any, function: Callable[[int], Captured]) -> Any:
    """The value again; `function` finds the application's functions by number.

    RecordingUnreadable for anything that `to_json` does not write.
    """
    if isinstance(value, list):
        return tuple(from_json(part, function) for part in value)
    if not isinstance(value, dict):
        return value
    try:
        return _object_from_json(value, function)
    except RecordingUnreadable:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise RecordingUnreadable(f"{type(error).__name__}: {error}") from error
    except RemoteProtocolError as error:
        raise RecordingUnreadable(f"a message that is none: {error}") from error


def _object_from_json(value: dict[str, Any], function: Callable[[int], Captured]) -> Any:
    match value:
        case {"$": "Message", "encoding": encoding, **rest} if not rest:
            data = from_json(encoding, function)
            return decode_message(data, len(data))
        case {"$": str(name), **written}:
            kind = CLASSES[name]
            if issubclass(kind, Enum):
                raise RecordingUnreadable(f"{name} has no fields")
            return kind(**{key: from_json(part, function) for key, part in written.items()})
        case {"$b": str(text)}:
            return b64decode(text, validate=True)
        case {"$e": [str(name), str(member)]}:
            if not issubclass(CLASSES[name], Enum):
                raise RecordingUnreadable(f"{name} is no enum")
            return CLASSES[name][member]
        case {"$m": list(pairs)}:
            return {from_json(key, function): from_json(part, function) for key, part in pairs}
        case {"$f": str(name)}:
            return _FUNCTIONS[name]
        case {"$f": int(number)}:
            return function(number)
        case {"$u": str()}:
            return object()
    raise RecordingUnreadable(f"unknown value: {str(value)[:200]}")
