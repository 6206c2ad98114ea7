"""Names in which a star stands for any text: `CHORUS/projects/*`, `task_*`."""

from __future__ import annotations

from collections.abc import Sequence


class NamePatterns:
    """Matches a name that is one of the patterns. A `*` is any text, slashes and none included;
    everything else is itself.

    Takes no more than the name's length times the stars, whatever others choose for a name.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._names = frozenset(pattern for pattern in patterns if "*" not in pattern)
        self._patterns = tuple(pattern.split("*") for pattern in patterns if "*" in pattern)

    def match(self, name: str) -> bool:
        return name in self._names or any(_matches(parts, name) for parts in self._patterns)


def _matches(parts: list[str], name: str) -> bool:
    """Whether `name` is these parts with anything between; each is found where it comes first."""
    first, *between, last = parts
    if not name.startswith(first) or not name.endswith(last):
        return False
    position = len(first)
    for part in between:
        found = name.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return position + len(last) <= len(name)
