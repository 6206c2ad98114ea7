"""Which messages are for this agent: by its role, and by what it knows."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.topics import fold
from gossipsub.wire.errors import LocalProtocolError

_folded = lru_cache(maxsize=1024)(fold)


class Routing:
    """What this agent is and knows. Names are compared as they stand in topics: "Tech Lead" is
    tech_lead."""

    def __init__(self) -> None:
        self._roles: frozenset[str] = frozenset()
        self._expertise: frozenset[str] = frozenset()
        self._sees_everything = False

    def set(self, role: str, expertise: Iterable[str], *, sees_everything: bool = False) -> None:
        """Replaces what was set before; an empty role is none."""
        if isinstance(expertise, str):
            raise LocalProtocolError("expertise is several texts, not one")
        names = (role, *expertise)
        for name in names:
            if not isinstance(name, str):
                kind = type(name).__name__
                raise LocalProtocolError(f"roles and expertise are text, not of type {kind}")
        self._roles = frozenset((fold(role),) if role else ())
        self._expertise = frozenset(fold(name) for name in names[1:])
        self._sees_everything = sees_everything

    def is_for_us(self, envelope: Envelope) -> bool:
        """False for a message to roles none of which this agent has, and for one that requires
        expertise of which it has none."""
        if self._sees_everything:
            return True
        return (not envelope.to_roles or _has_one(self._roles, envelope.to_roles)) and (
            not envelope.required_expertise
            or _has_one(self._expertise, envelope.required_expertise)
        )


def _has_one(own: frozenset[str], wanted: tuple[str, ...]) -> bool:
    return bool(own) and any(
        # What strangers write may be long, and must not be remembered then.
        (_folded(name) if len(name) <= 64 else fold(name)) in own
        for name in wanted
    )
