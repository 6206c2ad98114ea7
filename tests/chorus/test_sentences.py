from __future__ import annotations

from dataclasses import fields as fields_of
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads.catalogue import PAYLOADS
from gossipsub.chorus.sentences import MAX_CHARACTERS, sentence
from gossipsub.chorus.timestamp import Timestamp

NOW = Timestamp.from_unix_ns(0)


def said(kind: str, data: dict[str, Any] | None, **fields: Any) -> str:
    return sentence(Envelope(kind, "peer", NOW, data, **fields))


TOLD = [
    (
        MessageType.TASK_ANNOUNCEMENT,
        {"task_id": "task-123", "description": "Deploy", "capabilities": ["deployment", "k8s"]},
        "announces task-123: Deploy, needs deployment, k8s",
    ),
    (MessageType.TASK_CLAIM, {"task_id": "task-123", "agent_id": "12D3"}, "claims task-123"),
    (
        MessageType.TASK_PROGRESS,
        {"task_id": "task-123", "progress": 0.5, "status": "deploying"},
        "works on task-123: 50%, deploying",
    ),
    (
        MessageType.TASK_COMPLETE,
        {"task_id": "task-123", "result": "success", "output": "Service deployed"},
        "task-123 is complete: success, Service deployed",
    ),
    (MessageType.CAPABILITY_BROADCAST, {"capabilities": ["count"]}, "can do count"),
    (
        MessageType.AVAILABILITY_BROADCAST,
        {"status": "busy", "current_tasks": 2},
        "is busy, with 2 tasks",
    ),
    (MessageType.META_DISCUSSION, {"message": "Let us begin"}, "Let us begin"),
    (
        MessageType.TASK_HELP_REQUEST,
        {"task_id": "t", "help_needed": "Go concurrency", "urgency": "medium"},
        "needs help with t: Go concurrency, urgency medium",
    ),
    (
        MessageType.TASK_HELP_RESPONSE,
        {"task_id": "t", "message": "I can", "solution": "a lock"},
        "offers help with t: a lock",
    ),
    (MessageType.COORDINATION_REQUEST, {"subject": "API"}, "asks to coordinate: API"),
    (MessageType.COORDINATION_COMPLETE, {"summary": "v2"}, "coordination is complete: v2"),
    (MessageType.DEPENDENCY_ALERT, {"task_id": "a", "depends_on": ["b"]}, "a depends on b"),
    (
        MessageType.ESCALATION_TRIGGER,
        {"reason": "stuck", "severity": "high"},
        "a person is needed: stuck, severity high",
    ),
    (MessageType.ROLE_ANNOUNCEMENT, {"role": "dev", "expertise": ["go"]}, "is dev, knows go"),
    (MessageType.EXPERTISE_REQUEST, {"question": "How?"}, "asks: How?"),
    (MessageType.EXPERTISE_RESPONSE, {"answer": "So"}, "answers: So"),
    (
        MessageType.STATUS_UPDATE,
        {"status": "in_progress", "completion": 0.45},
        "status: in_progress, 45% done",
    ),
    (MessageType.WORK_ALLOCATION, {"task_id": "t", "agent_id": "p"}, "gives t to p"),
    (MessageType.ROLE_COLLABORATION, {"message": "join in"}, "collaborates: join in"),
    (MessageType.MENTORSHIP_REQUEST, {"topic": "yamux"}, "seeks a mentor for yamux"),
    (MessageType.MENTORSHIP_RESPONSE, {"guidance": "read"}, "teaches: read"),
    (
        MessageType.PROJECT_UPDATE,
        {"project_id": "p", "phase": "testing", "completion": 0.75, "blockers": []},
        "project p: testing, 75% done",
    ),
    (
        MessageType.DELIVERABLE_READY,
        {"deliverable": "report", "location": "/r"},
        "delivers report at /r",
    ),
    (
        MessageType.FEEDBACK_EVENT,
        {"context_path": "/api.md", "relevance_score": 0.95},
        "feedback on /api.md: 0.95",
    ),
    (MessageType.CONTEXT_REQUEST, {"query": "auth"}, "asks for context: auth"),
    (
        MessageType.CONTEXT_RESPONSE,
        {"context_path": "/a", "content": "text"},
        "gives context /a: text",
    ),
    (
        MessageType.CONTEXT_USAGE,
        {"context_path": "/a", "usage_count": 5, "query": "auth"},
        "used /a 5 times for auth",
    ),
    (
        MessageType.CONTEXT_RELEVANCE,
        {"context_path": "/a", "relevance_score": 0.92, "query": "auth"},
        "relevance of /a: 0.92 for auth",
    ),
    (
        MessageType.SLURP_EVENT_GENERATED,
        {"event_id": "e", "event_type": "deployment", "discussion_id": "d"},
        "SLURP event e of type deployment from discussion d",
    ),
    (MessageType.SLURP_EVENT_ACK, {"event_id": "e"}, "acknowledges SLURP event e"),
    (
        MessageType.SLURP_CONTEXT_UPDATE,
        {"context_path": "/a", "summary": "new"},
        "SLURP context /a: new",
    ),
]


OTHERS: list[tuple[MessageType, dict[str, Any], str]] = [
    (MessageType.TASK_PROGRESS, {"task_id": "t", "status": "working", "progress": 0},
     "works on t: 0%"),
    (MessageType.CAPABILITY_BROADCAST, {"capabilities": []}, "is there"),
    (MessageType.AVAILABILITY_BROADCAST, {"status": "ready", "current_tasks": 0}, "is ready"),
    (MessageType.AVAILABILITY_BROADCAST, {"status": "working", "current_tasks": 1},
     "is working, with 1 task"),
    (MessageType.TASK_PROGRESS, {"task_id": "t", "status": "done", "progress": 1.0}, "has done t"),
    (MessageType.TASK_PROGRESS, {"task_id": "t", "status": "failed", "error": "no disk"},
     "failed at t, no disk"),
    (MessageType.TASK_COMPLETE, {"task_id": "t", "result": "failed", "error": "no disk"},
     "t is over: failed, no disk"),
    (MessageType.TASK_COMPLETE, {"task_id": "t", "agent_id": "bob"}, "t is complete, done by bob"),
    (MessageType.AVAILABILITY_BROADCAST, {"available_for_work": False}, "takes no work"),
    (MessageType.AVAILABILITY_BROADCAST, {"available_for_work": 1}, "is there"),
    (MessageType.TASK_HELP_RESPONSE, {"task_id": "t", "can_help": False}, "cannot help with t"),
    (MessageType.EXPERTISE_RESPONSE, {"can_help": False}, "does not know"),
    (MessageType.WORK_ALLOCATION, {"task_id": "t", "agent_id": "bob", "attempt": 2},
     "gives t to bob, attempt 2"),
    (MessageType.WORK_ALLOCATION, {"task_id": "t", "attempt": 1}, "gives t"),
    (MessageType.MENTORSHIP_RESPONSE, {"accepted": False}, "does not teach"),
    (MessageType.PROJECT_UPDATE, {"project_id": 7, "status": "late", "blockers": ["disk"]},
     "project 7: late, blocked by disk"),
    (MessageType.CONTEXT_RESPONSE, {"query": "auth", "found": False}, "has no context auth"),
]  # fmt: skip


def test_every_type_has_a_sentence() -> None:
    assert [kind for kind, _, _ in TOLD] == list(MessageType)


@pytest.mark.parametrize(("kind", "data", "told"), TOLD + OTHERS)
def test_a_message_is_told_as_a_person_would(
    kind: MessageType, data: dict[str, Any], told: str
) -> None:
    assert said(kind, data) == told


class Read(dict[str, Any]):
    """Data that says of every field that it is empty, and which were looked for."""

    def __init__(self) -> None:
        super().__init__(nothing=None)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


@pytest.mark.parametrize("kind", MessageType)
def test_only_fields_of_the_payload_are_read(kind: MessageType) -> None:
    data = Read()
    said(kind, data)
    assert data.names - {"agent_id"} <= {field.name for field in fields_of(PAYLOADS[kind])}


PEER = "12D3KooWPzCqbhsn8qcG9uWTZtmEbsKbRmLzic4QXZw4TQXctDYe"


def test_agents_are_named_by_the_ends_of_their_id_or_as_somebody_calls_them() -> None:
    data = {"task_id": "t", "agent_id": PEER}
    assert said(MessageType.WORK_ALLOCATION, data) == "gives t to 12*XctDYe"
    envelope = Envelope(MessageType.WORK_ALLOCATION, "peer", NOW, data)
    assert sentence(envelope, {PEER: "Bob"}.__getitem__) == "gives t to Bob"


def test_unknown_types_are_told_with_their_data() -> None:
    assert said("weather", {"sky": "blue", "wind": {"from": "west"}}) == (
        "[weather] sky: blue, wind: …"
    )
    assert said("weather", None) == "[weather]"


def test_whom_it_is_for_is_told() -> None:
    told = said(
        MessageType.EXPERTISE_REQUEST,
        {"question": "How?"},
        to_roles=("Architect",),
        required_expertise=("go", "yamux"),
    )
    assert told == "asks: How? (to Architect) (needs go, yamux)"


def test_long_values_are_cut() -> None:
    told = said(MessageType.META_DISCUSSION, {"message": "x" * 1000})
    assert told == "x" * 159 + "…"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=20,
)
fields = st.sampled_from(
    ["task_id", "progress", "message", "status", "completion", "capabilities", "query", "reason"]
)


@given(
    kind=st.sampled_from(list(MessageType)) | st.text(min_size=1),
    data=st.none() | st.dictionaries(fields | st.text(), json_values),
    roles=st.lists(st.text(), max_size=20).map(tuple),
)
def test_whatever_is_said_becomes_one_line_of_bounded_length(
    kind: str, data: dict[str, Any] | None, roles: tuple[str, ...]
) -> None:
    told = said(kind, data, to_roles=roles)
    assert len(told) <= MAX_CHARACTERS
    assert len(told.splitlines()) <= 1
