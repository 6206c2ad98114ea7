"""Target after target, and what there is to report when that is cut short."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gossipsub.conformance.kit.case import Case
from gossipsub.conformance.kit.progress import Progress
from gossipsub.conformance.kit.results import Report, Result, Run, report_of
from gossipsub.conformance.kit.runner import JOBS, probe, run_cases
from gossipsub.conformance.kit.target import Target


@dataclass(slots=True)
class _Part:
    """What is known of one target so far."""

    target: Target
    versions: Mapping[str, str] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    began: float | None = None
    run: Run | None = None
    """When it is complete."""


class Session:
    """The same cases on several targets. On a node that runs already they go one after the other:
    they all have only that one."""

    def __init__(
        self, targets: Sequence[Target], cases: Sequence[Case], *, seed: int = 1, jobs: int = JOBS
    ) -> None:
        self._parts = [_Part(target) for target in targets]
        self._cases = list(cases)
        self._seed = seed
        self._jobs = jobs

    async def run(self) -> None:
        """All cases on all targets. PeerUnavailable or PeerFailed, before any case, where a target
        cannot be had. May be cancelled."""
        for part in self._parts:
            part.versions = await probe(part.target)
        for part in self._parts:
            progress = Progress(part.target.name, len(self._cases))
            part.began = time.monotonic()
            try:
                part.run = await run_cases(
                    part.target,
                    self._cases,
                    seed=self._seed,
                    jobs=self._jobs if part.target.address is None else 1,
                    versions=part.versions,
                    results=part.results,
                    progress=progress.tell,
                )
            finally:
                progress.end()

    def report(self) -> Report:
        """Of what has been run."""
        return report_of([self._run_of(part) for part in self._parts], seed=self._seed)

    def _run_of(self, part: _Part) -> Run:
        if part.run is not None:
            return part.run
        took = 0.0 if part.began is None else time.monotonic() - part.began
        return Run(
            target=part.target.name,
            address=part.target.address,
            versions=part.versions,
            seconds=round(took, 3),
            results=tuple(part.results[c.id] for c in self._cases if c.id in part.results),
            not_run=tuple(case.id for case in self._cases if case.id not in part.results),
        )
