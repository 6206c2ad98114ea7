"""How the targets are known to differ from the rules: `deviations/TARGET.json`, case to reason.

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
    """The cases that a target is known to fail, with the reason; none for an unknown target."""
    path = _FOLDER / f"{target}.json"
    if target not in {file.stem for file in _FOLDER.glob("*.json")}:
        return {}
    return dict(json.loads(path.read_text(encoding="utf-8")))
