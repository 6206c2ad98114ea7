"""What has happened since the start, in numbers, by topic. Nothing is decided by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

MAX_TOPICS = 1024
"""Topics counted apart, for good; those that come later are counted together."""
OTHER_TOPICS = ""
"""Stands for these: no topic has an empty name."""


@dataclass(slots=True)
class TopicCounts:
    """One topic's. Only topics joined or published to here have some: peers cannot add any."""

    published: int = 0
    """Own messages, each once."""
    accepted: int = 0
    """Messages of others that were new and valid."""
    delivered: int = 0
    """Messages handed to local subscribers, own ones included."""
    duplicates: int = 0
    undelivered: dict[str, int] = field(default_factory=dict)
    """Messages of others dropped for another reason than being duplicates, by reason."""
    grafts: int = 0
    """GRAFTs for peers."""
    prunes: dict[str, int] = field(default_factory=dict)
    """PRUNEs for peers, by reason."""
    mesh_left: dict[str, int] = field(default_factory=dict)
    """How often a peer left the mesh, by reason."""


class TopicCountTable(dict[str, TopicCounts]):
    """A topic's counts, made when they are asked for: `table[topic]`."""

    def __missing__(self, topic: str) -> TopicCounts:
        return self.setdefault(counted_as(topic, self), TopicCounts())

    def copy(self) -> dict[str, TopicCounts]:
        """Shared with nobody."""
        return {
            topic: replace(
                counts,
                undelivered=dict(counts.undelivered),
                prunes=dict(counts.prunes),
                mesh_left=dict(counts.mesh_left),
            )
            for topic, counts in self.items()
        }


@dataclass(frozen=True, slots=True)
class RouterCounts:
    """What a router has counted so far."""

    topics: dict[str, TopicCounts]
    """`OTHER_TOPICS` are those above `MAX_TOPICS`."""
    penalties: dict[str, int]
    """How often a peer lost score by what it did: by P3b, P4, P7, "slow peer"."""
    backoff_violations: int
    """GRAFTs that came during the backoff."""


def counted_as(topic: str, table: Mapping[str, object]) -> str:
    """The name under which a table counts a topic: its own, or that of those above the bound."""
    return topic if topic in table or len(table) < MAX_TOPICS else OTHER_TOPICS


def count(table: dict[str, int], reason: str, times: int = 1) -> None:
    """Once more, or so many times."""
    table[reason] = table.get(reason, 0) + times
