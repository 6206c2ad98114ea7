"""Which messages the log has taken of late."""

from __future__ import annotations

from collections.abc import Iterable

RECENT_ORIGINS = 16_384
"""More than may wait for the disk and for the catalogue, so that what is not here and not in the
catalogue is not in the log."""


class RecentOrigins:
    """The newest origins; the oldest is forgotten."""

    def __init__(self, limit: int = RECENT_ORIGINS) -> None:
        self._limit = limit
        self._origins: dict[bytes, None] = {}
        self.is_complete = True
        """Whether none was forgotten."""

    def __contains__(self, origin: bytes) -> bool:
        return origin in self._origins

    def add(self, origin: bytes) -> None:
        self._origins[origin] = None
        if len(self._origins) > self._limit:
            del self._origins[next(iter(self._origins))]
            self.is_complete = False

    def fill(self, origins: Iterable[bytes]) -> None:
        """With those of an older log; when it gave all there is room for, there may be more."""
        for origin in origins:
            self._origins[origin] = None
        self.is_complete = len(self._origins) < self._limit
