"""Everything about one case: the rule, where it comes from, and an exchange as it really passes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from gossipsub.cli.text import printable
from gossipsub.conformance.faults.fault import load_faults
from gossipsub.conformance.kit.case import Case
from gossipsub.conformance.kit.results import Result

_WIDTH = 100


def explain_case(case: Case, result: Result, target: str) -> Iterator[str]:
    """Lines; `result` is of a trial on `target`, with its transcript."""
    rule = case.rule
    yield f"{case.id} [{rule.level}{', implementations differ' if rule.diff else ''}] {case.title}"
    yield ""
    yield from _paragraph("rule", rule.rule)
    yield from _paragraph("source", "; ".join(rule.sources))
    yield from _paragraph("test", rule.test)
    if case.remarks:
        yield from _paragraph("remark", " ".join(case.remarks.split()))
    if case.also:
        yield from _paragraph("shows too", ", ".join(case.also))
    yield from _paragraph("control", _control(case))
    needs = "an address alone" if case.address else "a target that can be started and steered"
    yield from _paragraph("needs", needs)
    yield ""
    yield f"on {target}: {result.verdict.value}, {result.seconds:.2f} s"
    if result.expected:
        yield f"  expected {printable(result.expected)}"
        yield f"  came     {printable(result.came)}"
    yield from (f"  {printable(line)}" for line in result.reason.splitlines())
    yield from (f"  observed: {printable(what)}" for what in result.observed)
    yield from map(printable, result.transcript)


def _control(case: Case) -> str:
    about = " ".join((load_faults()[case.fault].__doc__ or "").split())
    name = case.fault.replace("_", " ")
    return f"it fails on a node of ours with the fault: {name}{f' ({about})' if about else ''}"


def _paragraph(label: str, text: str) -> Iterator[str]:
    indent = " " * 11
    yield textwrap.fill(f"{label:<9}  {text}", _WIDTH, subsequent_indent=indent)
