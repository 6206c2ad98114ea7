"""`gossipsub conformance`: cases against a target, and what came of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import anyio

from gossipsub.conformance.kit.case import choose_cases
from gossipsub.conformance.kit.control import run_controls
from gossipsub.conformance.kit.results import Result
from gossipsub.conformance.kit.runner import JOBS, run_cases
from gossipsub.conformance.kit.target import Target
from gossipsub.conformance.kit.verdict import Verdict


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gossipsub conformance", description=__doc__)
    parser.add_argument("--target", default="python")
    parser.add_argument("--address")
    parser.add_argument("--only", default="", metavar="SCORE,BACK-03")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parsed = parser.parse_args(arguments)
    cases = choose_cases(name for name in parsed.only.split(",") if name)

    def show(result: Result) -> None:
        head = f"{result.verdict.value:<9} {result.seconds:6.2f} s"
        print(f"{head} {result.case.id} {result.case.title}")
        for label in ("expected", "came", "reason"):
            if getattr(result, label):
                print(f"    {label}: {getattr(result, label)}")
        for what in result.observed:
            print(f"    observed: {what}")
        if parsed.verbose:
            print("\n".join(f"    {line}" for line in result.transcript))

    async def run() -> int:
        if parsed.self_test:
            controls = await run_controls(cases, jobs=parsed.jobs, progress=show)
            return sum(result.verdict is not Verdict.FAILED for result in controls)
        target = Target(name=parsed.target, address=parsed.address)
        done = await run_cases(target, cases, jobs=parsed.jobs, progress=show)
        print(f"{done.seconds:.1f} s", {v.value: n for v, n in done.count().items()})
        return done.count()[Verdict.FAILED] + done.count()[Verdict.BROKEN]

    return 1 if anyio.run(run) else 0


if __name__ == "__main__":
    raise SystemExit(main())
