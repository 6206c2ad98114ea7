"""Failures that are known, and whose they are: `known.json` has a list of objects with `step`,
`dialler`, `listener` (each a name or `*`) and `why`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from gossipsub.conformance.kit.verdict import Verdict
from gossipsub.conformance.matrix.outcome import StepResult

FILE = Path(__file__).with_name("known.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailure:
    step: str
    dialler: str
    listener: str
    why: str

    def holds_for(self, step: str, dialler: str, listener: str) -> bool:
        wanted = (self.step, self.dialler, self.listener)
        return all(map(fnmatchcase, (step, dialler, listener), wanted))


@dataclass(frozen=True, slots=True)
class Known:
    failures: tuple[KnownFailure, ...] = ()

    @classmethod
    def of_file(cls, file: Path = FILE) -> Self:
        """ValueError where the file holds something else."""
        try:
            return cls(tuple(KnownFailure(**entry) for entry in json.loads(file.read_text())))
        except TypeError as error:
            raise ValueError(f"{file.name}: {error}") from error

    def explain(self, result: StepResult, dialler: str, listener: str) -> StepResult:
        """The result, as known where it failed and is."""
        if result.verdict is not Verdict.FAILED:
            return result
        for failure in self.failures:
            if failure.holds_for(result.step, dialler, listener):
                return replace(result, verdict=Verdict.KNOWN, explanation=failure.why)
        return result
