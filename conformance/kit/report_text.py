"""A report for the terminal: by section of the specification, what is not plain success."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from gossipsub.cli.text import printable
from gossipsub.conformance.kit.results import Report, Result, Run
from gossipsub.conformance.kit.verdict import Verdict

SHOWN = (Verdict.FAILED, Verdict.BROKEN, Verdict.KNOWN, Verdict.SKIPPED)
"""Verdicts whose cases are told one by one."""


def report_lines(
    report: Report, titles: Mapping[str, str], *, transcripts: bool = False
) -> Iterator[str]:
    """All runs, one after the other. `titles` are the sections' by area."""
    for run in report.runs:
        yield from run_lines(run, titles, transcripts=transcripts)


def run_lines(run: Run, titles: Mapping[str, str], *, transcripts: bool = False) -> Iterator[str]:
    """One run: each section with its counts, and below it what failed, and why."""
    versions = printable(", ".join(f"{name} {v}" for name, v in run.versions.items()))
    where = f" at {run.address}" if run.address else ""
    yield f"{run.target}{where}{f' ({versions})' if versions else ''}"
    for area in dict.fromkeys(result.area for result in run.results):
        members = [result for result in run.results if result.area == area]
        yield f"  {area:<6}{titles.get(area, ''):<24}{counts(members)}"
        for result in members:
            yield from (f"    {line}" for line in result_lines(result, transcripts=transcripts))
    yield f"  {outcome(run)} in {run.seconds:.1f} s"
    again = ",".join(result.id for result in run.results if result.verdict is Verdict.FAILED)
    if again:
        yield f"  once more: --only {again} --transcript"
    if run.not_run:
        yield f"  not run: --only {','.join(run.not_run)}"


def outcome(run: Run) -> str:
    """The counts of a run, with what it did not come to."""
    parts = [counts(run.results), f"{len(run.not_run)} not run" if run.not_run else ""]
    return ", ".join(part for part in parts if part)


def counts(results: tuple[Result, ...] | list[Result]) -> str:
    """`12 passed, 1 failed, 3 skipped`; what there is none of is left out."""
    found = Counter(result.verdict for result in results)
    return ", ".join(f"{found[verdict]} {verdict.value}" for verdict in Verdict if found[verdict])


def result_lines(result: Result, *, transcripts: bool) -> Iterator[str]:
    """Nothing for a case that passed and shows no choice."""
    if result.verdict in SHOWN or result.reason:
        yield f"{result.verdict.value}: {result.id} [{result.level}] {result.title}"
        if result.expected:
            yield f"    expected {printable(result.expected)}"
            yield f"    came     {printable(result.came)}"
        for line in result.reason.splitlines():
            yield f"    {printable(line)}"
    for observed in result.observed:
        yield f"{result.id}: {printable(observed)}"
    if transcripts:
        yield from (f"    {printable(line)}" for line in result.transcript)
