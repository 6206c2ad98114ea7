"""A report as Markdown: one table of all targets, then every deviation with its reason."""

from __future__ import annotations

from collections.abc import Iterator

from gossipsub.conformance.kit.comparison import Row, Section, sections_of
from gossipsub.conformance.kit.report_text import outcome
from gossipsub.conformance.kit.results import Report, Result
from gossipsub.conformance.kit.verdict import Verdict

MARKS = {
    Verdict.PASSED: "yes",
    Verdict.FAILED: "**no**",
    Verdict.KNOWN: "**no**",
    Verdict.SKIPPED: "-",
    Verdict.BROKEN: "**?**",
}
"""What stands in a cell."""


def encode_markdown(report: Report, titles: dict[str, str]) -> str:
    """Without a heading of its own, so that a page can take it in."""
    sections = sections_of(report, titles)
    lines = [
        f"Made {report.made[:10]} on {report.machine}, seed {report.seed}.",
        "",
        *_targets(report),
        "",
        *_table(report, sections),
        "",
        *_deviations(report, sections),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _targets(report: Report) -> Iterator[str]:
    yield "| target | versions | outcome | seconds |"
    yield "|---|---|---|---|"
    for run in report.runs:
        versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
        cells = (_cell(run.target), _cell(versions), outcome(run), f"{run.seconds:.0f}")
        yield f"| {' | '.join(cells)} |"


def _table(report: Report, sections: list[Section]) -> Iterator[str]:
    names = " | ".join(_cell(run.target) for run in report.runs)
    yield f"| case | level | what the target does | {names} |"
    yield "|---|---|---|" + "---|" * len(report.runs)
    for section in sections:
        yield f"| **{section.area}** | | **{_cell(section.title)}** |" + " |" * len(report.runs)
        for row in section.rows:
            marks = " | ".join(MARKS[r.verdict] if r else "" for r in row.results)
            yield f"| {row.id} | {row.level} | {_cell(row.title)} | {marks} |"


def _deviations(report: Report, sections: list[Section]) -> Iterator[str]:
    for number, run in enumerate(report.runs):
        told = [
            line
            for section in sections
            for row in section.rows
            for line in _told(row, row.results[number])
        ]
        if told:
            yield from (f"### {run.target}", "", *told, "")


def _told(row: Row, result: Result | None) -> Iterator[str]:
    if result is None:
        return
    if result.verdict in (Verdict.FAILED, Verdict.KNOWN, Verdict.BROKEN):
        yield f"- **{row.id}** {_cell(row.title)}: {_cell(result.reason or _difference(result))}"
    for what in result.observed:
        yield f"- {row.id} leaves a choice: {_cell(what)}"


def _difference(result: Result) -> str:
    return f"expected {result.expected}; came {result.came}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
