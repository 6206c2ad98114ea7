"""`gossipsub bench`: nodes of several implementations under the same load, side by side."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio

from gossipsub.benchmarks.harness.arguments import parse_arguments, wishes_of
from gossipsub.benchmarks.harness.floor import measure_floor
from gossipsub.benchmarks.harness.layout import markdown_lines, print_tables
from gossipsub.benchmarks.harness.ledger import Ledger
from gossipsub.benchmarks.harness.measuring import (
    find_commands,
    measure_alone,
    measure_stage,
    note_absence,
)
from gossipsub.benchmarks.harness.network import PARAMS
from gossipsub.benchmarks.harness.plan import Wishes, stages
from gossipsub.benchmarks.harness.plots import write_plots
from gossipsub.benchmarks.harness.progress import Progress
from gossipsub.benchmarks.harness.results import ResultsError, Run
from gossipsub.benchmarks.harness.table import compare, tables_of
from gossipsub.benchmarks.measurement import environment
from gossipsub.cli.running import run, tell

DONE, NOTHING_MEASURED, WRONG_CALL = 0, 1, 2
"""Exit statuses."""
BUSY = 0.5
"""Processes that want to run for each core, before the first of ours."""
_PACKAGES = ("gossipsub", "cryptography", "protobuf", "anyio")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status. SystemExit with status 2 for a wrong call."""
    options = parse_arguments(arguments)
    if options.compare:
        return _compare(options)
    wishes = wishes_of(options)
    _warn_of_neighbours()
    ledger = Ledger()
    status = run("bench", partial(_measure, wishes, ledger))
    found = _run_of(wishes, ledger)
    _write(options, found)
    if status == DONE and not any(each.figures for each in found.measurements):
        return NOTHING_MEASURED
    return status


def _compare(options: Namespace) -> int:
    try:
        old, new = (
            Run.from_json(Path(file).read_text(encoding="utf-8")) for file in options.compare
        )
    except (OSError, ValueError, ResultsError) as error:
        print(f"gossipsub bench: {error}", file=sys.stderr)
        return WRONG_CALL
    print_tables(compare(old, new), sys.stdout)
    return DONE


def _warn_of_neighbours() -> None:
    """Rates are shares of the machine; nobody should take those of a busy one for more."""
    try:
        load = os.getloadavg()[0]
    except OSError:  # the system does not say
        return
    if load > BUSY * (os.cpu_count() or 1):
        tell("bench", f"the machine is busy (load {load:.1f}): compare CPU, and not the rates")


async def _measure(wishes: Wishes, ledger: Ledger) -> int:
    plan = stages(wishes)
    alone = len(wishes.single) * len(wishes.contestants) * wishes.repeats
    progress = Progress(sum(stage.runs for stage in plan) + alone)
    try:
        commands, missing = await find_commands(wishes.contestants, progress.tell)
        present = replace(wishes, contestants=list(commands))
        for contestant, why in missing.items():
            note_absence(contestant, why, wishes, ledger)
        progress.tell("the cryptography alone", 0)
        sizes = {stage.size for stage in plan}
        ledger.floor = await anyio.to_thread.run_sync(
            partial(measure_floor, sorted(sizes), repeats=wishes.repeats)
        )
        for workload in wishes.single:
            await measure_alone(workload, present, commands, ledger, progress.tell)
        for stage in stages(present):
            await measure_stage(stage, present, commands, ledger, progress.tell)
    finally:
        progress.end()
    return DONE


def _run_of(wishes: Wishes, ledger: Ledger) -> Run:
    here = environment(*_PACKAGES)
    machine = here.pop("machine")
    return Run(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=wishes.seed,
        repeats=wishes.repeats,
        machine=machine,
        versions=here | ledger.versions,
        floor=ledger.floor,
        measurements=ledger.measurements(),
    )


def _write(options: Namespace, found: Run) -> None:
    texts: list[tuple[str | None, Callable[[], str]]] = [
        (options.json, found.to_json),
        (options.markdown, lambda: "\n".join(markdown_lines(tables_of(found))) + "\n"),
    ]
    for file, encode in texts:
        if file == "-":
            sys.stdout.write(encode())
        elif file is not None:
            Path(file).write_text(encode(), encoding="utf-8")
    if options.plots is not None:
        write_plots(found, Path(options.plots))
    if "-" in (options.json, options.markdown):
        return
    print(found.machine)
    print(", ".join(f"{name} {version}" for name, version in found.versions.items()))
    print("all nodes: " + ", ".join(f"{name} {value}" for name, value in PARAMS.items()), "\n")
    print_tables(tables_of(found), sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
