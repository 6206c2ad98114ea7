"""What an agent tells of itself, and what can be read of that in messages of any agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from gossipsub.chorus.envelope import Envelope
from gossipsub.wire.errors import LocalProtocolError

MAX_ITEMS = 64
"""Roles, fields of expertise, or capabilities kept of one agent."""
MAX_CHARACTERS = 128
"""Of each of them, and of a name or status: what strangers say must not fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCard:
    """What an agent is and can do; checked at construction (LocalProtocolError).

    Lists hold up to 64 texts of 1 to 128 characters.
    """

    name: str = ""
    """For people; its peer id is what names it."""
    roles: tuple[str, ...] = ()
    expertise: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    max_tasks: int = 1
    """How many tasks it takes at once."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or len(self.name) > MAX_CHARACTERS:
            raise LocalProtocolError(f"name is text of at most {MAX_CHARACTERS} characters")
        for field in ("roles", "expertise", "capabilities"):
            given = getattr(self, field)
            if not isinstance(given, tuple) or _texts(given) != given:
                raise LocalProtocolError(
                    f"{field} is a tuple of at most {MAX_ITEMS} different texts of 1 to "
                    f"{MAX_CHARACTERS} characters"
                )
        if type(self.max_tasks) is not int or self.max_tasks < 0:
            raise LocalProtocolError(f"max_tasks is a whole number from 0: {self.max_tasks!r}")

    def to_data(self) -> dict[str, object]:
        """All fields as they stand in `data`; empty ones too, for they replace what was said."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def read_card(known: AgentCard, envelope: Envelope) -> AgentCard:
    """What is known after `envelope`, which may be written by any agent: what it does not say, or
    says in a way that makes no sense, stays as it was."""
    data = envelope.data or {}
    roles = _texts(data.get("roles"))
    if roles is None:
        role = _text(data.get("role")) or _text(envelope.from_role)
        roles = (role,) if role else known.roles
    expertise = _texts(data.get("expertise"))
    capabilities = _texts(data.get("capabilities"))
    return AgentCard(
        name="" if data.get("name") == "" else _text(data.get("name")) or known.name,
        roles=roles,
        expertise=known.expertise if expertise is None else expertise,
        capabilities=known.capabilities if capabilities is None else capabilities,
        max_tasks=read_count(data, "max_tasks", known.max_tasks),
    )


def read_count(data: Mapping[str, Any], name: str, known: int) -> int:
    """A whole number from 0 to 2**53, or what was known."""
    value = data.get(name)
    return value if type(value) is int and 0 <= value <= 2**53 else known


def read_text(data: Mapping[str, Any], name: str, known: str) -> str:
    """A short text, or what was known."""
    return _text(data.get(name)) or known


def _text(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_CHARACTERS else ""


def _texts(value: object) -> tuple[str, ...] | None:
    """The usable texts among the first of a list, each once; None where there is no list."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    return tuple(dict.fromkeys(text for item in value[:MAX_ITEMS] if (text := _text(item))))
