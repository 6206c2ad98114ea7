"""Payloads of the meta-discussion topic: talk, help, coordination, escalation (HMMM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads.kinds import (
    Anything,
    Identifier,
    Identifiers,
    Seconds,
    Severity,
    Share,
    Time,
    Urgency,
)
from gossipsub.chorus.payloads.schema import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaDiscussion(Payload):
    """A contribution to a discussion; which one, the envelope's `thread_id` says."""

    message_type: ClassVar[MessageType] = MessageType.META_DISCUSSION

    message: str = ""
    """What is said."""
    subject: str = ""
    """What it is about."""
    agent_id: str = ""
    node_id: str = ""
    session_id: str = ""
    """The coordination session it belongs to."""
    task_id: Identifier = ""
    issue_id: Identifier = ""
    project_id: Identifier = ""
    repository: str = ""
    reply_to: str = ""
    """The message it answers, by the name its sender gave it."""
    plan: Anything = None
    """A plan put up for discussion."""
    proposed_order: tuple[str, ...] = ()
    """In which order the work should be done."""
    stance: str = ""
    """A word on what it answers: `agree`, `object`, `abstain`."""
    confidence: Share | None = None
    response: str = ""
    """What an agent says to a plan."""
    request_id: str = ""
    """That of the request it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHelpRequest(Payload):
    """An agent is stuck with a task."""

    message_type: ClassVar[MessageType] = MessageType.TASK_HELP_REQUEST

    task_id: Identifier = ""
    help_needed: str = ""
    """What help it needs."""
    urgency: Urgency = ""
    skills: tuple[str, ...] = ()
    """What the helper should know; all of it."""
    reason: str = ""
    """Why it is stuck."""
    error: str = ""
    """The error as the program wrote it."""
    attempted: tuple[str, ...] = ()
    """What was tried in vain."""
    context: Anything = None
    """What else the helper should know: text, or an object."""
    deadline: Time = ""
    """After when help comes too late."""
    agent_id: str = ""
    issue_id: Identifier = ""
    repository: str = ""
    request_id: str = ""
    """Repeated in each answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHelpResponse(Payload):
    """An answer to a TaskHelpRequest: help, or the offer of it."""

    message_type: ClassVar[MessageType] = MessageType.TASK_HELP_RESPONSE

    task_id: Identifier = ""
    can_help: bool | None = None
    message: str = ""
    """What is offered."""
    solution: str = ""
    """The help itself."""
    resources: tuple[str, ...] = ()
    """Where more is to be found."""
    capabilities: tuple[str, ...] = ()
    """What the helper can do."""
    confidence: Share | None = None
    """How sure the helper is."""
    available_from: Time = ""
    """When the helper has time."""
    agent_id: str = ""
    issue_id: Identifier = ""
    request_id: str = ""
    """That of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinationRequest(Payload):
    """Agents are asked to a coordination session."""

    message_type: ClassVar[MessageType] = MessageType.COORDINATION_REQUEST

    session_id: str = ""
    """Names the session in all messages about it."""
    subject: str = ""
    description: str = ""
    """What is to be settled, and why."""
    goal: str = ""
    """When the session has done its work."""
    agenda: tuple[str, ...] = ()
    participants: tuple[str, ...] = ()
    """Who is asked, by agent id; everyone when empty."""
    task_ids: Identifiers = ()
    """Tasks it is about."""
    repositories: tuple[str, ...] = ()
    urgency: Urgency = ""
    started_at: Time = ""
    deadline: Time = ""
    """When it has to be settled."""
    agent_id: str = ""
    request_id: str = ""
    """Repeated in each answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinationComplete(Payload):
    """A coordination session is over."""

    message_type: ClassVar[MessageType] = MessageType.COORDINATION_COMPLETE

    session_id: str = ""
    consensus: bool | None = None
    """Whether the participants agree."""
    decision: str = ""
    """What was settled."""
    final_plan: tuple[str, ...] = ()
    """The steps that were settled."""
    summary: str = ""
    resolution: str = ""
    """How the question was resolved."""
    objections: tuple[str, ...] = ()
    """What some still hold against it."""
    participants: tuple[str, ...] = ()
    task_ids: Identifiers = ()
    duration_seconds: Seconds | None = None
    agent_id: str = ""
    request_id: str = ""
    """That of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyAlert(Payload):
    """A task was found to depend on others."""

    message_type: ClassVar[MessageType] = MessageType.DEPENDENCY_ALERT

    task_id: Identifier
    """The task that depends on the others."""
    depends_on: Identifiers = ()
    """The tasks it depends on."""
    dependency_type: str = ""
    """A word: `api_contract`, `database_schema`, `configuration`, `security`."""
    relationship: str = ""
    """How they depend on each other."""
    reason: str = ""
    """Why one thinks so."""
    blocking: bool | None = None
    """Whether the task cannot go on without them."""
    severity: Severity = ""
    confidence: Share | None = None
    repositories: tuple[str, ...] = ()
    agents_involved: tuple[str, ...] = ()
    """Who should talk to each other, by agent id."""
    suggested_action: str = ""
    detected_at: Time = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationTrigger(Payload):
    """A person has to decide."""

    message_type: ClassVar[MessageType] = MessageType.ESCALATION_TRIGGER

    reason: str
    """Why agents cannot go on by themselves."""
    severity: Severity = ""
    summary: str = ""
    """What happened so far, for someone who comes new to it."""
    options: tuple[str, ...] = ()
    """What there is to choose from."""
    suggested_action: str = ""
    """What the agents would do."""
    default_action: str = ""
    """What they will do when nobody decides in time."""
    respond_by: Time = ""
    """By when a decision is needed."""
    task_id: Identifier = ""
    issue_id: Identifier = ""
    project_id: Identifier = ""
    session_id: str = ""
    participants: tuple[str, ...] = ()
    """Who is concerned, by agent id."""
    requires_human: bool | None = None
    """False when another agent may decide as well."""
    escalated_by: str = ""
    context: Anything = None
    """What else is needed to decide: text, or an object."""
    request_id: str = ""
    """Repeated in the decision."""
