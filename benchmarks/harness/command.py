"""`gossipsub bench`: nodes of several implementations under the same load, side by side."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from gossipsub.benchmarks.harness.aims import aims_tables
from gossipsub.benchmarks.harness.arguments import parse_arguments, plan_of
from gossipsub.benchmarks.harness.layout import markdown_text, print_tables
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
from gossipsub.benchmarks.harness.results import ResultsError, Run, merged
from gossipsub.benchmarks.harness.single import ENDURANCE
from gossipsub.benchmarks.harness.table import Table, compare, tables_of
from gossipsub.benchmarks.measurement import environment
from gossipsub.cli.running import run, tell

DONE, NOT_MEASURED, WRONG_CALL = 0, 1, 2
"""Exit statuses."""
BUSY = 0.5
"""Processes that want to run for each core, before the first of ours."""
_PACKAGES = ("gossipsub", "cryptography", "protobuf", "anyio")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status. SystemExit with status 2 for a wrong call."""
    options = parse_arguments(arguments)
    if options.compare:
        return _show(options, options.compare, lambda runs: compare(*runs))
    if options.judge:
        return _show(options, options.judge, lambda runs: aims_tables(merged(runs)))
    plan = plan_of(options)
    _warn_of_neighbours()
    ledger = Ledger()
    status = run("bench", partial(_measure, plan, ledger))
    found = _run_of(options, ledger)
    _write(options, found)
    if status == DONE and not any(each.figures for each in found.measurements):
        return NOT_MEASURED
    has_tired = any(each.failure for each in found.select(workload=ENDURANCE))
    return NOT_MEASURED if status == DONE and has_tired else status


def _show(
    options: Namespace, files: Sequence[str], tabulate: Callable[[Sequence[Run]], Iterable[Table]]
) -> int:
    """What is to be said of stored runs."""
    try:
        runs = [Run.from_json(Path(file).read_text(encoding="utf-8")) for file in files]
    except (OSError, ValueError, ResultsError) as error:
        print(f"gossipsub bench: {error}", file=sys.stderr)
        return WRONG_CALL
    tables = list(tabulate(runs))
    if options.markdown is not None:
        _write_text(options.markdown, markdown_text(tables))
    if options.markdown != "-":
        print_tables(tables, sys.stdout)
    return DONE


def _warn_of_neighbours() -> None:
    """Rates are shares of the machine; nobody should take those of a busy one for more."""
    try:
        load = os.getloadavg()[0]
    except OSError:  # the system does not say
        return
    if load > BUSY * (os.cpu_count() or 1):
        tell("bench", f"the machine is busy (load {load:.1f}): compare CPU, and not the rates")


async def _measure(plan: Sequence[Wishes], ledger: Ledger) -> int:
    progress = Progress(sum(wishes.runs for wishes in plan))
    everybody = dict.fromkeys(each for wishes in plan for each in wishes.contestants)
    try:
        commands, missing = await find_commands(everybody, progress.tell)
        for wishes in plan:
            absent = [each for each in wishes.contestants if each in missing]
            for contestant in absent:
                note_absence(contestant, missing[contestant], wishes, ledger)
            there = [each for each in wishes.contestants if each not in missing]
            present = replace(wishes, contestants=there)
            progress.tell("", wishes.runs - present.runs)
            for workload in present.single:
                await measure_alone(workload, present, commands, ledger, progress.tell)
            for stage in stages(present):
                await measure_stage(stage, present, commands, ledger, progress.tell)
    finally:
        progress.end()
    return DONE


def _run_of(options: Namespace, ledger: Ledger) -> Run:
    here = environment(*_PACKAGES)
    machine = here.pop("machine")
    return Run(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=options.seed,
        repeats=options.repeats,
        machine=machine,
        versions=here | ledger.versions,
        floor=ledger.floor,
        measurements=ledger.measurements(),
    )


def _write(options: Namespace, found: Run) -> None:
    tables = [*tables_of(found), *(aims_tables(found) if options.aims else ())]
    if options.json is not None:
        _write_text(options.json, found.to_json())
    if options.markdown is not None:
        _write_text(options.markdown, markdown_text(tables))
    if options.plots is not None:
        write_plots(found, Path(options.plots))
    if "-" in (options.json, options.markdown):
        return
    print(found.machine)
    print(", ".join(f"{name} {version}" for name, version in found.versions.items()))
    print("all nodes: " + ", ".join(f"{name} {value}" for name, value in PARAMS.items()), "\n")
    print_tables(tables, sys.stdout)


def _write_text(file: str, text: str) -> None:
    if file == "-":
        sys.stdout.write(text)
    else:
        Path(file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
