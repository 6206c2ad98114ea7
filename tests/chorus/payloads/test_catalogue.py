from __future__ import annotations

import re

import pytest

import gossipsub.chorus
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads.catalogue import PAYLOADS, check_payload, payload_of
from gossipsub.chorus.payloads.coordination import TaskClaim
from gossipsub.chorus.payloads.kinds import BadPayload
from gossipsub.chorus.payloads.schema import schema_of
from gossipsub.chorus.timestamp import Timestamp

PAIRS = ("task_help", "coordination", "expertise", "mentorship", "context")
"""Requests that have answers."""

DOCUMENT: list[tuple[str, dict[str, object]]] = [
    ("task_announcement", {
        "task_id": "task-123",
        "description": "Deploy service to production",
        "capabilities": ["deployment", "kubernetes"],
    }),
    ("task_announcement", {
        "task_id": "task-123",
        "description": "Deploy service",
        "capabilities": ["deployment"],
    }),
    ("task_claim", {
        "task_id": "task-123",
        "agent_id": "12D3KooWGRUacRLEfp3pwCLP8t6cKx4nYhVhSHFwYqfGsSGWbWnZ",
    }),
    ("task_progress", {"task_id": "task-123", "progress": 0.50, "status": "deploying"}),
    ("task_complete", {
        "task_id": "task-123",
        "result": "success",
        "output": "Service deployed to production",
    }),
    ("task_help_request", {
        "task_id": "task-456",
        "help_needed": "Need expertise in Go concurrency patterns",
        "urgency": "medium",
    }),
    ("status_update", {"status": "in_progress", "completion": 0.45}),
    ("expertise_request", {
        "question": "How to handle distributed transactions?",
        "context": "Microservices architecture",
    }),
    ("expertise_request", {
        "question": "How to implement distributed tracing?",
        "context": "Microservices deployment",
    }),
    ("expertise_response", {
        "answer": "Use OpenTelemetry with Jaeger backend",
        "resources": ["https://opentelemetry.io/docs"],
    }),
    ("project_update", {
        "project_id": "chorus-deployment-2025",
        "phase": "testing",
        "completion": 0.75,
        "blockers": [],
    }),
    ("feedback_event", {
        "context_path": "/project/docs/api.md",
        "relevance_score": 0.95,
        "usage_count": 12,
    }),
    ("context_usage", {
        "context_path": "/project/docs/architecture.md",
        "usage_count": 5,
        "query": "How does the authentication system work?",
    }),
    ("context_relevance", {
        "context_path": "/project/docs/architecture.md",
        "relevance_score": 0.92,
        "query": "authentication flow",
    }),
    ("slurp_event_generated", {
        "event_id": "evt-123",
        "event_type": "deployment",
        "discussion_id": "disc-456",
        "consensus": True,
    }),
]  # fmt: skip
"""What the description of CHORUS' pubsub package sends in its examples."""

BZZZ: list[tuple[str, dict[str, object]]] = [
    ("task_claim", {
        "task_id": 23,
        "task_title": "Add WebSocket support",
        "task_type": "feature",
        "agent_id": "bzzz-12D3KooW",
        "claimed_at": 1752742800,
        "github_url": "https://github.com/owner/repository/issues/23",
    }),
    ("task_progress", {
        "task_id": 23,
        "agent_id": "bzzz-12D3KooW",
        "status": "started",
        "timestamp": 1752742800,
    }),
    ("task_complete", {
        "task_id": 23,
        "agent_id": "bzzz-12D3KooW",
        "status": "completed",
        "completed_at": 1752742800,
        "results": {
            "status": "completed",
            "execution_time": "5s",
            "deliverables": ["Implementation completed", "Tests passed"],
        },
    }),
    ("capability_broadcast", {
        "node_id": "12*abcdef",
        "node_type": "bzzz-coordinator",
        "capabilities": ["task-coordination", "meta-discussion", "ollama-reasoning"],
        "models": ["phi3", "llama3.1"],
        "version": "0.2.0",
        "specialization": "general_developer",
        "timestamp": 1752742800,
    }),
    # A slice of Go that is nil.
    ("capability_broadcast", {"node_id": "12*abcdef", "capabilities": None, "models": None}),
    ("availability_broadcast", {
        "node_id": "12*abcdef",
        "available_for_work": True,
        "current_tasks": 1,
        "max_tasks": 3,
        "last_activity": 1752742800,
        "status": "working",
        "timestamp": 1752742800,
    }),
    ("meta_discussion", {
        "issue_id": 23,
        "node_id": "bzzz-12D3KooW",
        "message": "Here is my proposed plan of action.",
        "plan": "1. Read. 2. Write.",
        "msg_id": "plan-23-1752742800000000000",
        "parent_id": None,
        "hop_count": 1,
        "timestamp": 1752742800,
    }),
    ("meta_discussion", {
        "project_id": 4,
        "issue_id": 23,
        "repository": "owner/repository",
        "message": "Here is my proposed plan for this cross-repository task.",
        "plan": "1. Read. 2. Write.",
        "git_url": "https://github.com/owner/repository.git",
    }),
    ("meta_discussion", {
        "type": "coordination_proposal",
        "agent_id": "test-agent-1",
        "message": "I suggest completing API contract first",
        "scenario_name": "Cross-Repository API Integration",
        "confidence": 0.9,
        "proposed_order": ["bzzz#23", "hive#15", "hive#16"],
        "timestamp": 1752742800,
    }),
    ("meta_discussion", {
        "message_type": "dependency_detected",
        "dependency": {"task1": {"task_id": 1}, "task2": {"task_id": 2}, "confidence": 0.8},
        "coordination_request": "Cross-repository dependency detected between tasks.",
        "agents_involved": ["agent-1", "agent-2"],
        "repositories": ["owner/one", "owner/two"],
        "hop_count": 0,
        "max_hops": 3,
        "detected_at": 1752742800,
    }),
    ("meta_discussion", {
        "message_type": "coordination_plan",
        "session_id": "coord_1_2",
        "plan": "First one, then two.",
        "tasks_involved": [{"task_id": 1}, {"task_id": 2}],
        "participants": {"agent-1": {"peer_id": "12*abcdef"}},
        "message": "Coordination plan generated",
    }),
    ("meta_discussion", {
        "message_type": "escalation",
        "session_id": "coord_1_2",
        "escalation_reason": "Maximum coordination messages exceeded",
        "session_summary": "Ten messages.",
        "participants": {"agent-1": {"peer_id": "12*abcdef"}},
        "requires_human": True,
    }),
    ("meta_discussion", {"session_id": "coord_1_2", "agent_id": "agent-1", "response": "Agreed."}),
    ("meta_discussion", {
        "issue_id": 23,
        "message": "This task has been escalated for human review.",
        "reason": "Human intervention requested",
    }),
    ("task_help_request", {
        "issue_id": 23,
        "repository": "owner/repository",
        "reason": "failed to generate command",
    }),
    ("task_help_response", {
        "issue_id": 23,
        "can_help": True,
        "capabilities": ["general", "reasoning"],
    }),
    ("coordination_request", {
        "type": "coordination_scenario_start",
        "scenario_name": "Cross-Repository API Integration",
        "description": "Coordinate API changes",
        "repositories": ["hive", "bzzz"],
        "started_at": 1752742800,
    }),
    ("coordination_complete", {
        "type": "consensus_reached",
        "scenario_name": "Cross-Repository API Integration",
        "final_plan": ["Complete API contract definition (bzzz#23)"],
        "participants": ["test-agent-1", "test-agent-2"],
        "timestamp": 1752742800,
    }),
]  # fmt: skip
"""How the agents of BZZZ, the predecessor written in Go, name and fill their fields."""

BZZZ_SIMULATOR: dict[str, object] = {
    "type": "scenario_task",
    "scenario_name": "Cross-Repository API Integration",
    "repository": {"owner": "owner", "name": "bzzz", "url": "https://github.com/owner/bzzz"},
    "task": {"number": 23, "title": "Add WebSocket support"},
    "task_number": 23,
    "priority": 1,
    "blocked_by": [{"repository": "hive", "task_number": 15, "priority": 1, "blocked_by": None}],
    "announced_at": 1752742800,
    "announced_by": "task_simulator",
}
"""What its simulator of tasks announces: without the task's id, at the place where we have it."""


def envelope(kind: MessageType | str, data: dict[str, object] | None) -> Envelope:
    return Envelope(kind, "me", Timestamp("2026-11-23T12:00:00Z"), data)


def without_nothing(data: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in data.items() if value not in (None, [])}


@pytest.mark.parametrize(("kind", "data"), DOCUMENT + BZZZ)
def test_what_the_document_and_the_agents_of_bzzz_send_passes(
    kind: str, data: dict[str, object]
) -> None:
    check_payload(kind, data)
    written = PAYLOADS[kind].from_data(data).to_data()
    assert without_nothing(written) == without_nothing(data)


@pytest.mark.parametrize(("kind", "data"), DOCUMENT)
def test_every_field_of_the_documents_examples_is_one_of_ours(
    kind: str, data: dict[str, object]
) -> None:
    assert data.keys() <= schema_of(PAYLOADS[kind]).kinds.keys()
    assert PAYLOADS[kind].from_data(data).extra == {}


def test_the_simulator_of_bzzz_says_everything_but_the_task_id() -> None:
    with pytest.raises(BadPayload, match=r"^task_id is missing$"):
        check_payload("task_announcement", BZZZ_SIMULATOR)
    check_payload("task_announcement", BZZZ_SIMULATOR | {"task_id": 23})


def test_each_of_the_31_types_has_a_class_named_like_it() -> None:
    assert list(PAYLOADS) == list(MessageType)
    for kind, payload in PAYLOADS.items():
        assert payload.message_type is kind
        assert re.sub(r"(?<!^)([A-Z])", r"_\1", payload.__name__).lower() == kind
        assert getattr(gossipsub.chorus, payload.__name__) is payload


def test_a_request_and_its_response_share_a_request_id() -> None:
    for pair in PAIRS:
        answer = "complete" if pair == "coordination" else "response"
        for kind in (f"{pair}_request", f"{pair}_{answer}"):
            assert "request_id" in schema_of(PAYLOADS[kind]).kinds


def test_unknown_types_are_never_checked() -> None:
    check_payload("task_stolen", {"task_id": []})
    check_payload("", None)


def test_no_data_is_an_empty_object() -> None:
    check_payload(MessageType.META_DISCUSSION, None)
    with pytest.raises(BadPayload, match=r"^task_id is missing$"):
        check_payload(MessageType.TASK_CLAIM, None)


def test_the_first_fault_is_told() -> None:
    with pytest.raises(BadPayload, match=r"^capabilities\[2\] is a number, not text$"):
        check_payload(
            "task_announcement",
            {"task_id": "t", "capabilities": ["a", "b", 5, 6], "description": 7},
        )


def test_an_envelope_says_a_payload() -> None:
    said = envelope(MessageType.TASK_CLAIM, {"task_id": "t", "colour": "red"})
    assert payload_of(said) == TaskClaim(task_id="t", extra={"colour": "red"})


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (MessageType.TASK_CLAIM, None, "task_id is missing"),
        (MessageType.TASK_CLAIM, {"task_id": True}, "task_id is true or false, not text or .*"),
        ("task_stolen", {}, "type is unknown: 'task_stolen'"),
        ("x" * 99, {}, f"type is unknown: '{'x' * 64}'"),
    ],
)
def test_an_envelope_may_say_none(
    kind: MessageType | str, data: dict[str, object] | None, message: str
) -> None:
    with pytest.raises(BadPayload, match=f"^{message}$"):
        payload_of(envelope(kind, data))
