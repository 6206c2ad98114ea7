"""CHORUS: envelopes, topics and handlers for fleets of agents, on top of GossipSub.

It uses nothing of the layer below but its public API. Importing this package loads nothing but
itself: each name is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossipsub.chorus.access import AccessDecision, AccessRules
    from gossipsub.chorus.access_rule import Access, AccessGroup, AccessRule
    from gossipsub.chorus.acknowledged import AcknowledgedPublisher, AcknowledgedStatistics
    from gossipsub.chorus.acknowledgements import Acknowledgements
    from gossipsub.chorus.agent_card import AgentCard
    from gossipsub.chorus.agent_table import Agent, ChangeKind, PresenceChange
    from gossipsub.chorus.answers import Answer, Answers
    from gossipsub.chorus.catch_up.catch_up import CatchUp
    from gossipsub.chorus.catch_up.limits import CatchUpLimits
    from gossipsub.chorus.catch_up.message_log import MessageLog
    from gossipsub.chorus.catch_up.neighbours import CatchUpOutcome
    from gossipsub.chorus.catch_up.statistics import CatchUpStatistics
    from gossipsub.chorus.conversation import Conversation
    from gossipsub.chorus.conversation_view import ConversationView
    from gossipsub.chorus.dead_letters import DeadLetter, DeadLetterHandler
    from gossipsub.chorus.delivery import Check, Delivery, Observer, current_delivery
    from gossipsub.chorus.envelope import Envelope, EnvelopeLimits
    from gossipsub.chorus.errors import (
        EventLogFailed,
        MalformedEnvelope,
        RedactionFailed,
        RefusalReason,
    )
    from gossipsub.chorus.escalation import (
        Escalation,
        EscalationCounters,
        EscalationDesk,
        Person,
        ThreadLimits,
    )
    from gossipsub.chorus.event_log.chain import LogHead
    from gossipsub.chorus.event_log.entry import LogEntry
    from gossipsub.chorus.event_log.errors import CorruptLog, EventLogError
    from gossipsub.chorus.event_log.event_log import EventLog, LogDurability
    from gossipsub.chorus.event_log.export import verify_export
    from gossipsub.chorus.event_log.logger import EventLogger
    from gossipsub.chorus.event_log.memory import MemoryEventLog
    from gossipsub.chorus.event_log.reader import EventLogReader
    from gossipsub.chorus.event_log.retention import LogRetention
    from gossipsub.chorus.event_log.verification import LogVerification
    from gossipsub.chorus.gossip_publisher import GossipPublisher
    from gossipsub.chorus.handlers import Handler, HandlerWrapper
    from gossipsub.chorus.message_options import MessageOptions
    from gossipsub.chorus.message_type import MessageType
    from gossipsub.chorus.payloads.catalogue import check_payload, payload_of
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
    from gossipsub.chorus.payloads.kinds import BadPayload
    from gossipsub.chorus.payloads.policy import PayloadPolicy
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
    from gossipsub.chorus.payloads.schema import Payload
    from gossipsub.chorus.payloads.slurp import (
        SlurpContextUpdate,
        SlurpEventAck,
        SlurpEventGenerated,
    )
    from gossipsub.chorus.presence import Presence
    from gossipsub.chorus.publishing import PublishingHook
    from gossipsub.chorus.pubsub import ChorusPubSub
    from gossipsub.chorus.rate_limits import RateLimit, RateLimits
    from gossipsub.chorus.raw_topic import RawHandler
    from gossipsub.chorus.redaction.audit_file import AuditFile
    from gossipsub.chorus.redaction.finding import RedactionFinding, RedactionRecord
    from gossipsub.chorus.redaction.redactor import Redactor
    from gossipsub.chorus.redaction.rule import RedactionCategory, RedactionRule, RedactionSeverity
    from gossipsub.chorus.redaction.sentinel import RedactionStatistics, Sentinel
    from gossipsub.chorus.request_types import RequestCounters
    from gossipsub.chorus.requests import Requests
    from gossipsub.chorus.serving import Server
    from gossipsub.chorus.statistics import ChorusStatistics, TopicStatistics
    from gossipsub.chorus.tasks.runner import TaskRunner
    from gossipsub.chorus.tasks.task import Task, TaskFailed, TaskOutcome, TaskParams, TaskResult
    from gossipsub.chorus.tasks.work import Work
    from gossipsub.chorus.timestamp import Timestamp
    from gossipsub.chorus.trace_context import TraceContext, current_trace, use_trace
    from gossipsub.chorus.tracing import Span, Tracing

_HOMES = {
    "Access": "access_rule",
    "AccessDecision": "access",
    "AccessGroup": "access_rule",
    "AccessRule": "access_rule",
    "AccessRules": "access",
    "AcknowledgedPublisher": "acknowledged",
    "AcknowledgedStatistics": "acknowledged",
    "Acknowledgements": "acknowledgements",
    "Agent": "agent_table",
    "AgentCard": "agent_card",
    "Answer": "answers",
    "Answers": "answers",
    "AuditFile": "redaction.audit_file",
    "AvailabilityBroadcast": "payloads.coordination",
    "BadPayload": "payloads.kinds",
    "CapabilityBroadcast": "payloads.coordination",
    "CatchUp": "catch_up.catch_up",
    "CatchUpLimits": "catch_up.limits",
    "CatchUpOutcome": "catch_up.neighbours",
    "CatchUpStatistics": "catch_up.statistics",
    "ChangeKind": "agent_table",
    "Check": "delivery",
    "ChorusPubSub": "pubsub",
    "ChorusStatistics": "statistics",
    "ContextRelevance": "payloads.context",
    "ContextRequest": "payloads.context",
    "ContextResponse": "payloads.context",
    "ContextUsage": "payloads.context",
    "Conversation": "conversation",
    "ConversationView": "conversation_view",
    "CoordinationComplete": "payloads.discussion",
    "CoordinationRequest": "payloads.discussion",
    "CorruptLog": "event_log.errors",
    "DeadLetter": "dead_letters",
    "DeadLetterHandler": "dead_letters",
    "DeliverableReady": "payloads.roles",
    "Delivery": "delivery",
    "DependencyAlert": "payloads.discussion",
    "Envelope": "envelope",
    "EnvelopeLimits": "envelope",
    "Escalation": "escalation",
    "EscalationCounters": "escalation",
    "EscalationDesk": "escalation",
    "EscalationTrigger": "payloads.discussion",
    "EventLog": "event_log.event_log",
    "EventLogError": "event_log.errors",
    "EventLogFailed": "errors",
    "EventLogReader": "event_log.reader",
    "EventLogger": "event_log.logger",
    "ExpertiseRequest": "payloads.roles",
    "ExpertiseResponse": "payloads.roles",
    "FeedbackEvent": "payloads.context",
    "GossipPublisher": "gossip_publisher",
    "Handler": "handlers",
    "HandlerWrapper": "handlers",
    "LogDurability": "event_log.event_log",
    "LogEntry": "event_log.entry",
    "LogHead": "event_log.chain",
    "LogRetention": "event_log.retention",
    "LogVerification": "event_log.verification",
    "MalformedEnvelope": "errors",
    "MemoryEventLog": "event_log.memory",
    "MentorshipRequest": "payloads.roles",
    "MentorshipResponse": "payloads.roles",
    "MessageLog": "catch_up.message_log",
    "MessageOptions": "message_options",
    "MessageType": "message_type",
    "MetaDiscussion": "payloads.discussion",
    "Observer": "delivery",
    "Payload": "payloads.schema",
    "PayloadPolicy": "payloads.policy",
    "Person": "escalation",
    "Presence": "presence",
    "PresenceChange": "agent_table",
    "ProjectUpdate": "payloads.roles",
    "PublishingHook": "publishing",
    "RateLimit": "rate_limits",
    "RateLimits": "rate_limits",
    "RawHandler": "raw_topic",
    "RedactionCategory": "redaction.rule",
    "RedactionFailed": "errors",
    "RedactionFinding": "redaction.finding",
    "RedactionRecord": "redaction.finding",
    "RedactionRule": "redaction.rule",
    "RedactionSeverity": "redaction.rule",
    "RedactionStatistics": "redaction.sentinel",
    "Redactor": "redaction.redactor",
    "RefusalReason": "errors",
    "RequestCounters": "request_types",
    "Requests": "requests",
    "RoleAnnouncement": "payloads.roles",
    "RoleCollaboration": "payloads.roles",
    "Sentinel": "redaction.sentinel",
    "Server": "serving",
    "SlurpContextUpdate": "payloads.slurp",
    "SlurpEventAck": "payloads.slurp",
    "SlurpEventGenerated": "payloads.slurp",
    "Span": "tracing",
    "StatusUpdate": "payloads.roles",
    "Task": "tasks.task",
    "TaskAnnouncement": "payloads.coordination",
    "TaskClaim": "payloads.coordination",
    "TaskComplete": "payloads.coordination",
    "TaskFailed": "tasks.task",
    "TaskHelpRequest": "payloads.discussion",
    "TaskHelpResponse": "payloads.discussion",
    "TaskOutcome": "tasks.task",
    "TaskParams": "tasks.task",
    "TaskProgress": "payloads.coordination",
    "TaskResult": "tasks.task",
    "TaskRunner": "tasks.runner",
    "ThreadLimits": "escalation",
    "Timestamp": "timestamp",
    "TopicStatistics": "statistics",
    "TraceContext": "trace_context",
    "Tracing": "tracing",
    "Work": "tasks.work",
    "WorkAllocation": "payloads.roles",
    "check_payload": "payloads.catalogue",
    "current_delivery": "delivery",
    "current_trace": "trace_context",
    "payload_of": "payloads.catalogue",
    "use_trace": "trace_context",
    "verify_export": "event_log.export",
}

__all__ = [
    "Access",
    "AccessDecision",
    "AccessGroup",
    "AccessRule",
    "AccessRules",
    "AcknowledgedPublisher",
    "AcknowledgedStatistics",
    "Acknowledgements",
    "Agent",
    "AgentCard",
    "Answer",
    "Answers",
    "AuditFile",
    "AvailabilityBroadcast",
    "BadPayload",
    "CapabilityBroadcast",
    "CatchUp",
    "CatchUpLimits",
    "CatchUpOutcome",
    "CatchUpStatistics",
    "ChangeKind",
    "Check",
    "ChorusPubSub",
    "ChorusStatistics",
    "ContextRelevance",
    "ContextRequest",
    "ContextResponse",
    "ContextUsage",
    "Conversation",
    "ConversationView",
    "CoordinationComplete",
    "CoordinationRequest",
    "CorruptLog",
    "DeadLetter",
    "DeadLetterHandler",
    "DeliverableReady",
    "Delivery",
    "DependencyAlert",
    "Envelope",
    "EnvelopeLimits",
    "Escalation",
    "EscalationCounters",
    "EscalationDesk",
    "EscalationTrigger",
    "EventLog",
    "EventLogError",
    "EventLogFailed",
    "EventLogReader",
    "EventLogger",
    "ExpertiseRequest",
    "ExpertiseResponse",
    "FeedbackEvent",
    "GossipPublisher",
    "Handler",
    "HandlerWrapper",
    "LogDurability",
    "LogEntry",
    "LogHead",
    "LogRetention",
    "LogVerification",
    "MalformedEnvelope",
    "MemoryEventLog",
    "MentorshipRequest",
    "MentorshipResponse",
    "MessageLog",
    "MessageOptions",
    "MessageType",
    "MetaDiscussion",
    "Observer",
    "Payload",
    "PayloadPolicy",
    "Person",
    "Presence",
    "PresenceChange",
    "ProjectUpdate",
    "PublishingHook",
    "RateLimit",
    "RateLimits",
    "RawHandler",
    "RedactionCategory",
    "RedactionFailed",
    "RedactionFinding",
    "RedactionRecord",
    "RedactionRule",
    "RedactionSeverity",
    "RedactionStatistics",
    "Redactor",
    "RefusalReason",
    "RequestCounters",
    "Requests",
    "RoleAnnouncement",
    "RoleCollaboration",
    "Sentinel",
    "Server",
    "SlurpContextUpdate",
    "SlurpEventAck",
    "SlurpEventGenerated",
    "Span",
    "StatusUpdate",
    "Task",
    "TaskAnnouncement",
    "TaskClaim",
    "TaskComplete",
    "TaskFailed",
    "TaskHelpRequest",
    "TaskHelpResponse",
    "TaskOutcome",
    "TaskParams",
    "TaskProgress",
    "TaskResult",
    "TaskRunner",
    "ThreadLimits",
    "Timestamp",
    "TopicStatistics",
    "TraceContext",
    "Tracing",
    "Work",
    "WorkAllocation",
    "check_payload",
    "current_delivery",
    "current_trace",
    "payload_of",
    "use_trace",
    "verify_export",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gossipsub.chorus' has no attribute {name!r}")
    value = getattr(import_module(f"gossipsub.chorus.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
