"""Payloads of collaboration by role: in the meta-discussion topic, those of roles, of projects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads.kinds import (
    Anything,
    Count,
    Identifier,
    Identifiers,
    Object,
    Priority,
    Seconds,
    Share,
    Time,
    Urgency,
)
from gossipsub.chorus.payloads.schema import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAnnouncement(Payload):
    """The role of an agent; sent when it starts."""

    message_type: ClassVar[MessageType] = MessageType.ROLE_ANNOUNCEMENT

    role: str = ""
    """The first of its roles."""
    roles: tuple[str, ...] = ()
    """All of them, if there are more."""
    expertise: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    reports_to: tuple[str, ...] = ()
    """Roles of its supervisors."""
    agent_id: str = ""
    """Whose; the sender's when empty."""
    name: str = ""
    """What people call the agent."""
    description: str = ""
    status: str = ""
    max_tasks: Count | None = None
    """How many tasks it takes at once."""
    version: str = ""
    """Of the agent's program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertiseRequest(Payload):
    """A question to those who know; which fields, the envelope's `required_expertise` says."""

    message_type: ClassVar[MessageType] = MessageType.EXPERTISE_REQUEST

    question: str
    context: Anything = None
    """What one must know to answer: text, or an object."""
    expertise: tuple[str, ...] = ()
    """Fields of knowledge, where the envelope does not name them."""
    urgency: Urgency = ""
    deadline: Time = ""
    """After when an answer comes too late."""
    max_answers: Count | None = None
    """How many answers are enough."""
    task_id: Identifier = ""
    project_id: Identifier = ""
    agent_id: str = ""
    request_id: str = ""
    """Repeated in each answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertiseResponse(Payload):
    """An answer to an ExpertiseRequest."""

    message_type: ClassVar[MessageType] = MessageType.EXPERTISE_RESPONSE

    answer: str = ""
    resources: tuple[str, ...] = ()
    """Where more is to be found."""
    can_help: bool | None = None
    """False from who was asked and does not know."""
    confidence: Share | None = None
    """How sure the one who answers is."""
    expertise: tuple[str, ...] = ()
    """What the answer rests on."""
    alternatives: tuple[str, ...] = ()
    """Other answers that might do."""
    task_id: Identifier = ""
    agent_id: str = ""
    request_id: str = ""
    """That of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate(Payload):
    """What an agent is at."""

    message_type: ClassVar[MessageType] = MessageType.STATUS_UPDATE

    status: str
    """A word: `in_progress`, `blocked`, `idle`."""
    completion: Share | None = None
    """How much is done."""
    message: str = ""
    """The same for people."""
    agent_id: str = ""
    """Whose; the sender's when empty."""
    task_ids: Identifiers = ()
    """What it works on."""
    project_id: Identifier = ""
    blockers: tuple[str, ...] = ()
    """What holds it up."""
    next_steps: tuple[str, ...] = ()
    metrics: Object | None = None
    """Figures of its work, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkAllocation(Payload):
    """A task is given to an agent, or to the holders of a role."""

    message_type: ClassVar[MessageType] = MessageType.WORK_ALLOCATION

    task_id: Identifier
    agent_id: str = ""
    """Who gets it; when empty, the roles the envelope is for."""
    attempt: Count | None = None
    """How many times it was allocated with this; results of earlier attempts count no more."""
    failures: Count | None = None
    """How many attempts have failed."""
    lease_seconds: Seconds | None = None
    """How long it is the agent's without a word of progress."""
    description: str = ""
    """What is to be done."""
    input: Anything = None
    """What the one who does it needs, in a form that programs read."""
    priority: Priority = ""
    deadline: Time = ""
    """When the result is of no more use."""
    estimated_seconds: Seconds | None = None
    depends_on: Identifiers = ()
    """Tasks that must be complete before."""
    project_id: Identifier = ""
    allocated_by: str = ""
    request_id: str = ""
    """Repeated by the one who accepts or refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCollaboration(Payload):
    """Roles work together on something."""

    message_type: ClassVar[MessageType] = MessageType.ROLE_COLLABORATION

    message: str = ""
    """What is said."""
    subject: str = ""
    """What it is about."""
    goal: str = ""
    """What should come of it."""
    action: str = ""
    """A word: `propose`, `accept`, `hand_over`, `review`."""
    roles: tuple[str, ...] = ()
    """Who works together."""
    task_ids: Identifiers = ()
    project_id: Identifier = ""
    artifacts: tuple[str, ...] = ()
    """What it is worked on, by place or hash."""
    deadline: Time = ""
    agent_id: str = ""
    request_id: str = ""
    """Repeated in each answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MentorshipRequest(Payload):
    """A junior agent wants to learn."""

    message_type: ClassVar[MessageType] = MessageType.MENTORSHIP_REQUEST

    topic: str
    """What it wants to learn."""
    question: str = ""
    """What it wants to know first."""
    goals: tuple[str, ...] = ()
    """What it wants to be able to do."""
    level: str = ""
    """What it knows already: `beginner`, `intermediate`, `advanced`."""
    context: Anything = None
    """What the mentor should know: text, or an object."""
    urgency: Urgency = ""
    deadline: Time = ""
    task_id: Identifier = ""
    agent_id: str = ""
    request_id: str = ""
    """Repeated in each answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MentorshipResponse(Payload):
    """A senior agent teaches, or offers to."""

    message_type: ClassVar[MessageType] = MessageType.MENTORSHIP_RESPONSE

    guidance: str = ""
    """What is taught."""
    accepted: bool | None = None
    """Whether the mentor takes it on."""
    message: str = ""
    steps: tuple[str, ...] = ()
    """What to do, one after the other."""
    resources: tuple[str, ...] = ()
    """Where more is to be found."""
    available_from: Time = ""
    """When the mentor has time."""
    agent_id: str = ""
    request_id: str = ""
    """That of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectUpdate(Payload):
    """How a project stands."""

    message_type: ClassVar[MessageType] = MessageType.PROJECT_UPDATE

    project_id: Identifier
    phase: str = ""
    """A word: `design`, `testing`, `deployment`."""
    completion: Share | None = None
    """How much is done."""
    status: str = ""
    summary: str = ""
    """The same for people."""
    blockers: tuple[str, ...] = ()
    """What holds it up."""
    milestones: tuple[str, ...] = ()
    """What was reached."""
    next_steps: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    deadline: Time = ""
    metrics: Object | None = None
    """Figures of the project, by name."""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverableReady(Payload):
    """A piece of work can be fetched."""

    message_type: ClassVar[MessageType] = MessageType.DELIVERABLE_READY

    deliverable: str
    """What it is."""
    location: str = ""
    """Where it is: a path, URL or content address."""
    content_hash: str = ""
    """Of its bytes, with the name of the function: `sha256:…`."""
    content_type: str = ""
    """Such as `text/markdown`."""
    size_bytes: Count | None = None
    version: str = ""
    description: str = ""
    task_id: Identifier = ""
    project_id: Identifier = ""
    agent_id: str = ""
    """Who made it; the sender when empty."""
    reviewers: tuple[str, ...] = ()
    """Roles that should look at it."""
    review_by: Time = ""
