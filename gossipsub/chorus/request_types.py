"""What answers what, and what happened to requests in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gossipsub.chorus.message_type import MessageType

RESPONSES: Mapping[str, MessageType] = MappingProxyType(
    {
        MessageType.TASK_HELP_REQUEST: MessageType.TASK_HELP_RESPONSE,
        MessageType.EXPERTISE_REQUEST: MessageType.EXPERTISE_RESPONSE,
        MessageType.MENTORSHIP_REQUEST: MessageType.MENTORSHIP_RESPONSE,
        MessageType.CONTEXT_REQUEST: MessageType.CONTEXT_RESPONSE,
        MessageType.COORDINATION_REQUEST: MessageType.COORDINATION_COMPLETE,
    }
)
"""The type that answers each type of requests."""


@dataclass(slots=True)
class RequestCounters:
    """Totals since `Requests` was opened. An answer is counted once, as the first that fits."""

    asked: int = 0
    """Requests of this agent."""
    resent: int = 0
    """Times they were sent again."""
    answers: int = 0
    """Answers that were taken."""
    late: int = 0
    """Answers to requests that were over."""
    not_asked: int = 0
    """Answers of agents other than those asked."""
    repeated: int = 0
    """Further answers of an agent to one request."""
    malformed: int = 0
    """Answers that are none by their type's schema."""
    left_out: int = 0
    """Answers more than wanted, or that found too many others waiting to be read."""
    served: int = 0
    """Answers this agent sent, repeated ones too."""
    failed: int = 0
    """Requests of others whose server failed, took too long, or gave what could not be sent."""
    not_served: int = 0
    """Requests of others that found too many waiting."""
