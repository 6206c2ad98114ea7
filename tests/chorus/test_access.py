from __future__ import annotations

from typing import Any

import pytest

from gossipsub.chorus.access import AccessDecision, AccessRules
from gossipsub.chorus.access_rule import Access, AccessGroup, AccessRule
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict
from gossipsub.wire.errors import LocalProtocolError

ANN, BEN, CAT = (PrivateKey.from_seed(bytes([n]) * 32).public_key.peer_id() for n in range(3))
NOW = Timestamp("2025-01-02T03:04:05Z")
ALLOW, DENY = Access.ALLOW, Access.DENY


def said(
    agent: PeerId, kind: str = "task_claim", topic: str = "t", **fields: Any
) -> tuple[Envelope, ReceivedMessage]:
    envelope = Envelope(kind, str(agent), NOW, {}, **fields)
    message = ReceivedMessage(topic, envelope.encode(), agent, agent, b"id", bytes(8))
    return envelope, message


def allows(rules: AccessRules, agent: PeerId, kind: str = "task_claim", topic: str = "t") -> bool:
    return rules.explain(agent, topic, kind).is_allowed


# Decisions


def test_the_first_rule_about_a_message_decides() -> None:
    rules = AccessRules(
        [
            AccessRule(access=ALLOW, agents=[ANN], types=["task_claim"]),
            AccessRule(access=DENY, agents=[ANN]),
            AccessRule(access=ALLOW),
        ],
        default=DENY,
    )
    assert allows(rules, ANN, "task_claim")
    assert not allows(rules, ANN, "task_progress")
    assert allows(rules, BEN, "task_progress")


@pytest.mark.parametrize("default", [ALLOW, DENY])
def test_where_no_rule_is_about_a_message_the_default_decides(default: Access) -> None:
    rules = AccessRules([AccessRule(access=DENY, topics=["other"])], default=default)
    word = "allowed" if default is ALLOW else "denied"
    assert rules.explain(ANN, "t", "task_claim") == AccessDecision(
        default is ALLOW, f"{word} by default, no rule is about it", None
    )


def test_a_rule_is_about_what_meets_all_of_its_conditions() -> None:
    rules = AccessRules(
        [AccessRule(access=ALLOW, agents=[ANN], topics=["a", "b"], types=["x", "y"])],
        default=DENY,
    )
    assert [
        (agent, topic, kind)
        for agent in (ANN, BEN)
        for topic in ("a", "b", "c")
        for kind in ("x", "y", "z")
        if allows(rules, agent, kind, topic)
    ] == [(ANN, topic, kind) for topic in ("a", "b") for kind in ("x", "y")]


def test_a_star_in_topics_and_types_stands_for_any_text() -> None:
    rule = AccessRule(access=ALLOW, topics=["CHORUS/projects/*"], types=["task_*"])
    rules = AccessRules([rule], default=DENY)
    assert allows(rules, ANN, "task_stolen", "CHORUS/projects/x/coordination/v1")
    assert not allows(rules, ANN, "status_update", "CHORUS/projects/x/coordination/v1")
    assert not allows(rules, ANN, "task_stolen", "CHORUS/tasks/x/v1")


def test_roles_and_groups_mean_those_who_have_them_here() -> None:
    rules = AccessRules(
        [AccessRule(access=ALLOW, roles=["lead"]), AccessRule(access=ALLOW, groups=["staff"])],
        default=DENY,
        roles={"lead": [ANN], "tester": [str(BEN)], "intern": []},
        groups={"staff": AccessGroup(agents=[CAT], roles=["tester", "intern"])},
    )
    assert [rules.explain(agent, "t", "x").reason for agent in (ANN, BEN, CAT)] == [
        "allowed by rule 1",
        "allowed by rule 2",
        "allowed by rule 2",
    ]
    assert not allows(AccessRules([AccessRule(access=ALLOW, roles=["lead"])], default=DENY,
                                  roles={"lead": []}), ANN)  # fmt: skip


def test_an_agent_of_any_of_agents_roles_and_groups_is_meant() -> None:
    rules = AccessRules(
        [AccessRule(access=ALLOW, agents=[ANN], roles=["lead"], groups=["staff"])],
        default=DENY,
        roles={"lead": [BEN]},
        groups={"staff": AccessGroup(agents=[CAT])},
    )
    assert all(allows(rules, agent) for agent in (ANN, BEN, CAT))


def test_a_role_that_is_only_claimed_counts_for_nothing() -> None:
    rules = AccessRules(
        [AccessRule(access=ALLOW, roles=["lead"])], default=DENY, roles={"lead": [ANN]}
    )
    with pytest.raises(MalformedEnvelope, match="denied by default, no rule is about it"):
        rules.check(*said(BEN, from_role="lead"))
    rules.check(*said(ANN, from_role="cook"))


def test_claimed_roles_can_be_required_to_be_granted() -> None:
    rules = AccessRules(
        default=ALLOW, roles={"Senior Developer": [ANN]}, roles_must_be_granted=True
    )
    rules.check(*said(ANN, from_role="senior_developer"))
    rules.check(*said(BEN))
    for agent, role in (
        (BEN, "Senior Developer"),
        (ANN, "lead"),
        (ANN, "a/b"),
        (ANN, "x" * 200_000),
    ):
        with pytest.raises(MalformedEnvelope) as raised:
            rules.check(*said(agent, from_role=role))
        assert str(raised.value) == f"denied, its role is not granted: {role[:64]!r}"


def test_roles_are_compared_as_topics_are_named() -> None:
    rules = AccessRules(
        [AccessRule(access=ALLOW, roles=["senior developer"])],
        default=DENY,
        roles={"Senior_Developer": [ANN]},
    )
    assert allows(rules, ANN)
    assert rules.roles_of(ANN) == ("senior_developer",)
    assert rules.roles_of(BEN) == ()


# Enforcement


def test_what_is_denied_is_refused_as_forbidden_with_the_rule() -> None:
    rules = AccessRules(
        [AccessRule(access=DENY, types=["work_allocation"], name="only leads")], default=ALLOW
    )
    with pytest.raises(MalformedEnvelope) as raised:
        rules.check(*said(ANN, "work_allocation"))
    assert raised.value.reason is RefusalReason.FORBIDDEN
    assert not raised.value.reason.is_local
    assert str(raised.value) == "denied by rule 1 'only leads'"
    rules.check(*said(ANN))


def test_a_message_without_author_is_refused() -> None:
    rules = AccessRules(default=ALLOW)
    with pytest.raises(MalformedEnvelope, match=r"^the message has no author$"):
        rules.check(Envelope("x", "", NOW, {}), ReceivedMessage("t", b"", None, ANN, b"", None))


def raw(agent: PeerId | None, topic: str, via: PeerId) -> ReceivedMessage:
    return ReceivedMessage(topic, b"anything", agent, via, b"id", bytes(8))


def test_raw_topics_are_held_to_rules_without_types() -> None:
    rules = AccessRules(
        [
            AccessRule(access=ALLOW, types=["task_*"]),
            AccessRule(access=ALLOW, agents=[ANN], topics=["issues/*"]),
        ],
        default=DENY,
    )
    judge = rules.raw_validator(["issues/*", "notes"])
    assert judge(raw(ANN, "issues/1", ANN)) is Verdict.ACCEPT
    assert judge(raw(ANN, "issues/1", BEN)) is Verdict.ACCEPT
    assert judge(raw(BEN, "issues/1", BEN)) is Verdict.REJECT
    assert judge(raw(BEN, "issues/1", CAT)) is Verdict.IGNORE
    assert judge(raw(None, "issues/1", CAT)) is Verdict.IGNORE
    assert judge(raw(ANN, "notes", ANN)) is Verdict.REJECT
    assert judge(raw(BEN, "other", BEN)) is Verdict.ACCEPT
    rules.replace(AccessRules(default=ALLOW))
    assert judge(raw(BEN, "issues/1", BEN)) is Verdict.ACCEPT


# Changes


def test_granting_and_revoking_a_role_hold_at_once() -> None:
    rules = AccessRules(
        [AccessRule(access=ALLOW, groups=["staff"])],
        default=DENY,
        roles={"lead": []},
        groups={"staff": AccessGroup(roles=["lead"])},
    )
    for _ in range(2):
        rules.grant("Lead", ANN)
        assert allows(rules, ANN)
    for _ in range(2):
        rules.revoke("lead", str(ANN))
        assert not allows(rules, ANN)
    rules.grant("new role", BEN)
    assert rules.roles_of(BEN) == ("new_role",)


def test_rules_are_replaced_all_at_once() -> None:
    rules = AccessRules(default=DENY, roles={"lead": [ANN]})
    check = rules.check
    rules.replace(AccessRules(default=ALLOW))
    check(*said(BEN))
    assert rules.roles_of(ANN) == ()


# What cannot be meant


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"access": "perhaps"}, "access is 'allow' or 'deny', not 'perhaps'"),
        ({"access": ALLOW, "topics": []}, "topics is empty; leave it out for all"),
        ({"access": ALLOW, "agents": ()}, "agents is empty; leave it out for all"),
        ({"access": ALLOW, "types": "task_claim"}, "types is a list: 'task_claim'"),
        ({"access": ALLOW, "types": [1]}, "types has texts, and none empty: 1"),
        ({"access": ALLOW, "roles": [""]}, "roles has texts, and none empty: ''"),
        ({"access": ALLOW, "name": 7}, "name is a text: 7"),
        ({"access": ALLOW, "agents": ["x"]}, "agents: not a peer id: 'x': "),
        ({"access": ALLOW, "agents": [None]}, "agents: a peer is a PeerId or its text: None"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_an_error(arguments: Any, message: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        AccessRule(**arguments)
    assert str(raised.value).startswith(message)


LEADS = AccessRule(access=ALLOW, roles=["lead"], name="leads")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"default": "x"}, "default is 'allow' or 'deny', not 'x'"),
        (
            {"default": ALLOW, "rules": [LEADS]},
            "rule 1 'leads' is about a role that is not listed in roles: 'lead'",
        ),
        (
            {"default": ALLOW, "rules": [AccessRule(access=ALLOW, groups=["g"])]},
            "rule 1 is about an unknown group: 'g'",
        ),
        (
            {"default": ALLOW, "groups": {"g": AccessGroup(roles=["lead"])}},
            "groups['g'] is about a role that is not listed in roles: 'lead'",
        ),
        ({"default": ALLOW, "roles": {"a b": [], "A_B": []}}, "roles has 'A_B' twice"),
        ({"default": ALLOW, "roles": {"a/b": []}}, "the role may not hold '/': 'a/b'"),
        ({"default": ALLOW, "roles": {"x" * 257: []}}, "a role has at most 256 characters"),
        ({"default": ALLOW, "roles": {"a": "b"}}, "roles['a'] is a list: 'b'"),
        ({"default": ALLOW, "rules": [{"access": "allow"}]}, "not an AccessRule: "),
        ({"default": ALLOW, "groups": {"g": ["x"]}}, "not an AccessGroup: ['x']"),
    ],
)
def test_rules_that_cannot_be_meant_are_an_error(arguments: Any, message: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        AccessRules(**arguments)
    assert str(raised.value).startswith(message)


def test_a_wrong_grant_changes_nothing() -> None:
    rules = AccessRules(default=DENY, roles={"lead": [ANN]})
    for role, agent in (("", ANN), ("lead", "nobody")):
        with pytest.raises(LocalProtocolError):
            rules.grant(role, agent)
    assert rules.roles_of(ANN) == ("lead",)
