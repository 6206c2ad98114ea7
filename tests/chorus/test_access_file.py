from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gossipsub.chorus.access import AccessRules
from gossipsub.crypto.keys import PrivateKey
from gossipsub.wire.errors import LocalProtocolError

ANN, BEN = (PrivateKey.from_seed(bytes([n]) * 32).public_key.peer_id() for n in range(2))
TOML = f"""
default = "deny"
roles_must_be_granted = true

[roles]
lead = ["{ANN}"]
tester = []

[groups.staff]
agents = ["{BEN}"]
roles = ["lead"]

[[rules]]
access = "deny"
name = "work is allocated by leads"
types = ["work_allocation"]
groups = ["staff"]
topics = ["CHORUS/projects/*"]

[[rules]]
access = "allow"
roles = ["lead"]
"""
DATA = {
    "default": "deny",
    "roles_must_be_granted": True,
    "roles": {"lead": [str(ANN)], "tester": []},
    "groups": {"staff": {"agents": [str(BEN)], "roles": ["lead"]}},
    "rules": [
        {
            "access": "deny",
            "name": "work is allocated by leads",
            "types": ["work_allocation"],
            "groups": ["staff"],
            "topics": ["CHORUS/projects/*"],
        },
        {"access": "allow", "roles": ["lead"]},
    ],
}


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_toml_json_and_a_mapping_say_the_same(tmp_path: Path) -> None:
    for rules in (
        AccessRules.from_data(DATA),
        AccessRules.from_file(written(tmp_path, "rules.toml", TOML)),
        AccessRules.from_file(str(written(tmp_path, "rules.json", json.dumps(DATA)))),
    ):
        reasons = [
            rules.explain(agent, topic, kind, from_role=role).reason
            for agent, topic, kind, role in (
                (BEN, "CHORUS/projects/x/coordination/v1", "work_allocation", ""),
                (ANN, "t", "work_allocation", ""),
                (BEN, "t", "work_allocation", ""),
                (BEN, "t", "work_allocation", "lead"),
            )
        ]
        assert reasons == [
            "denied by rule 1 'work is allocated by leads'",
            "allowed by rule 2",
            "denied by default, no rule is about it",
            "denied, its role is not granted: 'lead'",
        ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the file is a table of names: []"),
        ({}, "default is missing: 'allow' or 'deny'"),
        (
            {"default": "deny", "rule": []},
            "the file: no such key: 'rule'; there are default, roles_must_be_granted, roles, "
            "groups, rules",
        ),
        ({"default": "deny", "roles": []}, "roles is a table of names: []"),
        ({"default": "deny", "rules": {}}, "rules is a list: {}"),
        ({"default": "deny", "rules": ["x"]}, "rule 1 is a table of names: 'x'"),
        ({"default": "deny", "rules": [{}]}, "rule 1: access is missing: 'allow' or 'deny'"),
        (
            {"default": "deny", "rules": [{"access": "allow", "role": ["x"]}]},
            "rule 1: no such key: 'role'; there are access, topics, types, agents, roles, groups, "
            "name",
        ),
        (
            {"default": "deny", "rules": [{"access": "allow"}, {"access": "allow", "types": 1}]},
            "rule 2: types is a list: 1",
        ),
        (
            {"default": "deny", "groups": {"g": {"members": []}}},
            "groups['g']: no such key: 'members'; there are agents, roles",
        ),
        (
            {"default": "deny", "groups": {"g": {"agents": "x"}}},
            "groups['g']: agents is a list: 'x'",
        ),
        (
            {"default": "deny", "roles_must_be_granted": 1},
            "roles_must_be_granted is true or false: 1",
        ),
        (
            {"default": "deny", "rules": [{"access": "allow", "roles": ["lead"]}]},
            "rule 1 is about a role that is not listed in roles: 'lead'",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(data: Any, message: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        AccessRules.from_data(data)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rules.yaml", "", "the name of the file ends in .toml or .json"),
        ("rules.toml", "default = ", "not TOML: "),
        ("rules.json", "{", "not JSON: "),
        ("rules.json", b"\xff", "not JSON: "),
        ("rules.json", "[" * 100_000, "not JSON: "),
        ("rules.json", '{"default": "maybe"}', "default is 'allow' or 'deny', not 'maybe'"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(LocalProtocolError) as raised:
        AccessRules.from_file(path)
    assert str(raised.value).startswith(f"access rules {str(path)!r}: {message}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    with pytest.raises(LocalProtocolError) as raised:
        AccessRules.from_file(path)
    assert str(raised.value) == (
        f"access rules {str(path)!r}: cannot be read: No such file or directory"
    )
