"""The books of a network under chaos: who lived when, what was published, what arrived where.

Times are seconds on any one clock. Nothing here knows of processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from gossipsub.benchmarks.measurement import percentiles


@dataclass(slots=True, eq=False)
class Life:
    """One process of a node, from when it was subscribed until its end."""

    node: int
    began: float
    is_restart: bool = False
    ended: float = math.inf
    arrived: dict[int, float] = field(default_factory=dict)
    """When a message first came, by its number."""
    repeated: int = 0
    """Deliveries of messages that had been delivered before."""


@dataclass(frozen=True, slots=True, eq=False)
class Publication:
    number: int
    at: float
    author: Life


class Ledger:
    """What was to arrive, and what did.

    A message is due at a node that had been up for `settle` seconds when it was published and that
    lived for `grace` seconds more; the same holds of its author. Messages of others count nowhere,
    arrived or not: what becomes of them depends on the moment.
    """

    def __init__(self, *, settle: float, grace: float) -> None:
        self._settle = settle
        self._grace = grace
        self.lives: list[Life] = []
        self.publications: list[Publication] = []
        self.disturbances: list[float] = []
        """When a process was killed or stopped, in order."""

    def begin(self, node: int, at: float) -> Life:
        is_restart = any(life.node == node for life in self.lives)
        life = Life(node, at, is_restart)
        self.lives.append(life)
        return life

    def publish(self, author: Life, at: float) -> Publication:
        publication = Publication(len(self.publications), at, author)
        self.publications.append(publication)
        return publication

    def arrive(self, life: Life, number: int, at: float) -> None:
        if number in life.arrived:
            life.repeated += 1
        else:
            life.arrived[number] = at

    def due(self, publication: Publication) -> list[Life]:
        """The lives the message must reach."""
        at = publication.at
        if not self._is_steady(publication.author, at):
            return []
        return [
            life
            for life in self.lives
            if life is not publication.author and self._is_steady(life, at)
        ]

    def missing(self, publications: Sequence[Publication]) -> int:
        """How many deliveries of these messages to nodes that live now have not come."""
        alive = [life for life in self.lives if life.ended == math.inf]
        return sum(
            publication.number not in life.arrived
            for publication in publications
            for life in alive
            if life is not publication.author
        )

    def _is_steady(self, life: Life, at: float) -> bool:
        return life.began + self._settle <= at and life.ended >= at + self._grace

    def figures(self) -> dict[str, Any]:
        """Everything in numbers; times in seconds, None where nothing was measured."""
        delays: list[float] = []
        lost_at: list[float] = []
        for publication in self.publications:
            for life in self.due(publication):
                came = life.arrived.get(publication.number)
                if came is None:
                    lost_at.append(publication.at)
                else:
                    delays.append(came - publication.at)
        due = len(delays) + len(lost_at)
        return {
            "published": len(self.publications),
            "deliveries_due": due,
            "deliveries_lost": len(lost_at),
            "delay_s": percentiles(delays),
            "recovery_s": percentiles(self._recoveries(lost_at)),
            "rejoin_s": percentiles(self._rejoinings()),
            "delivered_twice": sum(life.repeated for life in self.lives),
        }

    def _recoveries(self, lost_at: Sequence[float]) -> list[float]:
        """For each disturbance, seconds until the last message that was lost before the next."""
        return [
            max((at - start for at in lost_at if start <= at < end), default=0.0)
            for start, end in pairwise([*self.disturbances, math.inf])
        ]

    def _rejoinings(self) -> list[float]:
        """For each restarted process that heard anything, seconds until it did."""
        return [
            min(life.arrived.values()) - life.began
            for life in self.lives
            if life.is_restart and life.arrived
        ]
