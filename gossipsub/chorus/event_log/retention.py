"""How much of the log is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gossipsub.chorus.event_log.store import Store

_SLACK = 64
"""Share of the bound by which it may be passed: one part in so many. Pruning a little often would
cost more than the entries did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRetention:
    """The oldest entries go beyond any of these, whole groups at a time; ValueError for bounds
    below 1. The newest group always stays."""

    max_entries: int | None = None
    """May be passed by a sixty-fourth for a while."""
    max_age: float | None = None
    """Seconds since an entry was logged."""
    max_bytes: int | None = None
    """Of the database file, without its write-ahead log."""

    def __post_init__(self) -> None:
        for name in ("max_entries", "max_age", "max_bytes"):
            bound = getattr(self, name)
            if bound is not None and bound < 1:
                raise ValueError(f"{name} is at least 1: {bound}")

    def prune_some(self, store: Store, clock: Callable[[], int]) -> int:
        """Take away some of what is beyond the bounds; how many entries, 0 when there are none.
        `clock` is asked where an age is bounded."""
        through = store.pruned_through
        count = store.last_index - through
        if self.max_entries is not None and count > self.max_entries * (1 + 1 / _SLACK):
            through = max(through, store.last_index - self.max_entries)
        if self.max_age is not None:
            through = max(through, store.index_before(clock() - int(self.max_age * 1e9)))
        if self.max_bytes is not None and store.used_bytes() > self.max_bytes:
            through = max(through, store.group_end(store.pruned_through + 1 + count // _SLACK))
        return store.prune(through) if through > store.pruned_through else 0
