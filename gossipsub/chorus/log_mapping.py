"""How messages stand in an event log: the log type of each message type, and the log's data."""

from __future__ import annotations

from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.go_json import Written, quote
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


def log_data(
    delivery: Delivery, log_topic: str, *, data_text: str | None = None
) -> dict[str, object]:
    """The data of a log entry: what the envelope says, who signed it, and `log_topic`, which for a
    static topic is its short name and for others their whole name. Where `data_text` is given,
    the JSON of the envelope's data, the entry brings along its own."""
    envelope: Envelope = delivery.envelope
    kind, short = str(envelope.type), short_string(envelope.from_peer)
    fields: dict[str, object] = {
        "message_type": kind,
        "from_peer": envelope.from_peer,
        "from_short": short,
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
    if data_text is None:
        return fields
    # All in the order of their names; a fifth of the time of writing any object.
    text = (
        f'{{"data":{data_text},"from_peer":{quote(envelope.from_peer)},'
        f'"from_role":{quote(envelope.from_role)},"from_short":{quote(short)},'
        f'"message_type":{quote(kind)},"priority":{quote(envelope.priority)},'
        f'"project_id":{quote(envelope.project_id)},'
        f'"required_expertise":[{_texts(envelope.required_expertise)}],'
        f'"thread_id":{quote(envelope.thread_id)},"timestamp":{quote(envelope.timestamp.text)},'
        f'"to_roles":[{_texts(envelope.to_roles)}],"topic":{quote(log_topic)}}}'
    )
    return Written(fields, text)


def _texts(texts: tuple[str, ...]) -> str:
    return ",".join(map(quote, texts))


def short_string(peer: str) -> str:
    """A peer id's text as Go's `peer.ID.ShortString` shortens it: `<peer.ID 12*abcdef>`."""
    if len(peer) <= 10:
        return f"<peer.ID {peer}>"
    return f"<peer.ID {peer[:2]}*{peer[-6:]}>"
