"""Who may say what: access rules for topics and message types.

Signatures prove who an agent is; these rules say what it may do. Its roles are those granted here,
never those it claims in `from_role`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from gossipsub.arguments import peer_id_of
from gossipsub.chorus.access_file import arguments_of, read_file
from gossipsub.chorus.access_rule import (
    Access,
    AccessGroup,
    AccessRule,
    agent_ids,
    role_key,
    texts,
)
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.name_patterns import NamePatterns
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict
from gossipsub.wire.errors import LocalProtocolError


@dataclass(frozen=True, slots=True)
class AccessDecision:
    """What the rules say to one message; `str()` gives the reason."""

    is_allowed: bool
    reason: str
    rule: AccessRule | None = None
    """The rule that decided; None where it was the default, or the claimed role."""

    def __str__(self) -> str:
        return self.reason


class AccessRules:
    """Rules for the topics of CHORUS: the first that is about a message decides, else `default`.

    `chorus.add_check(rules.check, own_too=True)` holds other agents to them and this one. They can
    be changed at any time.

    `roles` grants roles: for each the peer ids of its agents (none, for a role that nobody has
    yet). Roles are compared as topics are named: "Senior Developer" is senior_developer. With
    `roles_must_be_granted` an envelope whose `from_role` was not granted to its author is denied,
    before any rule.

    LocalProtocolError for what cannot be meant, such as a rule for a role that is not listed.
    """

    def __init__(
        self,
        rules: Iterable[AccessRule] = (),
        *,
        default: Access,
        roles: Mapping[str, Iterable[PeerId | str]] | None = None,
        groups: Mapping[str, AccessGroup] | None = None,
        roles_must_be_granted: bool = False,
    ) -> None:
        try:
            default = Access(default)
        except ValueError as error:
            raise LocalProtocolError(f"default is 'allow' or 'deny', not {default!r}") from error
        rules, groups = tuple(rules), dict(groups or {})
        for item, kind in [(rule, AccessRule) for rule in rules] + [
            (group, AccessGroup) for group in groups.values()
        ]:
            if not isinstance(item, kind):
                raise LocalProtocolError(f"not an {kind.__name__}: {item!r}")
        granted: dict[str, frozenset[PeerId]] = {}
        for role, agents in (roles or {}).items():
            if (key := role_key(role)) in granted:
                raise LocalProtocolError(f"roles has {role!r} twice")
            granted[key] = frozenset(agent_ids(f"roles[{role!r}]", agents))
        self._policy = _Policy(rules, default, granted, groups, roles_must_be_granted)

    @classmethod
    def from_data(cls, data: object) -> Self:
        """The rules in a mapping, as `from_file` reads it; LocalProtocolError says where it is
        wrong."""
        rules, options = arguments_of(data)
        return cls(rules, **options)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """The rules in a `.toml` or `.json` file (docs/chorus-access.md).

        LocalProtocolError that names the file and the place. Blocks.
        """
        try:
            return cls.from_data(read_file(path))
        except LocalProtocolError as error:
            raise LocalProtocolError(f"access rules {os.fspath(path)!r}: {error}") from error

    # -- asking ----------------------------------------------------------------------------

    def explain(
        self, agent: PeerId | str, topic: str, message_type: str, *, from_role: str = ""
    ) -> AccessDecision:
        """Whether an agent may say this there, and which rule says so."""
        return self._policy.decide(peer_id_of(agent), topic, message_type, from_role)

    def roles_of(self, agent: PeerId | str) -> tuple[str, ...]:
        """The roles granted to an agent, in the form topics have them, sorted."""
        agent = peer_id_of(agent)
        roles = self._policy.roles
        return tuple(sorted(role for role, agents in roles.items() if agent in agents))

    def check(self, envelope: Envelope, message: ReceivedMessage) -> None:
        """For `chorus.add_check`: MalformedEnvelope (FORBIDDEN) for what its signer may not say."""
        agent = message.sender
        if agent is None:
            raise MalformedEnvelope(RefusalReason.FORBIDDEN, "the message has no author")
        decision = self._policy.decide(agent, message.topic, envelope.type, envelope.from_role)
        if not decision.is_allowed:
            raise MalformedEnvelope(RefusalReason.FORBIDDEN, decision.reason)

    def raw_validator(self, topics: Iterable[str]) -> Callable[[ReceivedMessage], Verdict]:
        """For `host.add_default_validator`: holds everybody to the rules in raw topics, which
        checks do not reach (`*` stands for any text).

        Raw messages are of no type, so rules that name types are not about them. What is denied is
        REJECTed when its author hands it over, this agent's own with an error to whoever
        publishes, and IGNOREd when a neighbour relays it.
        """
        patterns = NamePatterns(texts("topics", topics))

        def judge(message: ReceivedMessage) -> Verdict:
            agent, topic = message.sender, message.topic
            if not patterns.match(topic):
                return Verdict.ACCEPT
            if agent is not None and self._policy.decide(agent, topic, "", "").is_allowed:
                return Verdict.ACCEPT
            return Verdict.REJECT if message.received_from == agent else Verdict.IGNORE

        return judge

    # -- changing --------------------------------------------------------------------------

    def grant(self, role: str, agent: PeerId | str) -> None:
        """Give an agent a role, from now on; harmless when repeated."""
        key, agent = role_key(role), peer_id_of(agent)
        self._set_role(key, self._policy.roles.get(key, frozenset()) | {agent})

    def revoke(self, role: str, agent: PeerId | str) -> None:
        """Take a role from an agent; harmless where it does not have it."""
        key, agent = role_key(role), peer_id_of(agent)
        self._set_role(key, self._policy.roles.get(key, frozenset()) - {agent})

    def replace(self, rules: AccessRules) -> None:
        """Take over the rules, roles and groups of another object, all at once."""
        self._policy = rules._policy

    def _set_role(self, key: str, agents: frozenset[PeerId]) -> None:
        policy = self._policy
        self._policy = _Policy(
            policy.rules,
            policy.default,
            policy.roles | {key: agents},
            policy.groups,
            policy.roles_must_be_granted,
        )


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A rule, made ready for messages."""

    topics: NamePatterns | None
    types: NamePatterns | None
    agents: frozenset[PeerId] | None
    decision: AccessDecision

    def is_about(self, agent: PeerId, topic: str, message_type: str) -> bool:
        return (
            (self.agents is None or agent in self.agents)
            and (self.topics is None or self.topics.match(topic))
            and (self.types is None or self.types.match(message_type))
        )


class _Policy:
    """The rules of one moment; never changed."""

    def __init__(
        self,
        rules: tuple[AccessRule, ...],
        default: Access,
        roles: dict[str, frozenset[PeerId]],
        groups: dict[str, AccessGroup],
        roles_must_be_granted: bool,
    ) -> None:
        self.rules = rules
        self.default = default
        self.roles = roles
        self.groups = groups
        self.roles_must_be_granted = roles_must_be_granted
        members = {
            name: frozenset(agent_ids(name, group.agents)).union(
                *[self._agents_of_role(f"groups[{name!r}]", role) for role in group.roles]
            )
            for name, group in groups.items()
        }
        self._compiled = [
            self._compile(number, rule, members) for number, rule in enumerate(rules, 1)
        ]
        self._otherwise = AccessDecision(
            default is Access.ALLOW, f"{_SAID[default]} by default, no rule is about it"
        )

    def decide(
        self, agent: PeerId, topic: str, message_type: str, from_role: str
    ) -> AccessDecision:
        if from_role and self.roles_must_be_granted and not self._is_granted(agent, from_role):
            return AccessDecision(False, f"denied, its role is not granted: {from_role[:64]!r}")
        for rule in self._compiled:
            if rule.is_about(agent, topic, message_type):
                return rule.decision
        return self._otherwise

    def _is_granted(self, agent: PeerId, from_role: str) -> bool:
        try:
            return agent in self.roles.get(role_key(from_role), ())
        except LocalProtocolError:
            return False  # text that can be no role

    def _compile(
        self, number: int, rule: AccessRule, members: Mapping[str, frozenset[PeerId]]
    ) -> _Compiled:
        where = f"rule {number} {rule.name!r}" if rule.name else f"rule {number}"
        agents: frozenset[PeerId] | None = None
        if (rule.agents, rule.roles, rule.groups) != (None, None, None):
            agents = frozenset(agent_ids(where, rule.agents or ()))
            for role in rule.roles or ():
                agents |= self._agents_of_role(where, role)
            for group in rule.groups or ():
                if group not in members:
                    raise LocalProtocolError(f"{where} is about an unknown group: {group!r}")
                agents |= members[group]
        return _Compiled(
            None if rule.topics is None else NamePatterns(rule.topics),
            None if rule.types is None else NamePatterns(rule.types),
            agents,
            AccessDecision(rule.access is Access.ALLOW, f"{_SAID[rule.access]} by {where}", rule),
        )

    def _agents_of_role(self, where: str, role: str) -> frozenset[PeerId]:
        try:
            return self.roles[role_key(role)]
        except KeyError:
            raise LocalProtocolError(
                f"{where} is about a role that is not listed in roles: {role!r}"
            ) from None


_SAID = {Access.ALLOW: "allowed", Access.DENY: "denied"}
