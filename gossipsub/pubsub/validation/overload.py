"""What validation could not do: counted by topic, and told as it begins and as it ends."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from gossipsub.pubsub.inbox import Inbox
from gossipsub.router.counts import count, counted_as
from gossipsub.timers import Timers

logger = logging.getLogger("gossipsub.validation")

QUIET = 5.0
"""Seconds without a sign of it after which an overload is over."""
SUSTAINED = 1.0
"""Seconds for which peers must wait again and again until that alone is an overload: a burst is
none."""
STREAK_GAP = 0.25
"""Seconds between two waits that still belong together."""
WARNING_PAUSE = 60.0
"""Seconds between two warnings: peers can cause overloads, and must not fill the log."""


@dataclass(slots=True)
class ValidationCounts:
    """One topic's totals since the host was opened, as `ValidationStatistics` tells them."""

    queue_full: int = 0
    throttled: int = 0
    timeouts: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class ValidationStatistics:
    """Validation in one topic: what waits now, and totals since the host was opened."""

    waiting: int
    """Messages waiting for their signature check."""
    queue_full: int
    """Messages that found no place in the queue, or lost it to a topic or peer with fewer."""
    throttled: int
    """Messages for which too many asynchronous validators ran already."""
    timeouts: int
    """Calls of validators that gave no verdict in time."""
    failures: int
    """Calls of validators that raised an exception or returned no verdict."""


@dataclass(frozen=True, slots=True)
class OverloadEvent:
    """Validation does not keep up with what peers send, or does again."""

    is_over: bool
    seconds: float
    """How long it has lasted; 0 as it begins. The five quiet seconds after it do not count."""
    queue_full: int
    """Messages lost in it because the queue was full."""
    throttled: int
    """Messages lost in it because too many asynchronous validators ran."""
    waits: int
    """How often a peer's stream had to wait in it; nothing is lost by that."""
    lost_by_topic: Mapping[str, int]
    """The lost messages by topic; under "" those in topics beyond 1,024."""


class OverloadEvents(Inbox[OverloadEvent]):
    """`async with host.overload_events() as events: async for event in events: …`"""


@dataclass(slots=True)
class _Episode:
    began: float
    is_warned: bool
    queue_full: int = 0
    throttled: int = 0
    waits: int = 0
    lost_by_topic: dict[str, int] = field(default_factory=dict)

    def event(self, until: float, *, is_over: bool) -> OverloadEvent:
        return OverloadEvent(
            is_over=is_over,
            seconds=until - self.began,
            queue_full=self.queue_full,
            throttled=self.throttled,
            waits=self.waits,
            lost_by_topic=dict(self.lost_by_topic),
        )


class Overload:
    """Hears of every loss and every wait.

    An overload begins with the first lost message, or when streams have had to wait again and
    again for a second; it is over five seconds after the last of it.
    """

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._counts: dict[str, ValidationCounts] = {}
        self._episode: _Episode | None = None
        self._last_sign = -math.inf
        self._waits_since = -math.inf
        self._last_wait = -math.inf
        self._last_warning = -math.inf
        self._readers: dict[OverloadEvents, None] = {}

    def reader(self, buffer: int) -> OverloadEvents:
        return OverloadEvents(buffer=buffer, opened=self._opened, closed=self._closed)

    def counts(self, topic: str) -> ValidationCounts:
        """A topic's, to be counted up."""
        counts = self._counts.get(topic)
        if counts is None:
            # As the router counts: apart for the first topics, then together, so that a host that
            # joins ever new ones does not keep them all.
            name = counted_as(topic, self._counts)
            counts = self._counts.setdefault(name, ValidationCounts())
        return counts

    def totals(self) -> ValidationCounts:
        """Of all topics together."""
        each = self._counts.values()
        return ValidationCounts(
            queue_full=sum(counts.queue_full for counts in each),
            throttled=sum(counts.throttled for counts in each),
            timeouts=sum(counts.timeouts for counts in each),
            failures=sum(counts.failures for counts in each),
        )

    def by_topic(self, waiting: Mapping[str, int]) -> dict[str, ValidationStatistics]:
        """The topics in which messages wait (`waiting`), or something was lost or failed; under
        `OTHER_TOPICS` those in which that was after `MAX_TOPICS` others."""
        none = ValidationCounts()
        statistics = {}
        for topic in {**self._counts, **waiting}:
            counts = self._counts.get(topic, none)
            statistics[topic] = ValidationStatistics(
                waiting=waiting.get(topic, 0),
                queue_full=counts.queue_full,
                throttled=counts.throttled,
                timeouts=counts.timeouts,
                failures=counts.failures,
            )
        return statistics

    def queue_full(self, topic: str) -> None:
        """A message is lost: there was no place for it."""
        self.counts(topic).queue_full += 1
        episode = self._sign(topic)
        episode.queue_full += 1

    def throttled(self, topic: str) -> None:
        """A message is lost: too many asynchronous validators ran."""
        self.counts(topic).throttled += 1
        episode = self._sign(topic)
        episode.throttled += 1

    def waited(self) -> None:
        """A peer's stream must wait."""
        now = self._timers.now()
        if now - self._last_wait > STREAK_GAP:
            self._waits_since = now
        self._last_wait = now
        if now - self._waits_since >= SUSTAINED:
            self._sign().waits += 1

    def end(self) -> None:
        """The host stops."""
        for reader in self._readers:
            reader.end()
        self._readers.clear()

    def _sign(self, lost_in: str | None = None) -> _Episode:
        """It does not keep up: the episode this belongs to."""
        now = self._last_sign = self._timers.now()
        episode = self._episode or self._begin(now)
        if lost_in is not None:
            lost = episode.lost_by_topic
            count(lost, counted_as(lost_in, lost))
        return episode

    def _begin(self, now: float) -> _Episode:
        is_warned = now - self._last_warning >= WARNING_PAUSE
        if is_warned:
            self._last_warning = now
        episode = self._episode = _Episode(now, is_warned)
        self._log("validation does not keep up", episode, now)
        self._tell(episode.event(now, is_over=False))
        self._timers.at(now + QUIET, self._look_whether_over)
        return episode

    def _look_whether_over(self) -> None:
        episode = self._episode
        if episode is None:
            return
        if self._timers.now() - self._last_sign < QUIET:
            self._timers.at(self._last_sign + QUIET, self._look_whether_over)
            return
        self._episode = None
        self._log("validation keeps up again", episode, self._last_sign)
        self._tell(episode.event(self._last_sign, is_over=True))

    def _log(self, what: str, episode: _Episode, until: float) -> None:
        logger.log(
            logging.WARNING if episode.is_warned else logging.DEBUG,
            "%s seconds=%.1f queue_full=%d throttled=%d waits=%d topics=%d",
            what,
            until - episode.began,
            episode.queue_full,
            episode.throttled,
            episode.waits,
            len(episode.lost_by_topic),
        )

    def _tell(self, event: OverloadEvent) -> None:
        for reader in self._readers:
            reader.push(event)

    def _opened(self, reader: OverloadEvents) -> None:
        self._readers[reader] = None

    def _closed(self, reader: OverloadEvents) -> None:
        self._readers.pop(reader, None)
