"""The self-test of the kit: each case on our own node with the fault that the case names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gossipsub.conformance.kit.case import Case
from gossipsub.conformance.kit.results import Result
from gossipsub.conformance.kit.runner import JOBS, run_case, try_cases
from gossipsub.conformance.kit.target import Target
from gossipsub.conformance.kit.verdict import Verdict
from gossipsub.conformance.kit.warm_start import WarmStart


async def run_control(case: Case, start: WarmStart, *, seed: int = 1) -> Result:
    """The case proves that it can fail where this result's verdict is FAILED. That its fault ends
    the node proves nothing: BROKEN."""
    target = Target(name=f"python with {case.fault}", command=start.command(case.fault))
    result = await run_case(target, case, seed=seed)
    if result.verdict is Verdict.FAILED and "exit status" in result.came:
        return replace(result, verdict=Verdict.BROKEN, reason=result.came)
    return result


async def run_controls(
    cases: Sequence[Case],
    start: WarmStart,
    *,
    seed: int = 1,
    jobs: int = JOBS,
    progress: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """The controls of all these cases, several at once, in the order of the cases."""
    results = await try_cases(
        cases,
        lambda case: run_control(case, start, seed=seed),
        is_as_wanted=lambda result: result.verdict is Verdict.FAILED,
        jobs=jobs,
        progress=progress,
    )
    return list(results)
