"""How far a run is: one line that changes where a terminal shows it, else a line now and then."""

from __future__ import annotations

import sys
import time

QUIET_SECONDS = 10.0
"""Between lines where nothing can be overwritten."""


class Progress:
    """Written to standard error, so that results on standard output stay clean."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._began = self._told = time.monotonic()
        self._changes = sys.stderr.isatty()

    def tell(self, what: str, done: int) -> None:
        """What is going on, and how many runs have ended since the last call."""
        self._done += done
        now = time.monotonic()
        if not self._changes and now - self._told < QUIET_SECONDS:
            return
        self._told = now
        line = f"{self._done} of {self._total} runs in {now - self._began:.0f} s: {what}"
        start, end = ("\r\x1b[K", "") if self._changes else ("", "\n")
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line free."""
        if self._changes:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
