"""What has happened in CHORUS on one node, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gossipsub.chorus.errors import RefusalReason


@dataclass(slots=True)
class Counters:
    """Running totals of one topic."""

    published: int = 0
    own: int = 0
    handled: int = 0
    unhandled: int = 0
    handler_errors: int = 0


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


@dataclass(frozen=True, slots=True)
class ChorusStatistics:
    topics: Mapping[str, TopicStatistics]
    refused: Mapping[RefusalReason, int]
    """Messages of others that were refused; the newest of them are in `dead_letters()`."""
