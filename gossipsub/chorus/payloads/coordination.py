"""Payloads of the coordination topic: tasks, and who can and may take them (Bzzz)."""

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
)
from gossipsub.chorus.payloads.schema import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAnnouncement(Payload):
    """A task is there to be claimed."""

    message_type: ClassVar[MessageType] = MessageType.TASK_ANNOUNCEMENT

    task_id: Identifier
    """Names the task in all messages about it."""
    title: str = ""
    description: str = ""
    """What is to be done."""
    task_type: str = ""
    """A word that agents choose by: `bug`, `review`, `deployment`."""
    capabilities: tuple[str, ...] = ()
    """What an agent must be able to do to take it; all of them."""
    priority: Priority = ""
    input: Anything = None
    """What the one who does it needs, in a form that programs read."""
    attempt: Count | None = None
    """Which attempt at the task is to be claimed, counted from 1."""
    failures: Count | None = None
    """How many attempts have failed."""
    project_id: Identifier = ""
    parent_task_id: Identifier = ""
    """The task that this is a part of."""
    depends_on: Identifiers = ()
    """Tasks that must be complete before."""
    deadline: Time = ""
    """When the result is of no more use."""
    estimated_seconds: Seconds | None = None
    """How long it is thought to take."""
    max_attempts: Count | None = None
    """How often it is given to an agent before it counts as failed."""
    announced_by: str = ""
    announced_at: Time = ""
    url: str = ""
    """Where people read about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskClaim(Payload):
    """An agent asks for a task."""

    message_type: ClassVar[MessageType] = MessageType.TASK_CLAIM

    task_id: Identifier
    agent_id: str = ""
    """Who claims it; the sender when empty."""
    capabilities: tuple[str, ...] = ()
    """What the agent can do of what is needed."""
    confidence: Share | None = None
    """How sure it is of doing it well."""
    current_tasks: Count | None = None
    """How many tasks it has already."""
    estimated_seconds: Seconds | None = None
    announcer: str = ""
    """Whose task it is, by agent id, where ids of tasks may be the same."""
    attempt: Count | None = None
    """That of the announcement."""
    claimed_at: Time = ""
    task_title: str = ""
    task_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProgress(Payload):
    """How far a task is."""

    message_type: ClassVar[MessageType] = MessageType.TASK_PROGRESS

    task_id: Identifier
    progress: Share | None = None
    """How much of it is done."""
    status: str = ""
    """A word: `started`, `deploying`, `done`, `failed`."""
    message: str = ""
    """The same for people."""
    agent_id: str = ""
    """Who does it; the sender when empty."""
    announcer: str = ""
    """Whose task it is, by agent id, where ids of tasks may be the same."""
    attempt: Count | None = None
    """That of the allocation."""
    result: Anything = None
    """A word such as `success` or `failed`, or the result itself, once there is one."""
    output: Anything = None
    """What came out: text, or an object."""
    error: str = ""
    """Why it failed."""
    blockers: tuple[str, ...] = ()
    """What holds it up."""
    started_at: Time = ""
    expected_at: Time = ""
    """When it should be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskComplete(Payload):
    """A task is over, well or not."""

    message_type: ClassVar[MessageType] = MessageType.TASK_COMPLETE

    task_id: Identifier
    result: Anything = None
    """A word such as `success` or `failed`, or the result itself."""
    output: Anything = None
    """What came out: text, or an object."""
    status: str = ""
    error: str = ""
    """Why it failed."""
    agent_id: str = ""
    """Who did it; the sender when empty."""
    attempt: Count | None = None
    """That of the allocation it was done in."""
    deliverables: tuple[str, ...] = ()
    """What there is now, by name or place."""
    duration_seconds: Seconds | None = None
    completed_at: Time = ""
    url: str = ""
    """Where the result is to be seen, such as a pull request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityBroadcast(Payload):
    """What an agent can do; sent when that changes."""

    message_type: ClassVar[MessageType] = MessageType.CAPABILITY_BROADCAST

    capabilities: tuple[str, ...] = ()
    """All of them; they replace what was said before."""
    agent_id: str = ""
    """Whose; the sender's when empty."""
    name: str = ""
    """What people call the agent."""
    node_id: str = ""
    node_type: str = ""
    roles: tuple[str, ...] = ()
    expertise: tuple[str, ...] = ()
    specialization: str = ""
    models: tuple[str, ...] = ()
    """Language models it has at hand."""
    tools: tuple[str, ...] = ()
    """Programs and services it can use."""
    max_tasks: Count | None = None
    """How many tasks it takes at once."""
    resources: Object | None = None
    """What its machine offers, such as `{"memory_bytes": 68719476736, "gpus": 1}`."""
    version: str = ""
    """Of the agent's program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailabilityBroadcast(Payload):
    """Whether an agent takes work; its heartbeat, every 30 seconds."""

    message_type: ClassVar[MessageType] = MessageType.AVAILABILITY_BROADCAST

    status: str = ""
    """A word: `ready`, `working`, `busy`, `offline`."""
    available_for_work: bool | None = None
    current_tasks: Count | None = None
    max_tasks: Count | None = None
    """How many tasks it takes at once."""
    load: Share | None = None
    """How busy its machine is."""
    agent_id: str = ""
    """Whose; the sender's when empty."""
    name: str = ""
    """What people call the agent."""
    node_id: str = ""
    roles: tuple[str, ...] = ()
    expertise: tuple[str, ...] = ()
    last_activity: Time = ""
    """When it last did something."""
    interval_seconds: Seconds | None = None
    """When to expect the next heartbeat."""
