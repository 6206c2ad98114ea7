"""A report as one page of HTML that needs nothing else: targets beside each other, a click tells
what was expected, what came, and what passed."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from gossipsub.conformance.kit.comparison import Row, Section, sections_of
from gossipsub.conformance.kit.report_text import outcome
from gossipsub.conformance.kit.results import Report, Result
from gossipsub.conformance.kit.verdict import Verdict

_STYLE = Path(__file__).with_name("report.css")
_MARKS = {
    Verdict.PASSED: ("passed", "✓"),
    Verdict.FAILED: ("failed", "✗"),
    Verdict.KNOWN: ("known", "✗ known"),
    Verdict.SKIPPED: ("skipped", "-"),
    Verdict.BROKEN: ("broken", "broken"),
}


def encode_html(report: Report, titles: dict[str, str]) -> str:
    """One document without outside resources and without scripts."""
    sections = sections_of(report, titles)
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<title>GossipSub conformance</title>",
            f"<style>{_STYLE.read_text(encoding='utf-8')}</style></head><body>",
            "<h1>GossipSub conformance</h1>",
            f"<p>{escape(report.made)}, {escape(report.machine)}, kit {escape(report.kit)}, "
            f"seed {report.seed}</p>",
            *_targets(report),
            *(line for section in sections for line in _section(section, report)),
            "</body></html>\n",
        ]
    )


def _targets(report: Report) -> Iterator[str]:
    yield '<div class="wide"><table class="targets"><tr><th>target<th>versions<th>outcome</tr>'
    for run in report.runs:
        versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
        where = f" at {run.address}" if run.address else ""
        came = f"{outcome(run)} in {run.seconds:.0f} s"
        cells = "".join(f"<td>{escape(text)}" for text in (run.target + where, versions, came))
        yield f"<tr>{cells}</tr>"
    yield "</table></div>"


def _section(section: Section, report: Report) -> Iterator[str]:
    yield f'<h2 id="{escape(section.area)}">{escape(section.area)} {escape(section.title)}</h2>'
    yield '<div class="wide"><table class="cases"><tr><th>case<th>what the target does'
    yield "".join(f"<th>{escape(run.target)}" for run in report.runs) + "</tr>"
    for row in section.rows:
        yield from _row(row)
    yield "</table></div>"


def _row(row: Row) -> Iterator[str]:
    yield f'<tr><td id="{escape(row.id)}"><b>{escape(row.id)}</b><br><small>{escape(row.level)}'
    yield f"</small><td>{escape(row.title)}"
    for result in row.results:
        yield "<td>" if result is None else f"<td>{_cell(result)}"
    yield "</tr>"


def _cell(result: Result) -> str:
    kind, mark = _MARKS[result.verdict]
    seen = f'<span class="{kind}">{mark}</span>'
    parts = [
        ("expected", result.expected),
        ("came", result.came),
        ("", result.reason),
        ("seen", "; ".join(result.observed)),
    ]
    told = "".join(
        f"<p>{f'<b>{label}</b> ' if label else ''}{escape(text)}" for label, text in parts if text
    )
    if result.transcript:
        told += f"<pre>{escape(chr(10).join(result.transcript))}</pre>"
    return f"<details><summary>{seen}</summary>{told}</details>" if told else seen
