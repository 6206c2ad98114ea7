"""All payloads by message type, and the check of `data` by its type."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads import context, coordination, discussion, roles, slurp
from gossipsub.chorus.payloads.kinds import BadPayload
from gossipsub.chorus.payloads.schema import Payload, schema_of

PAYLOADS: Mapping[MessageType | str, type[Payload]] = MappingProxyType(
    {
        payload.message_type: payload
        for payload in (
            coordination.TaskAnnouncement,
            coordination.TaskClaim,
            coordination.TaskProgress,
            coordination.TaskComplete,
            coordination.CapabilityBroadcast,
            coordination.AvailabilityBroadcast,
            discussion.MetaDiscussion,
            discussion.TaskHelpRequest,
            discussion.TaskHelpResponse,
            discussion.CoordinationRequest,
            discussion.CoordinationComplete,
            discussion.DependencyAlert,
            discussion.EscalationTrigger,
            roles.RoleAnnouncement,
            roles.ExpertiseRequest,
            roles.ExpertiseResponse,
            roles.StatusUpdate,
            roles.WorkAllocation,
            roles.RoleCollaboration,
            roles.MentorshipRequest,
            roles.MentorshipResponse,
            roles.ProjectUpdate,
            roles.DeliverableReady,
            context.FeedbackEvent,
            context.ContextRequest,
            context.ContextResponse,
            context.ContextUsage,
            context.ContextRelevance,
            slurp.SlurpEventGenerated,
            slurp.SlurpEventAck,
            slurp.SlurpContextUpdate,
        )
    }
)
"""The class of each message type, in the types' order."""


def check_payload(message_type: MessageType | str, data: Mapping[str, object] | None) -> None:
    """Raise BadPayload for the first fault of `data`, when it is of a type we know.

    Checked are the fields that the type's class declares. Others may hold anything, and so may
    messages of unknown types. None is an empty object, null as good as a field left out.
    """
    payload = PAYLOADS.get(message_type)
    if payload is not None:
        schema_of(payload).check(data)


def payload_of(envelope: Envelope) -> Payload:
    """What the envelope says, as an object of its type's class.

    BadPayload when `data` does not satisfy the schema, or when nothing is known of the type.
    """
    payload = PAYLOADS.get(envelope.type)
    if payload is None:
        raise BadPayload("type", f"is unknown: {envelope.type[:64]!r}")
    return payload.from_data(envelope.data)
