"""How far a run is: one line that changes where a terminal shows it, else only what failed."""

from __future__ import annotations

import sys

from gossipsub.conformance.kit.results import Result
from gossipsub.conformance.kit.verdict import Verdict

_GOOD = (Verdict.PASSED, Verdict.SKIPPED, Verdict.KNOWN)


class Progress:
    """Written to standard error, so that reports on standard output stay clean."""

    def __init__(self, name: str, total: int, *, good: Verdict | None = None) -> None:
        self._name = name
        self._total = total
        self._good = _GOOD if good is None else (good,)
        self._done = 0
        self._changes = sys.stderr.isatty()

    def tell(self, result: Result) -> None:
        """A case is done."""
        self._done += 1
        count = f"{self._name}: {self._done} of {self._total}"
        if result.verdict not in self._good:
            self._write(f"{count}: {result.verdict.value} {result.id} {result.title}", "\n")
        elif self._changes:
            self._write(f"{count} {result.id}", "")

    def end(self) -> None:
        """Leave the line free."""
        if self._changes:
            self._write("", "")

    def _write(self, text: str, end: str) -> None:
        start = "\r\x1b[K" if self._changes else ""
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)
