"""Trimming: which connections are closed to make room for others, and when.

After the habits of go's connection manager: there may be `trim_above` connections; with more,
those worth least are closed until `trim_to` are left, at most every `TRIM_PAUSE` seconds. Who has
not been here for `trim_grace` seconds is neither closed nor counted, so that a crowd of newcomers
pushes nobody out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gossipsub.config import HostConfig

if TYPE_CHECKING:
    from gossipsub.timers import Timer, Timers
    from gossipsub.transport.connection import Connection

logger = logging.getLogger("gossipsub.connections")

TRIM_PAUSE = 10.0
"""Seconds between two trims, as in go."""
FULL_PAUSE = 1.0
"""The same while newcomers are refused: each trim looks at all peers, so not at every one's."""
REST = 300.0
"""Seconds in which a trimmed peer is not dialled unless the application asks for it."""
MAX_RESTING = 1024
"""Trimmed peers remembered; above, the oldest are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a peer is worth to pubsub."""

    in_mesh: bool = False
    """Of any topic."""
    shares_topics: bool = False
    """It is subscribed to one that is joined here."""
    score: float = 0.0
    deliveries: int = 0
    """Points for messages it was among the first to bring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A connected peer, looked at for trimming."""

    peer: bytes
    connections: int
    age: float
    """Seconds since the oldest of them was opened."""
    outbound: bool
    """One of them was dialled by us."""
    is_spared: bool
    """Protected, direct, or in a mesh."""
    standing: Standing


def worth(candidate: Candidate) -> tuple[float, bool, float, int, bool, float, bytes]:
    """What trimming sorts by, those that go first first: a score below zero, no topic in common,
    a low score, few deliveries, not dialled by us, the shortest time here. Outbound connections
    count more because an attacker cannot make them, and time because it cannot hurry it."""
    standing = candidate.standing
    return (
        min(standing.score, 0.0),
        standing.shares_topics,
        standing.score,
        standing.deliveries,
        candidate.outbound,
        candidate.age,
        candidate.peer,
    )


def choose(candidates: Iterable[Candidate], *, keep: int, grace: float) -> list[bytes]:
    """The peers to close so that `keep` connections are left of those past `grace`, or as few
    more as the spared ones need."""
    settled = [each for each in candidates if each.age >= grace]
    surplus = sum(each.connections for each in settled) - keep
    chosen = []
    for candidate in sorted((each for each in settled if not each.is_spared), key=worth):
        if surplus <= 0:
            break
        chosen.append(candidate.peer)
        surplus -= candidate.connections
    return chosen


class Trimming:
    """Counts the connections, closes some of them, and remembers whose they were."""

    def __init__(
        self,
        connections: Mapping[bytes, list[Connection]],
        *,
        config: HostConfig,
        timers: Timers,
        is_spared: Callable[[bytes], bool],
        standings: Callable[[Iterable[bytes]], Mapping[bytes, Standing]],
    ) -> None:
        self.open = 0
        """Connections, without those that were trimmed and say goodbye."""
        self.trimmed = 0
        """Connections closed to make room, ever."""
        self._connections = connections
        self._above, self._to = config.trim_marks()
        self._grace = config.trim_grace
        self._timers = timers
        self._is_spared = is_spared
        self._standings = standings
        self._leaving: dict[Connection, None] = {}
        self._resting: dict[bytes, float] = {}
        self._next: Timer | None = None
        self._not_before = 0.0

    def opened(self) -> None:
        self.open += 1
        if self.open > self._above and self._next is None:
            self._next = self._timers.at(max(self._not_before, self._timers.now()), self._trim_due)

    def closed(self, connection: Connection) -> None:
        if connection in self._leaving:
            del self._leaving[connection]
        else:
            self.open -= 1

    def is_resting(self, peer: bytes) -> bool:
        """It was trimmed a short while ago."""
        return self._resting.get(peer, 0.0) > self._timers.now()

    def trim_when_full(self) -> None:
        """Somebody finds no room: trim now, unless the last trim was a moment ago."""
        if self._timers.now() >= self._not_before - TRIM_PAUSE + FULL_PAUSE:
            self._trim()

    def _trim(self) -> None:
        self._not_before = self._timers.now() + TRIM_PAUSE
        for peer in choose(self._candidates(), keep=self._to, grace=self._grace):
            self._close(peer)

    def make_room(self, peer: bytes) -> bool:
        """Close the peer that is worth least, one that has just come if need be, to let in one
        that must be let in; False where all others are spared."""
        others = [each for each in self._candidates() if each.peer != peer and not each.is_spared]
        if not others:
            return False
        self._close(min(others, key=lambda each: (each.age < self._grace, worth(each))).peer)
        return True

    def _trim_due(self) -> None:
        self._next = None
        if self.open > self._above:
            self._trim()
        if self.open > self._above:  # many are spared, or have just come
            self._next = self._timers.at(self._not_before, self._trim_due)

    def _candidates(self) -> list[Candidate]:
        now = self._timers.now()
        standings = self._standings(self._connections)
        found = []
        for peer, connections in self._connections.items():
            staying = [each for each in connections if each not in self._leaving]
            if staying:
                standing = standings[peer]
                found.append(
                    Candidate(
                        peer=peer,
                        connections=len(staying),
                        age=now - min(each.opened_at for each in staying),
                        outbound=any(each.outbound for each in staying),
                        is_spared=standing.in_mesh or self._is_spared(peer),
                        standing=standing,
                    )
                )
        return found

    def _close(self, peer: bytes) -> None:
        now = self._timers.now()
        self._resting.pop(peer, None)
        self._resting[peer] = now + REST
        while len(self._resting) > MAX_RESTING or next(iter(self._resting.values())) <= now:
            del self._resting[next(iter(self._resting))]
        for connection in self._connections[peer]:
            if connection not in self._leaving:
                self._leaving[connection] = None
                self.open -= 1
                self.trimmed += 1
                logger.debug("trimmed peer=%s", connection.peer.short())
                connection.close("closed to make room")
