"""What is measured in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gossipsub.benchmarks.harness.contestant import Contestant
from gossipsub.benchmarks.harness.endurance import ENDURANCE_SECONDS
from gossipsub.benchmarks.harness.single import ONCE
from gossipsub.benchmarks.harness.workload import LOADS, Workload

SIDE_BY_SIDE_NODES = 10
"""Networks up to this size stay up beside each other while each is measured in turn; of larger
ones the idle nodes alone would disturb."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the caller asked for."""

    workloads: Sequence[Workload] = ()
    single: Sequence[str] = ()
    """Measurements in one piece, by name."""
    loads: Sequence[str] = LOADS
    sizes: Sequence[int]
    """Of floods."""
    paced_sizes: Sequence[int]
    """Of the other loads."""
    contestants: Sequence[Contestant]
    signed: bool = True
    topics: Sequence[int] = (1,)
    repeats: int
    seconds: float
    """Of each run, about."""
    rate: float
    """Messages a second of gentle runs."""
    window: int | None = None
    seed: int = 1
    profile: bool = False
    """Whether nodes of ours tell where the CPU time of floods goes."""
    endurance: float = ENDURANCE_SECONDS
    """Seconds of the workload that is called so."""

    def repeats_of(self, single: str) -> int:
        """How often a measurement in one piece is made."""
        return 1 if single in ONCE else self.repeats

    @property
    def runs(self) -> int:
        """How many there are to be, of everything."""
        in_one_piece = sum(map(self.repeats_of, self.single)) * len(self.contestants)
        return in_one_piece + sum(stage.runs for stage in stages(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Networks that are up at the same time, and measured in turns."""

    workload: Workload
    loads: Sequence[str]
    size: int
    topics: int
    contestants: Sequence[Contestant]
    repeats: int

    @property
    def runs(self) -> int:
        return len(self.loads) * len(self.contestants) * self.repeats


def stages(wishes: Wishes) -> list[Stage]:
    """By workload, topics and size. In each stage the contestants take turns in every repeat, so
    that a noisy neighbour disturbs all of them."""
    planned = []
    for workload in wishes.workloads:
        for topics in wishes.topics:
            for size in sorted({*wishes.sizes, *wishes.paced_sizes}):
                loads = _loads(wishes, workload, size)
                if loads:
                    planned += _in_turns(wishes, workload, loads, size, topics)
    return planned


def _loads(wishes: Wishes, workload: Workload, size: int) -> list[str]:
    return [
        load
        for load in LOADS
        if load in wishes.loads
        and size in (wishes.sizes if load == "flood" else wishes.paced_sizes)
        and not (load == "half" and not workload.relays)
    ]


def _in_turns(
    wishes: Wishes, workload: Workload, loads: Sequence[str], size: int, topics: int
) -> list[Stage]:
    def stage(contestants: Sequence[Contestant], repeats: int) -> Stage:
        return Stage(
            workload=workload,
            loads=loads,
            size=size,
            topics=topics,
            contestants=contestants,
            repeats=repeats,
        )

    if workload.nodes <= SIDE_BY_SIDE_NODES:
        return [stage(wishes.contestants, wishes.repeats)]
    return [
        stage([contestant], 1) for _ in range(wishes.repeats) for contestant in wishes.contestants
    ]
