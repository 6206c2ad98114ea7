"""Payloads of the events that HMMM makes for SLURP, and of what SLURP says back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads.kinds import Identifier, Object, Share, Time
from gossipsub.chorus.payloads.schema import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurpEventGenerated(Payload):
    """A discussion came to an event."""

    message_type: ClassVar[MessageType] = MessageType.SLURP_EVENT_GENERATED

    event_id: str
    """Names the event in all messages about it."""
    event_type: str = ""
    """A word: `deployment`, `decision`, `approval`."""
    discussion_id: Identifier = ""
    """The discussion it came from."""
    consensus: bool | None = None
    """Whether those who took part agree."""
    confidence: Share | None = None
    """How strongly."""
    summary: str = ""
    """What was settled."""
    event: Object | None = None
    """The event in a form that programs read."""
    participants: tuple[str, ...] = ()
    """Who took part, by agent id."""
    issue_id: Identifier = ""
    project_id: Identifier = ""
    context_path: str = ""
    """The context it concerns."""
    generated_at: Time = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurpEventAck(Payload):
    """An event was received, and what became of it."""

    message_type: ClassVar[MessageType] = MessageType.SLURP_EVENT_ACK

    event_id: str
    status: str = ""
    """A word: `received`, `processed`, `rejected`."""
    reason: str = ""
    """Why it was rejected."""
    agent_id: str = ""
    """Who received it; the sender when empty."""
    received_at: Time = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurpContextUpdate(Payload):
    """Some context has changed."""

    message_type: ClassVar[MessageType] = MessageType.SLURP_CONTEXT_UPDATE

    context_path: str = ""
    """Which context, by its place."""
    event_id: str = ""
    """The event it changed by."""
    update_type: str = ""
    """A word: `created`, `changed`, `removed`."""
    content: str = ""
    """The context itself; large ones stay away, with their hash here."""
    content_hash: str = ""
    """Of all of it: `sha256:…`."""
    version: Identifier = ""
    summary: str = ""
    """What has changed."""
    changes: Object | None = None
    """The same in a form that programs read."""
    project_id: Identifier = ""
    agent_id: str = ""
    updated_at: Time = ""
