from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub import SignedMessage
from gossipsub.chorus import Delivery, Envelope, MessageType, Timestamp
from gossipsub.chorus.event_log.entry import encode_data
from gossipsub.chorus.go_json import Written, value_text
from gossipsub.chorus.log_mapping import log_data, log_type, short_string
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.rpc import Message

TABLE = {
    "task_announcement": "task_announced",
    "task_claim": "task_claimed",
    "task_progress": "task_progress",
    "task_complete": "task_completed",
    "capability_broadcast": "capability_broadcast",
    "availability_broadcast": "network_event",
    "escalation_trigger": "escalation",
    "feedback_event": "context_feedback",
    "context_request": "context_request",
    "context_response": "context_feedback",
    "context_usage": "context_feedback",
    "context_relevance": "context_feedback",
}
"""All others are collaboration."""


@pytest.mark.parametrize("kind", list(MessageType))
def test_each_type_has_the_log_type_of_the_document(kind: MessageType) -> None:
    assert log_type(kind, "any") == TABLE.get(kind, "collaboration")


@pytest.mark.parametrize(
    ("log_topic", "expected"),
    [
        ("CHORUS", "network_event"),
        ("hmmm", "collaboration"),
        ("context_feedback", "context_feedback"),
        ("CHORUS/tasks/1/v1", "collaboration"),
    ],
)
def test_a_type_that_is_not_known_is_logged_by_its_topic(log_topic: str, expected: str) -> None:
    assert log_type("task_stolen", log_topic) == expected


def test_the_logs_data_has_all_fields_of_the_document() -> None:
    sender = PeerId(b"\x00\x04abcd")
    envelope = Envelope(
        MessageType.EXPERTISE_REQUEST,
        "12D3KooWabcdefghijk",
        Timestamp("2025-01-02T03:04:05.5Z"),
        {"question": "How?"},
        from_role="Junior Developer",
        to_roles=("Architect",),
        required_expertise=("golang",),
        project_id="p",
        priority="high",
        thread_id="thread-abc",
    )
    signed = SignedMessage(Message("t", b"", from_peer=sender, seqno=bytes(8), signature=b""))
    assert log_data(Delivery(envelope, "t", sender, signed, 0), "hmmm") == {
        "message_type": "expertise_request",
        "from_peer": "12D3KooWabcdefghijk",
        "from_short": "<peer.ID 12*fghijk>",
        "timestamp": "2025-01-02T03:04:05.5Z",
        "data": {"question": "How?"},
        "topic": "hmmm",
        "from_role": "Junior Developer",
        "to_roles": ["Architect"],
        "required_expertise": ["golang"],
        "project_id": "p",
        "priority": "high",
        "thread_id": "thread-abc",
    }


TEXTS = st.text(st.characters(), max_size=8)
ROLES = st.lists(TEXTS, max_size=3).map(tuple)


@given(
    st.builds(
        Envelope,
        TEXTS,
        TEXTS,
        st.just(Timestamp("2025-01-02T03:04:05.5Z")),
        st.none() | st.dictionaries(TEXTS, TEXTS | st.floats(-1e9, 1e9), max_size=4),
        from_role=TEXTS,
        to_roles=ROLES,
        required_expertise=ROLES,
        project_id=TEXTS,
        priority=TEXTS,
        thread_id=TEXTS,
    ),
    TEXTS,
)
def test_with_the_datas_json_the_entry_is_the_same(envelope: Envelope, log_topic: str) -> None:
    sender = PeerId(b"\x00\x04abcd")
    signed = SignedMessage(Message("t", b"", from_peer=sender, seqno=bytes(8), signature=b""))
    delivery = Delivery(envelope, "t", sender, signed, 0)
    written = log_data(delivery, log_topic, data_text=value_text(envelope.data, 3))
    assert isinstance(written, Written)
    assert written.text() is not None
    plain = log_data(delivery, log_topic)
    assert written == plain
    assert encode_data(written) == encode_data(plain)


def test_a_peer_id_is_shortened_as_go_shortens_it() -> None:
    assert short_string("0123456789") == "<peer.ID 0123456789>"
    assert short_string("0123456789a") == "<peer.ID 01*56789a>"
