"""One peer under the real score function, in virtual time: what would its score be if it did this?

A trial is a list of steps, and is played again by playing the same steps on the same parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from gossipsub.router.score.params import PeerScoreParams
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.router.score.snapshot import PeerScoreSnapshot

PEER = b"peer"
MAX_REFRESHES = 20_000
"""Refreshes in one step; longer waits end there."""
MAX_TIMES = 20_000
"""Deliveries, or whatever else is counted, per topic in one step; more is cut to that."""


class Act(Enum):
    """What a peer can do, and what can happen to it."""

    GRAFT = "is grafted in"
    PRUNE = "leaves the mesh of"
    FIRST_DELIVERY = "is first to deliver a message"
    COPY = "delivers a copy in time"
    INVALID = "delivers an invalid message"
    MISBEHAVE = "breaks a rule"
    LAG = "has no room for a message"
    WAIT = "refreshes pass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing done in each of these topics; MISBEHAVE, LAG and WAIT need none."""

    act: Act
    topics: tuple[str, ...] = ()
    times: int = 1
    """How often, in each topic; for WAIT, how many refreshes pass."""
    between: tuple[Step, ...] = ()
    """For WAIT: what the peer does before each refresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A step, and how the peer stood after it."""

    step: Step
    at: float
    """Seconds since the peer connected."""
    score: float


class Trial:
    """A peer that just connected, at time 0 or `start`, from an address of its own.

    The application's part of the score (P5) is left out: it may depend on who the peer is.
    """

    def __init__(
        self,
        params: PeerScoreParams,
        *,
        start: float = 0.0,
        peer: bytes = PEER,
        neighbours: int = 0,
    ) -> None:
        """`neighbours`: so many other peers have the same address (P6)."""
        params = replace(params, app_specific_score=None, app_specific_weight=0.0)
        self._params = params
        self._start = self._now = start
        self._refreshes = 0
        self._peer = peer
        self._scores = PeerScores(params, max_retained=1, now=start)
        self._scores.add_peer(peer, ("192.0.2.1",))
        for number in range(neighbours):
            self._scores.add_peer(b"neighbour %d" % number, ("192.0.2.1",))
        self.played: list[Played] = []

    @property
    def now(self) -> float:
        """Seconds since the peer connected."""
        return self._now - self._start

    @property
    def score(self) -> float:
        return self._scores.score(self._peer)

    def snapshot(self) -> PeerScoreSnapshot:
        return self._scores.snapshots()[self._peer]

    def topic_score(self, topic: str) -> float:
        """What the topic contributes; 0 where nothing happened in it."""
        entry = self.snapshot().topics.get(topic)
        return 0.0 if entry is None else entry.score

    def play(self, steps: Iterable[Step]) -> Trial:
        for step in steps:
            if step.act is Act.WAIT:
                self._wait(step)
            else:
                self._perform(step)
            self.played.append(Played(step=step, at=self.now, score=self.score))
        return self

    def _perform(self, step: Step) -> None:
        scores, peer = self._scores, self._peer
        times = min(step.times, MAX_TIMES)
        if step.act is Act.MISBEHAVE:
            scores.penalise(peer, times, "misdeed")
        elif step.act is Act.LAG:
            scores.send_lost(peer, times)
        for topic in step.topics:
            match step.act:
                case Act.GRAFT:
                    scores.graft(peer, topic, self._now)
                case Act.PRUNE:
                    scores.prune(peer, topic)
                case Act.FIRST_DELIVERY:
                    for _ in range(times):
                        scores.first_delivery(peer, topic)
                case Act.COPY:
                    for _ in range(times):
                        scores.mesh_delivery(peer, topic)
                case Act.INVALID:
                    for _ in range(times):
                        scores.invalid_delivery(peer, topic)

    def _wait(self, step: Step) -> None:
        for _ in range(min(step.times, MAX_REFRESHES)):
            for done in step.between:
                self._perform(done)
            self._refreshes += 1
            self._now = self._start + self._refreshes * self._params.decay_interval
            self._scores.refresh_if_due(self._now)
