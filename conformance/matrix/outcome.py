"""What came of pairs of implementations, as data: all reports are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gossipsub.conformance.kit.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What came of one step of a pair."""

    step: str
    verdict: Verdict
    seconds: float
    reason: str = ""
    """Why it failed, or could not be tried."""
    explanation: str = ""
    """Of a known failure: whose it is, and why."""
    observed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """All steps of one pair, in their order."""

    dialler: str
    listener: str
    seconds: float
    steps: tuple[StepResult, ...]

    def with_verdict(self, *verdicts: Verdict) -> list[StepResult]:
        return [step for step in self.steps if step.verdict in verdicts]

    @property
    def worked(self) -> int:
        """How many steps did."""
        return len(self.with_verdict(Verdict.PASSED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All pairs, by dialler and then by listener."""

    made: str
    """UTC, ISO 8601."""
    machine: str
    seconds: float
    versions: Mapping[str, Mapping[str, str]]
    """What each implementation says of itself."""
    steps: Mapping[str, str]
    """What each step tries, by its name."""
    pairs: tuple[PairResult, ...]
    not_run: tuple[tuple[str, str], ...] = ()
    """Pairs that the run did not come to, as it was interrupted."""

    @property
    def failed(self) -> bool:
        """Some step failed that is not known to."""
        return any(pair.with_verdict(Verdict.FAILED) for pair in self.pairs)
