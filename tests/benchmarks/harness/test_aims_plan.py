"""What the plan of the aims measures, and parts of it."""

from __future__ import annotations

from typing import Any

from gossipsub.benchmarks.harness.aims import all_aims
from gossipsub.benchmarks.harness.aims_plan import narrowed, plan_of_aims
from gossipsub.benchmarks.harness.contestant import NAMES
from gossipsub.benchmarks.harness.plan import Wishes


def how(**named: Any) -> Wishes:
    usual = {"sizes": (), "paced_sizes": (), "contestants": (), "repeats": 3, "seconds": 2.0}
    return Wishes(**{**usual, "rate": 50.0, **named})


def planned(plan: list[Wishes]) -> set[tuple[str, str, str, int]]:
    """Peer, workload, load and size of all that will be measured."""
    alone = {
        (each.name, name, "", 0)
        for part in plan
        for name in part.single
        for each in part.contestants
    }
    return alone | {
        (each.name, workload.name, load, size)
        for part in plan
        for workload in part.workloads
        for load in part.loads
        for size in (part.sizes if load == "flood" else part.paced_sizes)
        for each in part.contestants
    }


def test_the_plan_measures_all_that_the_aims_name_and_nothing_twice() -> None:
    plan = plan_of_aims(how())
    wanted = {
        (peer, aim.of.workload, aim.of.load, aim.of.size)
        for aim in all_aims()
        for peer in (aim.of.peer, aim.beside)
        if peer
    }
    assert wanted <= planned(plan)
    assert {peer for peer, *_ in wanted} <= set(NAMES)
    assert sum(len(planned([part])) for part in plan) == len(planned(plan))
    assert {part.window for part in plan} == {64, 16}  # py-libp2p carries no more


def test_a_part_of_the_plan_can_be_asked_for() -> None:
    plan = plan_of_aims(how(window=16, repeats=5))
    part = narrowed(plan, workloads=["pair", "memory"], peers=["python", "go"], sizes=[1024])
    assert planned(part) == {
        ("python", "pair", "flood", 1024), ("go", "pair", "flood", 1024),
        ("python", "pair", "gentle", 1024), ("go", "pair", "gentle", 1024),
        ("python", "memory", "", 0),
    }  # fmt: skip
    assert [(each.repeats, each.window) for each in part] == [(5, 16), (5, 16), (1, 16)]
