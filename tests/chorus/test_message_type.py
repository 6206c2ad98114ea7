from __future__ import annotations

from gossipsub.chorus.message_type import (
    CONTEXT_TYPES,
    COORDINATION_TYPES,
    DISCUSSION_TYPES,
    HMMM_TOPIC_TYPES,
    ROLE_TYPES,
    SLURP_TYPES,
    MessageType,
    message_type,
)

WIRE_NAMES = {
    COORDINATION_TYPES: """task_announcement task_claim task_progress task_complete
        capability_broadcast availability_broadcast""",
    DISCUSSION_TYPES: """meta_discussion task_help_request task_help_response
        coordination_request coordination_complete dependency_alert escalation_trigger""",
    ROLE_TYPES: """role_announcement expertise_request expertise_response status_update
        work_allocation role_collaboration mentorship_request mentorship_response project_update
        deliverable_ready""",
    CONTEXT_TYPES: """feedback_event context_request context_response context_usage
        context_relevance""",
    SLURP_TYPES: "slurp_event_generated slurp_event_ack slurp_context_update",
}


def test_the_31_wire_names_stand_in_their_groups() -> None:
    for group, names in WIRE_NAMES.items():
        assert [str(kind) for kind in group] == names.split()
    assert len(MessageType) == 31
    assert set(HMMM_TOPIC_TYPES) == {*DISCUSSION_TYPES, *ROLE_TYPES, *SLURP_TYPES}


def test_a_constant_is_named_as_it_is_written_on_the_wire() -> None:
    assert all(kind.name == kind.value.upper() for kind in MessageType)


def test_the_abbreviations_of_the_go_names_mean_the_same() -> None:
    assert MessageType["CAPABILITY_BCAST"] is MessageType.CAPABILITY_BROADCAST
    assert MessageType["AVAILABILITY_BCAST"] is MessageType.AVAILABILITY_BROADCAST


def test_a_known_name_becomes_a_type_and_an_unknown_one_stays_text() -> None:
    assert message_type("task_claim") is MessageType.TASK_CLAIM
    assert type(message_type("task_stolen")) is str
    assert message_type("task_stolen") == "task_stolen"
    assert message_type("TASK_CLAIM") == "TASK_CLAIM"
