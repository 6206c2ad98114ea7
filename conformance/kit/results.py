"""What came of a run, as data: reports are made of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gossipsub.conformance.kit.case import Case
from gossipsub.conformance.kit.target import Target
from gossipsub.conformance.kit.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one case."""

    case: Case
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
    """Every frame, where the case did not pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All results of one target, in the order of the catalogue."""

    target: Target
    seed: int
    results: tuple[Result, ...]
    versions: dict[str, str]
    """What the target says of itself."""
    seconds: float

    def count(self) -> Counter[Verdict]:
        return Counter(result.verdict for result in self.results)
