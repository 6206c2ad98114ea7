"""The tasks of the demo: small, real work on real files, the sources of this package."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Task:
    task_id: str
    number: int
    file: str
    """Path below the package."""


def choose_tasks(count: int) -> list[Task]:
    """The largest modules of the package, one task each; ValueError for more than there are."""
    files = sorted(PACKAGE.glob("*.py"), key=lambda path: (-path.stat().st_size, path.name))
    if not 0 < count <= len(files):
        raise ValueError(f"there is work for 1 to {len(files)} tasks, not {count}")
    return [Task(f"task-{n + 1:02}", n, path.name) for n, path in enumerate(files[:count])]


def carry_out(file: str) -> dict[str, object]:
    """What a task asks: lines, functions and SHA-256 of a file of the package.

    ValueError for a file that is not one of the package's own; a task comes from the network.
    """
    path = (PACKAGE / file).resolve()
    if path.parent != PACKAGE or path.suffix != ".py" or not path.is_file():
        raise ValueError(f"not a file of the package: {file}")
    text = path.read_bytes()
    lines = text.splitlines()
    return {
        "lines": len(lines),
        "functions": sum(line.lstrip().startswith((b"def ", b"async def ")) for line in lines),
        "sha256": hashlib.sha256(text).hexdigest(),
    }
