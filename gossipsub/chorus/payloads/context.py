"""Payloads of the context topic: context asked for, given, used and judged (for the RL curator)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads.kinds import (
    Count,
    Identifier,
    Number,
    Object,
    Objects,
    Seconds,
    Share,
    Time,
)
from gossipsub.chorus.payloads.schema import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackEvent(Payload):
    """How well some context served."""

    message_type: ClassVar[MessageType] = MessageType.FEEDBACK_EVENT

    context_path: str = ""
    """Which context, by its place."""
    content_hash: str = ""
    """Which version of it: `sha256:…`."""
    relevance_score: Share | None = None
    usage_count: Count | None = None
    """How often it was used."""
    reward: Number | None = None
    """The signal to learn from; below 0 where it did harm."""
    feedback_type: str = ""
    """A word: `helpful`, `outdated`, `wrong`, `missing`."""
    outcome: str = ""
    """What came of the work it was used for."""
    comment: str = ""
    query: str = ""
    """What it was asked for with."""
    task_id: Identifier = ""
    agent_id: str = ""
    request_id: str = ""
    """That of the ContextRequest it came with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRequest(Payload):
    """An agent asks for context, by what it wants to know or by place."""

    message_type: ClassVar[MessageType] = MessageType.CONTEXT_REQUEST

    query: str = ""
    """What it wants to know."""
    context_path: str = ""
    """Where it is."""
    scope: str = ""
    """Where to look, such as a folder or project."""
    purpose: str = ""
    """What it is for."""
    max_results: Count | None = None
    max_bytes: Count | None = None
    """How much content to send at most."""
    min_relevance: Share | None = None
    """What scores lower is not wanted."""
    filters: Object | None = None
    """Further conditions, by name."""
    deadline: Time = ""
    """After when an answer comes too late."""
    task_id: Identifier = ""
    agent_id: str = ""
    request_id: str = ""
    """Repeated in each answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextResponse(Payload):
    """Context, or where it is: one piece in the fields here, or several in `results`."""

    message_type: ClassVar[MessageType] = MessageType.CONTEXT_RESPONSE

    context_path: str = ""
    content: str = ""
    """The context itself; large ones stay away, with their hash here."""
    content_hash: str = ""
    """Of all of it: `sha256:…`."""
    content_type: str = ""
    """Such as `text/markdown`."""
    size_bytes: Count | None = None
    """Of all of it."""
    truncated: bool | None = None
    """Whether `content` is only the beginning."""
    relevance_score: Share | None = None
    results: Objects = ()
    """Several, each an object with fields as these."""
    found: bool | None = None
    """False from who looked and has nothing."""
    error: str = ""
    """Why there is no answer."""
    query: str = ""
    agent_id: str = ""
    request_id: str = ""
    """That of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextUsage(Payload):
    """Some context was used."""

    message_type: ClassVar[MessageType] = MessageType.CONTEXT_USAGE

    context_path: str
    usage_count: Count | None = None
    """How often, since it was last told."""
    query: str = ""
    """What it was found with."""
    purpose: str = ""
    """What it was used for."""
    helpful: bool | None = None
    content_hash: str = ""
    """Which version of it: `sha256:…`."""
    used_at: Time = ""
    duration_seconds: Seconds | None = None
    task_id: Identifier = ""
    agent_id: str = ""
    """Who used it; the sender when empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRelevance(Payload):
    """How relevant some context is to a query."""

    message_type: ClassVar[MessageType] = MessageType.CONTEXT_RELEVANCE

    context_path: str
    relevance_score: Share
    query: str = ""
    reason: str = ""
    """Why one thinks so."""
    confidence: Share | None = None
    """How sure one is of the score."""
    content_hash: str = ""
    """Which version of it: `sha256:…`."""
    task_id: Identifier = ""
    agent_id: str = ""
    request_id: str = ""
    """That of the ContextRequest it came with."""
