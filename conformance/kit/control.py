"""The self-test of the kit: each case on our own node with the fault that the case names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import anyio

from gossipsub.conformance.kit.case import Case
from gossipsub.conformance.kit.results import Result
from gossipsub.conformance.kit.runner import JOBS, run_case
from gossipsub.conformance.kit.target import Target


def faulty_target(fault: str) -> Target:
    """Our own node with a fault of `gossipsub.conformance.faults`."""
    command = (sys.executable, "-m", "gossipsub.conformance.faults", fault)
    return Target(name=f"python with {fault}", command=command)


async def run_control(case: Case, *, seed: int = 1) -> Result:
    """The case proves that it can fail where this result's verdict is FAILED."""
    return await run_case(faulty_target(case.fault), case, seed=seed)


async def run_controls(
    cases: Sequence[Case],
    *,
    seed: int = 1,
    jobs: int = JOBS,
    progress: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """The controls of all these cases, several at once, in the order of the cases."""
    results: dict[str, Result] = {}
    places = anyio.CapacityLimiter(jobs)

    async def run(case: Case) -> None:
        async with places:
            results[case.id] = await run_control(case, seed=seed)
        progress(results[case.id])

    async with anyio.create_task_group() as tasks:
        for case in cases:
            tasks.start_soon(run, case)
    return [results[case.id] for case in cases]
