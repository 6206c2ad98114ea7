"""What stands in an envelope's `data`: one class for each of the 31 message types, and the check
that is made of their declarations."""

from __future__ import annotations

from gossipsub.chorus.payloads.catalogue import (
    PAYLOADS,
    check_payload,
    payload_of,
)
from gossipsub.chorus.payloads.context import (
    ContextRelevance,
    ContextRequest,
    ContextResponse,
    ContextUsage,
    FeedbackEvent,
)
from gossipsub.chorus.payloads.coordination import (
    AvailabilityBroadcast,
    CapabilityBroadcast,
    TaskAnnouncement,
    TaskClaim,
    TaskComplete,
    TaskProgress,
)
from gossipsub.chorus.payloads.discussion import (
    CoordinationComplete,
    CoordinationRequest,
    DependencyAlert,
    EscalationTrigger,
    MetaDiscussion,
    TaskHelpRequest,
    TaskHelpResponse,
)
from gossipsub.chorus.payloads.kinds import (
    BadPayload,
)
from gossipsub.chorus.payloads.policy import (
    PayloadPolicy,
    judge_payload,
)
from gossipsub.chorus.payloads.roles import (
    DeliverableReady,
    ExpertiseRequest,
    ExpertiseResponse,
    MentorshipRequest,
    MentorshipResponse,
    ProjectUpdate,
    RoleAnnouncement,
    RoleCollaboration,
    StatusUpdate,
    WorkAllocation,
)
from gossipsub.chorus.payloads.schema import (
    Payload,
)
from gossipsub.chorus.payloads.slurp import (
    SlurpContextUpdate,
    SlurpEventAck,
    SlurpEventGenerated,
)

__all__ = [
    "PAYLOADS",
    "AvailabilityBroadcast",
    "BadPayload",
    "CapabilityBroadcast",
    "ContextRelevance",
    "ContextRequest",
    "ContextResponse",
    "ContextUsage",
    "CoordinationComplete",
    "CoordinationRequest",
    "DeliverableReady",
    "DependencyAlert",
    "EscalationTrigger",
    "ExpertiseRequest",
    "ExpertiseResponse",
    "FeedbackEvent",
    "MentorshipRequest",
    "MentorshipResponse",
    "MetaDiscussion",
    "Payload",
    "PayloadPolicy",
    "ProjectUpdate",
    "RoleAnnouncement",
    "RoleCollaboration",
    "SlurpContextUpdate",
    "SlurpEventAck",
    "SlurpEventGenerated",
    "StatusUpdate",
    "TaskAnnouncement",
    "TaskClaim",
    "TaskComplete",
    "TaskHelpRequest",
    "TaskHelpResponse",
    "TaskProgress",
    "WorkAllocation",
    "check_payload",
    "judge_payload",
    "payload_of",
]
