"""Why a peer's score is what it is: its components, and what each misdeed cost."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

MAX_EVENTS = 64
"""Events remembered per peer; the oldest go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePart:
    """One component of a score: `value` is `counter` times `weight`."""

    component: str
    """P1 to P7, P3b, or "slow peer"."""
    topic: str | None
    counter: float
    """As it enters the sum: above its threshold, squared where the component is."""
    weight: float
    """Of P1 to P4 with the topic's weight."""

    @property
    def value(self) -> float:
        return self.counter * self.weight


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreEvent:
    """Something a peer did that cost it score, or the same several times within one decay
    interval."""

    at: float
    """The router's time of the decay before it, in seconds."""
    component: str
    topic: str | None
    reason: str
    count: int
    cost: float
    """What it took from the score when it happened, before any cap on all topics; 0 or less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreExplanation:
    """A score, the components that add up to it, and the events that cost most recently."""

    score: float
    parts: tuple[ScorePart, ...]
    """Those that are not 0."""
    cut_by_topic_cap: float
    """What `topic_score_cap` took away; 0 or less."""
    events: tuple[ScoreEvent, ...]
    """At most `MAX_EVENTS`, oldest first. What they cost decays in the meantime."""

    def __str__(self) -> str:
        lines = [f"score {self.score:+.2f}"]
        for part in self.parts:
            where = "" if part.topic is None else f" in {part.topic}"
            numbers = f"{part.counter:g} x {part.weight:g}"
            lines.append(f"  {part.value:+.2f}  {part.component}{where}: {numbers}")
        if self.cut_by_topic_cap:
            lines.append(f"  {self.cut_by_topic_cap:+.2f}  cap on all topics")
        for event in self.events:
            where = "" if event.topic is None else f" in {event.topic}"
            times = "" if event.count == 1 else f", {event.count} times"
            reason = f"{event.component}{where}: {event.reason}{times}"
            lines.append(f"  at {event.at:.1f} s {event.cost:+.2f}  {reason}")
        return "\n".join(lines)


class ScoreEvents:
    """The last events of one peer. Equal ones within one decay interval are one."""

    def __init__(self) -> None:
        self._events: deque[ScoreEvent] = deque(maxlen=MAX_EVENTS)

    def note(
        self, at: float, component: str, topic: str | None, reason: str, count: int, cost: float
    ) -> None:
        for index in range(len(self._events) - 1, -1, -1):
            known = self._events[index]
            if known.at != at:
                break
            if (known.component, known.topic, known.reason) == (component, topic, reason):
                self._events[index] = replace(
                    known, count=known.count + count, cost=known.cost + cost
                )
                return
        self._events.append(
            ScoreEvent(
                at=at, component=component, topic=topic, reason=reason, count=count, cost=cost
            )
        )

    def all(self) -> tuple[ScoreEvent, ...]:
        return tuple(self._events)
