"""Test vectors that any implementation can load: one JSON file an area, docs/vectors.md says how
each is laid out. The folders beside them have formats and origins of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parent

Vector = dict[str, Any]


def find_areas() -> list[str]:
    """The names of all areas, sorted: `read_vectors` reads each."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read_vectors(area: str, *, kind: str | None = None) -> list[Vector]:
    """The vectors of an area in the order of its file, or those of one kind.

    ValueError for an area there is none of.
    """
    if area not in find_areas():
        raise ValueError(f"no vectors of {area!r}; there are {', '.join(find_areas())}")
    document = json.loads((FOLDER / f"{area}.json").read_text(encoding="utf-8"))
    vectors: list[Vector] = document["vectors"]
    return [vector for vector in vectors if kind is None or vector["kind"] == kind]
