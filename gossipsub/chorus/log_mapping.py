"""How messages stand in an event log: the log type of each message type, and the log's data."""

from __future__ import annotations

from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.message_type import (
    CONTEXT_TYPES,
    DISCUSSION_TYPES,
    ROLE_TYPES,
    SLURP_TYPES,
    MessageType,
)

COORDINATION_LOG_TOPIC = "CHORUS"
HMMM_LOG_TOPIC = "hmmm"
CONTEXT_LOG_TOPIC = "context_feedback"

_LOG_TYPES: dict[str, str] = {
    **dict.fromkeys((*DISCUSSION_TYPES, *ROLE_TYPES, *SLURP_TYPES), "collaboration"),
    **dict.fromkeys(CONTEXT_TYPES, "context_feedback"),
    MessageType.TASK_ANNOUNCEMENT: "task_announced",
    MessageType.TASK_CLAIM: "task_claimed",
    MessageType.TASK_PROGRESS: "task_progress",
    MessageType.TASK_COMPLETE: "task_completed",
    MessageType.CAPABILITY_BROADCAST: "capability_broadcast",
    MessageType.AVAILABILITY_BROADCAST: "network_event",
    MessageType.ESCALATION_TRIGGER: "escalation",
    MessageType.CONTEXT_REQUEST: "context_request",
}
_LOG_TYPES_OF_UNKNOWN = {
    COORDINATION_LOG_TOPIC: "network_event",
    CONTEXT_LOG_TOPIC: "context_feedback",
}


def log_type(message_type: MessageType | str, log_topic: str) -> str:
    """The log type of a message. One of a type that is not known is by its topic: `network_event`
    in the coordination topic, `context_feedback` in the context topic, else `collaboration`."""
    known = _LOG_TYPES.get(message_type)
    return known or _LOG_TYPES_OF_UNKNOWN.get(log_topic, "collaboration")


def log_data(delivery: Delivery, log_topic: str) -> dict[str, object]:
    """The data of a log entry: what the envelope says, who signed it, and `log_topic`, which for a
    static topic is its short name and for others their whole name."""
    envelope: Envelope = delivery.envelope
    return {
        "message_type": str(envelope.type),
        "from_peer": envelope.from_peer,
        "from_short": short_string(envelope.from_peer),
        "timestamp": envelope.timestamp.text,
        "data": envelope.data,
        "topic": log_topic,
        "from_role": envelope.from_role,
        "to_roles": list(envelope.to_roles),
        "required_expertise": list(envelope.required_expertise),
        "project_id": envelope.project_id,
        "priority": envelope.priority,
        "thread_id": envelope.thread_id,
    }


def short_string(peer: str) -> str:
    """A peer id's text as Go's `peer.ID.ShortString` shortens it: `<peer.ID 12*abcdef>`."""
    if len(peer) <= 10:
        return f"<peer.ID {peer}>"
    return f"<peer.ID {peer[:2]}*{peer[-6:]}>"
