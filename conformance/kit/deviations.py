"""How targets are known to differ from the rules: JSON, case to reason; of ours in `deviations/`.

A reason says what the target does instead, where that can be read (its source, its documentation),
and whether the specification leaves room for it: fair enough to be shown to its authors.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent.parent / "deviations"


@cache
def known_deviations(target: str) -> dict[str, str]:
    """The cases that one of our test peers is known to fail; none for an unknown name."""
    file = next((file for file in _FOLDER.glob("*.json") if file.stem == target), None)
    return {} if file is None else read_deviations(file)


def read_deviations(file: Path) -> dict[str, str]:
    """OSError where it cannot be read, ValueError where it maps no cases to texts."""
    entries = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(entries, dict) or not all(isinstance(why, str) for why in entries.values()):
        raise ValueError(f"{file}: not an object of cases with a text each")
    return entries
