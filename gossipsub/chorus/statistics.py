"""What has happened in CHORUS on one node, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gossipsub.chorus.errors import RefusalReason
from gossipsub.crypto.peer_id import PeerId


@dataclass(slots=True)
class Counters:
    """Running totals of one topic."""

    published: int = 0
    own: int = 0
    handled: int = 0
    unhandled: int = 0
    handler_errors: int = 0
    not_for_us: int = 0
    bad_payloads: int = 0
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class TopicStatistics:
    """Totals of one topic since it was joined."""

    published: int
    own: int
    """Messages of this node that came back to it and were left out."""
    handled: int
    """Messages of others that a handler took without failing."""
    unhandled: int
    """Messages of others for which there was no handler."""
    handler_errors: int
    dropped: int
    """Messages lost because the handlers were too slow and the buffer full."""
    waiting: int
    """Messages in the buffer now."""
    not_for_us: int = 0
    """Messages of others that were for other roles or other expertise."""
    bad_payloads: int = 0
    """Messages of others that were taken although their payload is not what their type promises
    (`PayloadPolicy.WARN`)."""
    repeated: int = 0
    """Messages that this node had had already, another way or in an earlier life."""


@dataclass(frozen=True, slots=True)
class ChorusStatistics:
    topics: Mapping[str, TopicStatistics]
    """Of each topic that is joined now, and of those that were when it was closed."""
    refused: Mapping[RefusalReason, int]
    """Messages of others that were refused; the newest of them are in `dead_letters()`."""
    refused_by_agent: Mapping[PeerId, Mapping[RefusalReason, int]] = field(default_factory=dict)
    """The same by who signed them, for up to 1,024 agents: those with most."""
    log_failures: int = 0
    """Events the event log did not take."""
    redaction_failures: int = 0
    """Publications that were not sent because the redactor failed."""
