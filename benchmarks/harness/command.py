"""`gossipsub bench`: nodes of several implementations under the same load, side by side."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio

from gossipsub.benchmarks.harness.arguments import parse_arguments, wishes_of
from gossipsub.benchmarks.harness.floor import measure_floor
from gossipsub.benchmarks.harness.layout import markdown_lines, print_tables
from gossipsub.benchmarks.harness.ledger import Ledger
from gossipsub.benchmarks.harness.measuring import find_commands, measure_stage
from gossipsub.benchmarks.harness.network import PARAMS
from gossipsub.benchmarks.harness.plan import Wishes, stages
from gossipsub.benchmarks.harness.progress import Progress
from gossipsub.benchmarks.harness.results import Measurement, ResultsError, Run
from gossipsub.benchmarks.harness.table import compare, tables_of
from gossipsub.benchmarks.measurement import environment

DONE, NOTHING_MEASURED, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses."""
_PACKAGES = ("gossipsub", "cryptography", "protobuf", "anyio")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status. SystemExit with status 2 for a wrong call."""
    options = parse_arguments(arguments)
    if options.compare:
        return _compare(options)
    wishes = wishes_of(options)
    ledger = Ledger()
    status = DONE
    try:
        anyio.run(_measure, wishes, ledger)
    except KeyboardInterrupt:
        status = INTERRUPTED
    run = _run_of(wishes, ledger)
    _write(options, run)
    if status == DONE and not any(each.figures for each in run.measurements):
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


async def _measure(wishes: Wishes, ledger: Ledger) -> None:
    plan = stages(wishes)
    progress = Progress(sum(stage.runs for stage in plan))
    try:
        commands, missing = await find_commands(wishes.contestants, progress.tell)
        for contestant, why in missing.items():
            for stage in plan:
                for load in stage.loads:
                    absent = Measurement(
                        workload=stage.workload.name,
                        load=load,
                        peer=contestant.name,
                        backend=contestant.backend,
                        size=stage.size,
                        signed=wishes.signed,
                        topics=stage.topics,
                    )
                    ledger.note_failure(absent, why)
        progress.tell("the cryptography alone", 0)
        sizes = sorted({stage.size for stage in plan})
        ledger.floor = await anyio.to_thread.run_sync(
            partial(measure_floor, sizes, repeats=wishes.repeats)
        )
        for stage in plan:
            await measure_stage(stage, wishes, commands, ledger, progress.tell)
    finally:
        progress.end()


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


def _write(options: Namespace, run: Run) -> None:
    texts: list[tuple[str | None, Callable[[], str]]] = [
        (options.json, run.to_json),
        (options.markdown, lambda: "\n".join(markdown_lines(tables_of(run))) + "\n"),
    ]
    for file, encode in texts:
        if file == "-":
            sys.stdout.write(encode())
        elif file is not None:
            Path(file).write_text(encode(), encoding="utf-8")
    if "-" in (options.json, options.markdown):
        return
    print(run.machine)
    print(", ".join(f"{name} {version}" for name, version in run.versions.items()))
    print("all nodes: " + ", ".join(f"{name} {value}" for name, value in PARAMS.items()), "\n")
    print_tables(tables_of(run), sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
