"""Writes the pages of the public API from its docstrings: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

import pdoc
import pdoc.render

MODULES = (
    "gossipsub",
    "gossipsub.chorus",
    "gossipsub.metrics",
    "gossipsub.router.router",
    "gossipsub.status",
    "gossipsub.testing",
    "gossipsub.testing.memory",
    "gossipsub.testing.mesh",
    "gossipsub.testing.pytest_plugin",
    "gossipsub.testing.virtual_time",
    "gossipsub.threads",
    "gossipsub.validators",
)


def write_pages(folder: Path) -> None:
    """One page for each public module, and an index."""
    pdoc.render.configure(docformat="markdown", show_source=False)
    inside = [f"!{module}." for module in MODULES[:1]]
    pdoc.pdoc(*MODULES[:1], *inside, *MODULES[1:], output_directory=folder)


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
