"""Writes the tables of docs/where-time-goes.md: `make where-time-goes`, `make counts`.

Of a run of `gossipsub bench --profile --json FILE`, if one is given, and of the exact counts that
the tests hold.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from gossipsub.benchmarks.harness.floor import floor_of
from gossipsub.benchmarks.harness.results import Run
from gossipsub.benchmarks.harness.table import label

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "where-time-goes.md"
COUNTS = DOCS.parent / "tests" / "benchmarks" / "exact_counts.json"
MARK = "<!-- What follows is written by `make where-time-goes`. -->\n"
MARK_OF_COUNTS = "<!-- What follows is written by `make counts`. -->\n"
SIZE = 1024
ROLES = {"publisher": "pair", "relay": "relay", "receiver": "pair"}
"""Where each role is looked at."""


def shares(run: Run) -> Iterator[str]:
    """A table for each way our node was run, the dearest layer first."""
    yield f"\n## Microseconds of a message\n\n{run.machine}; {run.date[:10]}; "
    yield ", ".join(f"{name} {text}" for name, text in run.versions.items() if ":" not in name)
    yield f"; {run.repeats} runs, their mean.\n"
    for kind in dict.fromkeys(label(each) for each in run.select(size=SIZE, load="flood")):
        columns = {role: _layers(run, kind, workload, role) for role, workload in ROLES.items()}
        if not all(columns.values()):
            continue
        yield f"\n### {kind}\n\n| layer | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}\n"
        names = {name for column in columns.values() for name in column}
        for name in sorted(names, key=lambda each: -sum(c.get(each, 0) for c in columns.values())):
            yield _row(f"`{name}`", [column.get(name, 0.0) for column in columns.values()])
        sums = [sum(column.values()) for column in columns.values()]
        yield _row("**sum**", sums)
        floors = [floor_of(run.floor, role, SIZE, fast="+fast" in kind) for role in columns]
        known = [floor for floor in floors if floor is not None]
        if len(known) == len(sums):
            yield _row("the cryptography alone", known)
            yield _row("**beyond it**", [a - b for a, b in zip(sums, known, strict=True)])


def counts() -> Iterator[str]:
    """What the tests count, for one message."""
    yield "\n## In exact counts\n\nOf hosts in memory and virtual time, for one message of 1 KiB.\n"
    stored = json.loads(COUNTS.read_text(encoding="utf-8"))
    for way in stored["pair"]:
        nodes = {role: stored[shape][way][role] for role, shape in ROLES.items()}
        yield f"\n### {way[0].upper()}{way[1:]}\n\n| | {' | '.join(nodes)} |\n"
        yield f"|---|{'---:|' * len(nodes)}\n"
        # The warm-up is not counted, so what a publisher signed is how many there were.
        messages = nodes["publisher"]["events"]["signatures made"]
        events = {name for node in nodes.values() for name in node["events"]}
        for name in sorted(events):
            yield _row(name, [node["events"].get(name, 0) / messages for node in nodes.values()])
        calls = [sum(node["calls"].values()) for node in nodes.values()]
        yield _row("**calls of our functions**", calls)
        layers = {name for node in nodes.values() for name in node["calls"]}
        for name in sorted(layers):
            yield _row(
                f"of them in `{name}`", [node["calls"].get(name, 0) for node in nodes.values()]
            )


def _layers(run: Run, kind: str, workload: str, role: str) -> Mapping[str, float]:
    prefix = f"layer.{role}."
    return {
        name.removeprefix(prefix): fmean(figure.samples)
        for each in run.select(workload=workload, size=SIZE, load="flood")
        if label(each) == kind
        for name, figure in each.figures.items()
        if name.startswith(prefix)
    }


def _row(name: str, values: list[Any]) -> str:
    return f"| {name} | {' | '.join(_text(value) for value in values)} |\n"


def _text(value: float) -> str:
    if value == 0:
        return "-"
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.2g}"


def renewed(page: str, run: Run | None) -> str:
    """The page with its tables as they should be; without a run those of times stay."""
    before, mark, rest = page.partition(MARK)
    times = rest.partition(MARK_OF_COUNTS)[0] if run is None else "".join(shares(run)) + "\n"
    return "".join([before, mark, times, MARK_OF_COUNTS, *counts()])


if __name__ == "__main__":
    runs = [Run.from_json(Path(file).read_text(encoding="utf-8")) for file in sys.argv[1:2]]
    page = renewed(PAGE.read_text(encoding="utf-8"), runs[0] if runs else None)
    PAGE.write_text(page, encoding="utf-8")
