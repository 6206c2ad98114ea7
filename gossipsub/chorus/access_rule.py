"""One access rule, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gossipsub.arguments import peer_id_of
from gossipsub.chorus.topics import role_topic
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

MAX_ROLE_CHARACTERS = 256


class Access(StrEnum):
    """What a rule says to those it is about."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, kw_only=True)
class AccessRule:
    """One rule: whom, where, and for which messages. What is None is not looked at: a rule
    without agents, roles and groups is about everybody.

    Checked at construction (LocalProtocolError). An empty list is an error, since it would be
    about nobody and is easily taken for everybody.
    """

    access: Access
    topics: Sequence[str] | None = None
    """Names of topics; `*` stands for any text."""
    types: Sequence[str] | None = None
    """Message types, unknown ones too; `*` stands for any text."""
    agents: Sequence[PeerId | str] | None = None
    """Peer ids. An agent is meant that is in one of these three."""
    roles: Sequence[str] | None = None
    """Roles, as granted by the same AccessRules."""
    groups: Sequence[str] | None = None
    name: str = ""
    """For people, in explanations and dead letters."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "access", Access(self.access))
        except ValueError as error:
            raise LocalProtocolError(f"access is 'allow' or 'deny', not {self.access!r}") from error
        if not isinstance(self.name, str):
            raise LocalProtocolError(f"name is a text: {self.name!r}")
        for name in ("topics", "types", "agents", "roles", "groups"):
            given = getattr(self, name)
            if given is None:
                continue
            items = agent_ids(name, given) if name == "agents" else texts(name, given)
            if not items:
                raise LocalProtocolError(f"{name} is empty; leave it out for all")
            object.__setattr__(self, name, items)


@dataclass(frozen=True, kw_only=True)
class AccessGroup:
    """Agents under one name: by their peer ids, and all who were granted one of the roles."""

    agents: Sequence[PeerId | str] = ()
    roles: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "agents", agent_ids("agents", self.agents))
        object.__setattr__(self, "roles", texts("roles", self.roles))


def role_key(role: str) -> str:
    """The form in which roles are compared: what stands in the name of the role's topic.

    LocalProtocolError for what can be no role, which is also a text above 256 characters: looking
    at what strangers claim must cost little.
    """
    if isinstance(role, str) and len(role) > MAX_ROLE_CHARACTERS:
        raise LocalProtocolError(f"a role has at most {MAX_ROLE_CHARACTERS} characters")
    return role_topic(role).split("/")[2]


def texts(name: str, items: object) -> tuple[str, ...]:
    """A list of texts that are not empty; LocalProtocolError for anything else."""
    found = _listed(name, items)
    for item in found:
        if not isinstance(item, str) or not item:
            raise LocalProtocolError(f"{name} has texts, and none empty: {item!r}")
    return found


def agent_ids(name: str, agents: object) -> tuple[PeerId, ...]:
    """A list of peer ids or their texts; LocalProtocolError for anything else."""
    found = _listed(name, agents)
    try:
        return tuple(peer_id_of(agent) for agent in found)
    except LocalProtocolError as error:
        raise LocalProtocolError(f"{name}: {error}") from error


def _listed(name: str, items: object) -> tuple[Any, ...]:
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        raise LocalProtocolError(f"{name} is a list: {items!r}")
    return tuple(items)
