from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gossipsub.chorus import topics
from gossipsub.wire.errors import LocalProtocolError


def test_static_topics_have_the_names_of_the_document() -> None:
    assert topics.COORDINATION_TOPIC == "CHORUS/coordination/v1"
    assert topics.HMMM_TOPIC == "hmmm/meta-discussion/v1"
    assert topics.CONTEXT_TOPIC == "CHORUS/context-feedback/v1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (topics.role_topic("Senior Developer"), "CHORUS/roles/senior_developer/v1"),
        (topics.expertise_topic("Go Lang"), "CHORUS/expertise/go_lang/v1"),
        (topics.hierarchy_topic("Tech Lead"), "CHORUS/hierarchy/tech_lead/v1"),
        (topics.project_topic("My Project"), "CHORUS/projects/My Project/coordination/v1"),
        (topics.task_topic("Task-123"), "CHORUS/tasks/Task-123/v1"),
        (topics.issue_topic("Issue 7"), "CHORUS/meta/issue/Issue 7"),
        (topics.issue_topic(42), "CHORUS/meta/issue/42"),
    ],
)
def test_roles_are_folded_and_ids_are_used_as_they_are(name: str, expected: str) -> None:
    assert name == expected


def test_roles_are_folded_as_go_folds_them(go_vectors: dict[str, list[dict[str, Any]]]) -> None:
    for case in go_vectors["identifiers"]:
        assert topics.role_topic(case["identifier"]) == f"CHORUS/roles/{case['text']}/v1"


def test_every_character_is_folded_by_itself_as_go_does_it() -> None:
    for number in range(0x3000):
        character = chr(number)
        alone = "i" if character == "İ" else "_" if character == " " else character.lower()
        assert topics.fold(f"A{character}") == f"a{alone}"
        assert topics.fold(f"{character}Σ{character}") == f"{alone}\u03c3{alone}"


@pytest.mark.parametrize(
    ("topic", "what"),
    [
        (topics.role_topic, "role"),
        (topics.expertise_topic, "expertise"),
        (topics.hierarchy_topic, "supervisor"),
        (topics.project_topic, "project id"),
        (topics.task_topic, "task id"),
        (topics.issue_topic, "issue id"),
    ],
)
@pytest.mark.parametrize(
    ("identifier", "complaint"),
    [
        ("", "is empty"),
        ("a/b", "may not hold '/': 'a/b'"),
        ("a\nb", r"may not hold '\n': 'a\nb'"),
        ("\x7f", r"may not hold '\x7f': '\x7f'"),
        ("\x85", r"may not hold '\x85': '\x85'"),
        ("\ud800", r"may not hold '\ud800': '\ud800'"),
        (None, "is text, not of type NoneType"),
        (True, "is text, not of type bool"),
    ],
)
def test_identifiers_that_would_change_a_topic_are_errors(
    topic: Callable[[Any], str], what: str, identifier: object, complaint: str
) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        topic(identifier)
    assert str(raised.value) == f"the {what} {complaint}"
