"""A report as JUnit XML, as build servers read it: a suite for each target."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from gossipsub.conformance.kit.results import Report, Result, Run
from gossipsub.conformance.kit.verdict import Verdict

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""


def encode_junit(report: Report) -> str:
    """One document. A known deviation counts as skipped, a broken case as an error."""
    suites = ElementTree.Element("testsuites", name="gossipsub conformance")
    for run in report.runs:
        suites.append(_suite(run, report))
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_text(suites)}\n'


def _suite(run: Run, report: Report) -> ElementTree.Element:
    found = run.count()
    suite = ElementTree.Element(
        "testsuite",
        name=_clean(run.target),
        tests=str(len(run.results) + len(run.not_run)),
        failures=str(found[Verdict.FAILED]),
        errors=str(found[Verdict.BROKEN]),
        skipped=str(found[Verdict.SKIPPED] + found[Verdict.KNOWN] + len(run.not_run)),
        time=f"{run.seconds:.3f}",
        timestamp=report.made.removesuffix("Z"),
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("seed", str(report.seed)), *run.versions.items()):
        ElementTree.SubElement(properties, "property", name=_clean(name), value=_clean(value))
    for result in run.results:
        suite.append(_case(result, run.target))
    for id in run.not_run:
        case = ElementTree.SubElement(suite, "testcase", classname=_clean(run.target), name=id)
        ElementTree.SubElement(case, "skipped", message="not run: the run was interrupted")
    return suite


def _case(result: Result, target: str) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase",
        classname=_clean(f"{target}.{result.area}"),
        name=f"{result.id} {result.title}",
        time=f"{result.seconds:.3f}",
    )
    match result.verdict:
        case Verdict.FAILED:
            message = f"expected {result.expected}; came {result.came}"
            failure = ElementTree.SubElement(case, "failure", message=_clean(message))
            failure.text = _clean("\n".join(result.transcript))
        case Verdict.BROKEN:
            error = ElementTree.SubElement(case, "error", message="the case itself went wrong")
            error.text = _clean(result.reason)
        case Verdict.SKIPPED | Verdict.KNOWN:
            known = "known deviation: " if result.verdict is Verdict.KNOWN else ""
            ElementTree.SubElement(case, "skipped", message=_clean(known + result.reason))
        case Verdict.PASSED:
            pass
    if result.observed:
        ElementTree.SubElement(case, "system-out").text = _clean("\n".join(result.observed))
    return case


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _text(element: ElementTree.Element) -> str:
    return ElementTree.tostring(element, encoding="unicode")
