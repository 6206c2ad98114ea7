"""What envelopes say they are: the 31 message types of CHORUS, by the topic that carries them."""

from __future__ import annotations

from enum import StrEnum


class MessageType(StrEnum):
    """The value is what stands in an envelope's `type`.

    Other agents may send types that are not here; those stay plain strings.
    """

    TASK_ANNOUNCEMENT = "task_announcement"
    TASK_CLAIM = "task_claim"
    TASK_PROGRESS = "task_progress"
    TASK_COMPLETE = "task_complete"
    CAPABILITY_BROADCAST = "capability_broadcast"
    AVAILABILITY_BROADCAST = "availability_broadcast"

    META_DISCUSSION = "meta_discussion"
    TASK_HELP_REQUEST = "task_help_request"
    TASK_HELP_RESPONSE = "task_help_response"
    COORDINATION_REQUEST = "coordination_request"
    COORDINATION_COMPLETE = "coordination_complete"
    DEPENDENCY_ALERT = "dependency_alert"
    ESCALATION_TRIGGER = "escalation_trigger"

    ROLE_ANNOUNCEMENT = "role_announcement"
    EXPERTISE_REQUEST = "expertise_request"
    EXPERTISE_RESPONSE = "expertise_response"
    STATUS_UPDATE = "status_update"
    WORK_ALLOCATION = "work_allocation"
    ROLE_COLLABORATION = "role_collaboration"
    MENTORSHIP_REQUEST = "mentorship_request"
    MENTORSHIP_RESPONSE = "mentorship_response"
    PROJECT_UPDATE = "project_update"
    DELIVERABLE_READY = "deliverable_ready"

    FEEDBACK_EVENT = "feedback_event"
    CONTEXT_REQUEST = "context_request"
    CONTEXT_RESPONSE = "context_response"
    CONTEXT_USAGE = "context_usage"
    CONTEXT_RELEVANCE = "context_relevance"

    SLURP_EVENT_GENERATED = "slurp_event_generated"
    SLURP_EVENT_ACK = "slurp_event_ack"
    SLURP_CONTEXT_UPDATE = "slurp_context_update"

    # Go's names for two of them, CapabilityBcast and AvailabilityBcast.
    CAPABILITY_BCAST = CAPABILITY_BROADCAST
    AVAILABILITY_BCAST = AVAILABILITY_BROADCAST


_ALL = tuple(MessageType)

COORDINATION_TYPES = _ALL[0:6]
"""Tasks and availability (Bzzz)."""
DISCUSSION_TYPES = _ALL[6:13]
"""Meta-discussion between agents (HMMM)."""
ROLE_TYPES = _ALL[13:23]
"""Collaboration by role."""
CONTEXT_TYPES = _ALL[23:28]
"""Feedback for the context curator."""
SLURP_TYPES = _ALL[28:31]
"""Events of HMMM for SLURP."""

HMMM_TOPIC_TYPES = DISCUSSION_TYPES + ROLE_TYPES + SLURP_TYPES
"""What the meta-discussion topic carries."""

_BY_NAME = {kind.value: kind for kind in MessageType}


def message_type(name: str) -> MessageType | str:
    """The type of that wire name; a name we do not know stays a plain string."""
    return _BY_NAME.get(name, name)
