"""What came of a run, as data: all reports are made of it."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from gossipsub.conformance.kit.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one case."""

    id: str
    title: str
    """What the target is to do."""
    rule: str
    """The number of the rule."""
    area: str
    level: str
    """`MUST`, `SHOULD` or `MAY`."""
    verdict: Verdict
    seconds: float
    expected: str = ""
    """Of a failure: what the rule asks for."""
    came: str = ""
    """Of a failure: what the target did instead."""
    reason: str = ""
    """Why it was skipped, is known to fail, or broke."""
    observed: tuple[str, ...] = ()
    """Which of several allowed ways the target went."""
    transcript: tuple[str, ...] = ()
    """What passed, where the case did not pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All results of one target, in the order of the catalogue."""

    target: str
    address: str | None
    """Of a node that ran already."""
    versions: Mapping[str, str]
    """What the target says of itself."""
    seconds: float
    results: tuple[Result, ...]
    not_run: tuple[str, ...] = ()
    """Cases that the run did not come to, as it was interrupted."""

    def count(self) -> Counter[Verdict]:
        return Counter(result.verdict for result in self.results)

    @property
    def failed(self) -> bool:
        """Some case failed that is not known to, or broke."""
        return any(self.count()[verdict] for verdict in (Verdict.FAILED, Verdict.BROKEN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Runs of the same cases."""

    made: str
    """UTC, ISO 8601."""
    machine: str
    kit: str
    """Version of this project."""
    seed: int
    runs: tuple[Run, ...]


def report_of(runs: Sequence[Run], *, seed: int) -> Report:
    """With this moment and this machine."""
    return Report(
        made=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        kit=version("gossipsub"),
        seed=seed,
        runs=tuple(runs),
    )
