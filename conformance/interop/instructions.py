"""A script as one node reads it: its instructions, checked before the first is carried out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gossipsub.peer.values import number, switch, whole
from gossipsub.wire.errors import GossipSubError

MAX_SCRIPT_BYTES = 64 << 20


class ScriptError(GossipSubError):
    """The script is not one; says where and why."""


@dataclass(frozen=True, slots=True)
class InitGossipSub:
    """Make the router; comes first."""

    params: Mapping[str, Any]
    """By go's names; durations in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Dial these nodes, one after the other."""

    nodes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WaitUntil:
    seconds: float
    """Since the start."""


@dataclass(frozen=True, slots=True)
class SubscribeToTopic:
    topic: str
    partial: bool


@dataclass(frozen=True, slots=True)
class Publish:
    message_id: int
    size_bytes: int
    topic: str


@dataclass(frozen=True, slots=True)
class SetTopicValidationDelay:
    topic: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AddPartialMessage:
    """This node owns these parts of a group, and does not say so yet."""

    topic: str
    group_id: int
    parts: int
    """A bitmap."""


@dataclass(frozen=True, slots=True)
class PublishPartial:
    topic: str
    group_id: int
    nodes: tuple[int, ...]
    """Empty: the topic's peers."""


Instruction = (
    InitGossipSub
    | Connect
    | WaitUntil
    | SubscribeToTopic
    | Publish
    | SetTopicValidationDelay
    | AddPartialMessage
    | PublishPartial
)


def read_params(text: str | bytes) -> list[Any]:
    """The script in `params.json`. ScriptError for anything else."""
    if len(text) > MAX_SCRIPT_BYTES:
        raise ScriptError(f"more than {MAX_SCRIPT_BYTES} bytes")
    try:
        params = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"not JSON: {error}") from error
    if not isinstance(params, dict) or not isinstance(params.get("script"), list):
        raise ScriptError('not an object with a list as "script"')
    script: list[Any] = params["script"]
    return script


def read_script(script: list[Any], *, node: int) -> list[Instruction]:
    """What node `node` has to do; the instructions of others are checked as well. ScriptError says
    which is wrong."""
    own = []
    for place, given in enumerate(script):
        try:
            instruction = _read(given, node)
        except ValueError as error:
            raise ScriptError(f"instruction {place}: {error}") from None
        if instruction is not None:
            own.append(instruction)
    if own and not isinstance(own[0], InitGossipSub):
        raise ScriptError(f"initGossipSub must come first, not {type(own[0]).__name__}")
    if sum(isinstance(each, InitGossipSub) for each in own) > 1:
        raise ScriptError("initGossipSub comes twice")
    return own


def _read(given: Any, node: int) -> Instruction | None:
    """One instruction; None for another node's. Conditions are followed without recursion."""
    is_ours = True
    fields = _object(given)
    while fields.get("type") == "ifNodeIDEquals":
        is_ours = is_ours and _field(fields, "nodeID", _size) == node
        fields = _field(fields, "instruction", _object)
    read = _KINDS.get(_field(fields, "type", _text))
    if read is None:
        raise ValueError(f"unknown type {fields['type']!r}")
    instruction = read(fields)
    return instruction if is_ours else None


def _field(fields: Mapping[str, Any], name: str, convert: Callable[[Any], Any]) -> Any:
    if name not in fields:
        raise ValueError(f"no {name!r} in {fields.get('type', 'it')!r}")
    try:
        return convert(fields[name])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _optional(fields: Mapping[str, Any], name: str, convert: Callable[[Any], Any]) -> Any:
    return None if fields.get(name) is None else _field(fields, name, convert)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {json.dumps(value)[:100]}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text that is not empty")
    return value


def _size(value: Any) -> int:
    if not 0 <= whole(value) < 2**64:
        raise ValueError(f"must be from 0 to 2^64-1: {value}")
    return whole(value)


def _nodes(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ValueError("must be a list of node numbers")
    return tuple(map(_size, value))


def _seconds(value: Any) -> float:
    if number(value) < 0:
        raise ValueError("must not be negative")
    return number(value)


def _bitmap(value: Any) -> int:
    if _size(value) > 255:
        raise ValueError(f"must be a bitmap of 8 parts: {value}")
    return _size(value)


def _message_size(value: Any) -> int:
    if _size(value) < 8:
        raise ValueError(f"must be 8 at least: {value}")
    return _size(value)


def _publish(fields: Mapping[str, Any]) -> Publish:
    return Publish(
        message_id=_field(fields, "messageID", _size),
        size_bytes=_field(fields, "messageSizeBytes", _message_size),
        topic=_field(fields, "topicID", _text),
    )


def _publish_partial(fields: Mapping[str, Any]) -> PublishPartial:
    return PublishPartial(
        _field(fields, "topicID", _text),
        _field(fields, "groupID", _size),
        _optional(fields, "publishToNodeIDs", _nodes) or (),
    )


_KINDS: dict[str, Callable[[Mapping[str, Any]], Instruction]] = {
    "initGossipSub": lambda it: InitGossipSub(_field(it, "gossipSubParams", _object)),
    "connect": lambda it: Connect(_field(it, "connectTo", _nodes)),
    "waitUntil": lambda it: WaitUntil(_field(it, "elapsedSeconds", _seconds)),
    "subscribeToTopic": lambda it: SubscribeToTopic(
        _field(it, "topicID", _text), _optional(it, "partial", switch) or False
    ),
    "publish": _publish,
    "setTopicValidationDelay": lambda it: SetTopicValidationDelay(
        _field(it, "topicID", _text), _field(it, "delaySeconds", _seconds)
    ),
    "addPartialMessage": lambda it: AddPartialMessage(
        _field(it, "topicID", _text), _field(it, "groupID", _size), _field(it, "parts", _bitmap)
    ),
    "publishPartial": _publish_partial,
}
