"""The schema of a payload, read from the declarations of its class, and the payload itself."""

# Annotations are values here: those of `extra` are read in the modules of the subclasses too.

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Self, get_type_hints

from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads.kinds import BadPayload, Kind, kind_of, wrong_type


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of one message type, in the order of their declaration."""

    kinds: Mapping[str, Kind]
    defaults: Mapping[str, object]
    """What stands for a field that is left out; required ones are not here."""
    required: tuple[str, ...]

    def check(self, data: Mapping[str, object] | None) -> None:
        """Raise BadPayload for the first fault of `data`. None is an empty object, null as good
        as a field that is left out; fields that are not ours may hold anything."""
        if data is None:
            data = {}
        elif not isinstance(data, Mapping):
            raise wrong_type("data", data, "an object")
        for name in self.required:
            value = data.get(name)
            if value is None:
                raise BadPayload(name, "is null" if name in data else "is missing")
            if value == "":
                raise BadPayload(name, "is empty")
        kinds = self.kinds
        for name, value in data.items():
            kind = kinds.get(name)
            if kind is not None and type(value) not in kind.plain and value is not None:
                kind.judge(name, value)


_SCHEMAS: dict[type["Payload"], Schema] = {}


def schema_of(payload: type["Payload"]) -> Schema:
    """Made when it is first asked for: reading annotations takes long, most agents need few."""
    schema = _SCHEMAS.get(payload)
    if schema is None:
        schema = _SCHEMAS[payload] = _read(payload)
    return schema


def _read(payload: type["Payload"]) -> Schema:
    hints = get_type_hints(payload, include_extras=True)
    own = [declared for declared in fields(payload) if declared.name != "extra"]
    return Schema(
        {declared.name: kind_of(hints[declared.name]) for declared in own},
        {declared.name: declared.default for declared in own if declared.default is not MISSING},
        tuple(declared.name for declared in own if declared.default is MISSING),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The `data` of one message type, with a name and a type for each field.

    A field that is left out is `""`, `()` or None. Lists become tuples. BadPayload, a ValueError,
    for a value of the wrong type or out of its range, and for a required field that is empty.
    Objects within are not copied: leave them as they are.
    """

    message_type: ClassVar[MessageType]
    extra: Mapping[str, object] = field(default_factory=dict)
    """Fields beyond these, by name: an application's own, or another agent's."""

    def __post_init__(self) -> None:
        schema = schema_of(type(self))
        values = {name: getattr(self, name) for name in schema.kinds}
        schema.check(values)
        for name, kind in schema.kinds.items():
            if kind.is_list:
                object.__setattr__(self, name, tuple(values[name] or ()))
            elif values[name] is None and name in schema.defaults:
                object.__setattr__(self, name, schema.defaults[name])
        if not isinstance(self.extra, Mapping):
            raise wrong_type("extra", self.extra, "an object")
        for name in self.extra:
            if not isinstance(name, str):
                raise BadPayload("extra", "has a name that is not text")
            if name in schema.kinds:
                raise BadPayload(name, "is a field of its own, not one of extra")
        object.__setattr__(self, "extra", dict(self.extra))

    def to_data(self) -> dict[str, object]:
        """What is sent as `data`: tuples as lists, nothing for what is left out."""
        schema = schema_of(type(self))
        data: dict[str, object] = {}
        for name, kind in schema.kinds.items():
            value = getattr(self, name)
            if name not in schema.defaults or value != schema.defaults[name]:
                data[name] = list(value) if kind.is_list else value
        data.update(self.extra)
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, object] | None) -> Self:
        """The payload that `data` is; BadPayload where it is none. None is an empty object."""
        schema = schema_of(cls)
        schema.check(data)
        known: dict[str, Any] = {}
        extra: dict[str, object] = {}
        for name, value in (data or {}).items():
            if name not in schema.kinds:
                extra[name] = value
            elif value is not None:
                known[name] = value
        return cls(**known, extra=extra)
