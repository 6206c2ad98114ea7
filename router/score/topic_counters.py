"""What is counted of one peer in one topic (v1.1, "Topic Parameter Calculation and Decay")."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gossipsub.router.score.params import LARGEST, TopicScoreParams

_NOISE = 1e-6
"""Clock readings are floats: 0.3 - 0.1 must still be two quanta of 0.1."""


@dataclass(slots=True)
class TopicCounters:
    """Counters, and the parameters that hold for them."""

    params: TopicScoreParams
    in_mesh: bool = False
    graft_time: float = 0.0
    time_in_mesh: float = 0.0
    """As of the last refresh."""
    is_active: bool = False
    """Long enough in the mesh for P3."""
    first_deliveries: float = 0.0
    mesh_deliveries: float = 0.0
    mesh_failures: float = 0.0
    invalid_deliveries: float = 0.0

    def deficit(self) -> float:
        """How many deliveries the peer is short of, where that counts (P3)."""
        if not self.is_active:
            return 0.0
        return max(self.params.mesh_message_deliveries_threshold - self.mesh_deliveries, 0.0)

    def p1(self) -> float:
        """Quanta of time in the mesh, up to the cap."""
        if not self.in_mesh:
            return 0.0
        quanta = self.time_in_mesh / self.params.time_in_mesh_quantum + _NOISE
        # The inner min keeps infinity, of a tiny quantum, away from floor.
        return min(math.floor(min(quanta, LARGEST)), self.params.time_in_mesh_cap)

    def contribution(self) -> float:
        """What the topic adds to the score."""
        p = self.params
        deficit = self.deficit()
        invalid = self.invalid_deliveries
        return p.topic_weight * (
            p.time_in_mesh_weight * self.p1()
            + p.first_message_deliveries_weight * self.first_deliveries
            + p.mesh_message_deliveries_weight * (deficit * deficit)
            + p.mesh_failure_penalty_weight * self.mesh_failures
            + p.invalid_message_deliveries_weight * (invalid * invalid)
        )

    def leave_mesh(self) -> float:
        """P3 becomes P3b, and ends. go lets P3 run on, so that it is paid for twice. Returns what
        was added to P3b."""
        deficit = self.deficit()
        failure = deficit * deficit
        self.mesh_failures += failure
        self.in_mesh = self.is_active = False
        return failure

    def refresh(self, to_zero: float, now: float) -> bool:
        """Decay, and take the time; False where nothing is left to remember."""
        p = self.params
        first = self.first_deliveries * p.first_message_deliveries_decay
        self.first_deliveries = first = 0.0 if first < to_zero else first
        mesh = self.mesh_deliveries * p.mesh_message_deliveries_decay
        self.mesh_deliveries = mesh = 0.0 if mesh < to_zero else mesh
        failures = self.mesh_failures * p.mesh_failure_penalty_decay
        self.mesh_failures = failures = 0.0 if failures < to_zero else failures
        invalid = self.invalid_deliveries * p.invalid_message_deliveries_decay
        self.invalid_deliveries = invalid = 0.0 if invalid < to_zero else invalid
        if not self.in_mesh:
            return bool(first or mesh or failures or invalid)
        self.time_in_mesh = now - self.graft_time
        if self.time_in_mesh > p.mesh_message_deliveries_activation + _NOISE:
            self.is_active = True
        return True

    def parts(self) -> list[tuple[str, float, float]]:
        """The components of `contribution`: name, counter, and weight with the topic's own."""
        p, deficit, invalid = self.params, self.deficit(), self.invalid_deliveries
        counters = [
            ("P1", self.p1(), p.time_in_mesh_weight),
            ("P2", self.first_deliveries, p.first_message_deliveries_weight),
            ("P3", deficit * deficit, p.mesh_message_deliveries_weight),
            ("P3b", self.mesh_failures, p.mesh_failure_penalty_weight),
            ("P4", invalid * invalid, p.invalid_message_deliveries_weight),
        ]
        return [(name, value, weight * p.topic_weight) for name, value, weight in counters]
