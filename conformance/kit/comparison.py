"""A report as a table: a row for each case, a column for each target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gossipsub.conformance.kit.results import Report, Result


@dataclass(frozen=True, slots=True)
class Row:
    """One case on all targets; None where a target's report does not have it."""

    id: str
    level: str
    title: str
    results: tuple[Result | None, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The cases of one area."""

    area: str
    title: str
    rows: tuple[Row, ...]


def sections_of(report: Report, titles: dict[str, str]) -> list[Section]:
    """The areas in the catalogue's order (that of `titles`), the cases in the runs' order."""
    columns = [{result.id: result for result in run.results} for run in report.runs]
    first = {result.id: result for column in reversed(columns) for result in column.values()}
    areas = [*titles, *(r.area for r in first.values() if r.area not in titles)]
    sections = []
    for area in dict.fromkeys(areas):
        rows = tuple(
            Row(
                result.id,
                result.level,
                result.title,
                tuple(column.get(result.id) for column in columns),
            )
            for result in sorted(first.values(), key=lambda result: result.id)
            if result.area == area
        )
        if rows:
            sections.append(Section(area, titles.get(area, ""), rows))
    return sections


def joined(reports: Sequence[Report]) -> Report:
    """The runs of several reports as one; date, machine and seed are the first report's.

    ValueError without reports.
    """
    if not reports:
        raise ValueError("no reports to compare")
    return replace(reports[0], runs=tuple(run for report in reports for run in report.runs))
