"""The envelope every CHORUS message travels in: the fields of Go's `Message` struct, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.go_json import finish, quote, read_value, write_object, write_value
from gossipsub.chorus.message_type import MessageType, message_type
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.wire.errors import LocalProtocolError


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeLimits:
    """What a node sends and takes; checked at construction (LocalProtocolError)."""

    max_bytes: int = 256 << 10
    """Size of the encoded envelope. Decoding the worst that can be said in a MiB was measured at
    65 ms, too long for an event loop; large content belongs elsewhere, with its hash in `data`."""
    max_depth: int = 64
    """Nested objects and arrays, the envelope included; at most 256."""
    max_hop_count: int = 16
    """Largest `hop_count`."""

    def __post_init__(self) -> None:
        if self.max_bytes < 1:
            raise LocalProtocolError(f"max_bytes is at least 1: {self.max_bytes}")
        if not 2 <= self.max_depth <= 256:
            raise LocalProtocolError(f"max_depth is 2 to 256: {self.max_depth}")
        if self.max_hop_count < 0:
            raise LocalProtocolError(f"max_hop_count is at least 0: {self.max_hop_count}")


DEFAULT_LIMITS = EnvelopeLimits()

_TEXT_FIELDS = ("from_role", "project_id", "priority", "thread_id")
_LIST_FIELDS = ("to_roles", "required_expertise")
_FIELDS = frozenset(
    ("type", "from", "timestamp", "data", "hop_count", *_TEXT_FIELDS, *_LIST_FIELDS)
)
_NAMES = {str: "text", int: "a whole number", list: "a list", dict: "an object"}


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message of one agent, as it is sent and received.

    Fields that are empty, beyond the first four, are left out of the encoding. In `data`, tuples
    are read back as lists, and floats that are whole as int. Numbers there are float64 to agents
    written in Go: an int above 2**53 loses digits.
    """

    type: MessageType | str
    """A plain string where the type is none of ours."""
    from_peer: str
    """Text of the sender's peer id; `from` on the wire."""
    timestamp: Timestamp
    data: Mapping[str, object] | None
    """The payload; None is Go's nil map, `null` on the wire."""
    hop_count: int = 0
    from_role: str = ""
    to_roles: tuple[str, ...] = ()
    required_expertise: tuple[str, ...] = ()
    project_id: str = ""
    priority: str = ""
    """low, medium, high or urgent; not checked."""
    thread_id: str = ""
    unknown_fields: Mapping[str, object] = field(default_factory=dict)
    """What another agent wrote beyond these; written back after them, sorted."""

    def encode(
        self, limits: EnvelopeLimits = DEFAULT_LIMITS, *, data_text: str | None = None
    ) -> bytes:
        """The JSON that Go's encoding/json writes for the same values. `data_text` is that of
        `data`, where it was written before (`go_json.value_text`).

        LocalProtocolError for a value of the wrong type, one that JSON cannot hold, or beyond
        `limits`.
        """
        parts = ['{"type":', _text("type", self.type), ',"from":', _text("from", self.from_peer)]
        if not isinstance(self.timestamp, Timestamp):
            raise _wrong("timestamp", "a Timestamp", self.timestamp)
        parts.append(f',"timestamp":"{self.timestamp.text}","data":')
        if self.data is not None and not isinstance(self.data, Mapping):
            raise _wrong("data", "a mapping", self.data)
        if data_text is None:
            write_value(self.data, parts, limits.max_depth - 1)
        else:
            parts.append(data_text)
        self._write_optional(parts, limits)
        parts.append("}")
        encoded = finish("".join(parts))
        if len(encoded) > limits.max_bytes:
            raise LocalProtocolError(
                f"the envelope takes {len(encoded)} bytes, the limit is {limits.max_bytes}"
            )
        return encoded

    def _write_optional(self, parts: list[str], limits: EnvelopeLimits) -> None:
        if type(self.hop_count) is not int or not 0 <= self.hop_count <= limits.max_hop_count:
            raise LocalProtocolError(
                f"hop_count is a whole number from 0 to {limits.max_hop_count}"
            )
        if self.hop_count:
            parts.append(f',"hop_count":{self.hop_count}')
        if self.from_role:
            parts.append(f',"from_role":{_text("from_role", self.from_role)}')
        if self.to_roles:
            parts.append(f',"to_roles":{_texts("to_roles", self.to_roles)}')
        if self.required_expertise:
            texts = _texts("required_expertise", self.required_expertise)
            parts.append(f',"required_expertise":{texts}')
        if self.project_id:
            parts.append(f',"project_id":{_text("project_id", self.project_id)}')
        if self.priority:
            parts.append(f',"priority":{_text("priority", self.priority)}')
        if self.thread_id:
            parts.append(f',"thread_id":{_text("thread_id", self.thread_id)}')
        if self.unknown_fields:
            self._write_unknown(parts, limits)

    def _write_unknown(self, parts: list[str], limits: EnvelopeLimits) -> None:
        if not isinstance(self.unknown_fields, Mapping):
            raise _wrong("unknown_fields", "a mapping", self.unknown_fields)
        written: list[str] = []
        write_object(self.unknown_fields, written, limits.max_depth)
        for name in self.unknown_fields:
            if _means_a_field(name):
                raise LocalProtocolError(f"not an unknown field: {name[:32]!r}")
        # The object's members without its braces.
        parts.append(f",{written[0][1:]}")
        parts += written[1:-1]

    @classmethod
    def decode(cls, data: bytes, limits: EnvelopeLimits = DEFAULT_LIMITS) -> Self:
        """Read what another agent sent.

        Stricter than Go where Go would guess: the first four fields must be there, `null` stands
        only for `data` and for fields that may be left out, a field's name is written exactly,
        and a repeated `data` replaces the first instead of being merged with it.

        Raises MalformedEnvelope, and nothing else for any bytes.
        """
        if len(data) > limits.max_bytes:
            raise MalformedEnvelope(
                RefusalReason.TOO_LARGE, f"{len(data)} bytes, the limit is {limits.max_bytes}"
            )
        fields = read_value(data, max_depth=limits.max_depth)
        if not isinstance(fields, dict):
            raise MalformedEnvelope(RefusalReason.NOT_AN_OBJECT, "not a JSON object")
        kind = _required(fields, "type", str)
        sender = _required(fields, "from", str)
        timestamp = Timestamp(_required(fields, "timestamp", str))
        payload = None if fields.get("data", 0) is None else _required(fields, "data", dict)
        fields.pop("data", None)
        optional = _optional(fields, limits) if fields else {}
        return cls(message_type(kind), sender, timestamp, payload, **optional)


def _optional(fields: dict[str, Any], limits: EnvelopeLimits) -> dict[str, Any]:
    """The other known fields of an envelope, and the unknown ones; empties `fields`."""
    found: dict[str, Any] = {}
    hop_count = fields.pop("hop_count", None)
    if hop_count is not None:
        found["hop_count"] = _hop_count(hop_count, limits.max_hop_count)
    for name in _TEXT_FIELDS:
        value = fields.pop(name, None)
        if value is not None:
            found[name] = _typed(name, value, str)
    for name in _LIST_FIELDS:
        value = fields.pop(name, None)
        if value is not None:
            found[name] = tuple(_typed(name, item, str) for item in _typed(name, value, list))
    for name in fields:
        if _means_a_field(name):
            raise MalformedEnvelope(
                RefusalReason.AMBIGUOUS_FIELD, f"a known field in another case: {name[:32]!r}"
            )
    if fields:
        found["unknown_fields"] = fields
    return found


def _required(fields: dict[str, Any], name: str, kind: type) -> Any:
    try:
        value = fields.pop(name)
    except KeyError:
        raise MalformedEnvelope(RefusalReason.MISSING_FIELD, f"no field {name}") from None
    return _typed(name, value, kind)


def _typed(name: str, value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise MalformedEnvelope(
            RefusalReason.WRONG_TYPE,
            f"{name} is {_NAMES[kind]}, not of type {type(value).__name__}",
        )
    return value


def _hop_count(value: object, limit: int) -> int:
    hop_count: int = _typed("hop_count", value, int)
    if hop_count < 0:
        raise MalformedEnvelope(RefusalReason.NUMBER_OUT_OF_RANGE, "hop_count is below 0")
    if hop_count > limit:
        raise MalformedEnvelope(RefusalReason.HOP_LIMIT, f"hop_count is above {limit}")
    return hop_count


def _means_a_field(name: str) -> bool:
    """True for what Go takes for one of our fields: it ignores case, by Unicode's folding, in
    which a long s is an s (and the Kelvin sign a k, which `lower` does)."""
    return name.replace("\u017f", "s").lower() in _FIELDS


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "text", value)
    return quote(value)


def _texts(name: str, values: object) -> str:
    if not isinstance(values, (list, tuple)):
        raise _wrong(name, "a tuple of texts", values)
    return f"[{','.join([_text(name, value) for value in values])}]"


def _wrong(name: str, wanted: str, value: object) -> LocalProtocolError:
    return LocalProtocolError(f"{name} is {wanted}, not of type {type(value).__name__}")
