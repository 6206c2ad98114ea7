"""What the reports of the conformance kit say of a run, whole."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from gossipsub.conformance.kit.comparison import joined
from gossipsub.conformance.kit.report_html import encode_html
from gossipsub.conformance.kit.report_json import decode_report, encode_report
from gossipsub.conformance.kit.report_junit import encode_junit
from gossipsub.conformance.kit.report_markdown import encode_markdown
from gossipsub.conformance.kit.report_text import report_lines
from gossipsub.conformance.kit.results import Report, Result, Run
from gossipsub.conformance.kit.verdict import Verdict

TITLES = {"BACK": "backoff", "PNG": "ping"}
HOSTILE = "<script>alert('x')</script> a|b \x00\x1b[2J"


def result(id: str, verdict: Verdict, **fields: object) -> Result:
    values: dict[str, object] = {
        "id": id,
        "title": f"does {id}",
        "rule": id,
        "area": id.split("-")[0],
        "level": "MUST",
        "verdict": verdict,
        "seconds": 0.5,
    }
    return Result(**{**values, **fields})  # type: ignore[arg-type]


def run(target: str, *results: Result) -> Run:
    return Run(
        target=target, address=None, versions={"lib": "1.2"}, seconds=2.5, results=tuple(results)
    )


def report(*runs: Run) -> Report:
    return Report(made="2026-01-02T03:04:05Z", machine="Linux", kit="0.1.0", seed=7, runs=runs)


OURS = run(
    "ours",
    result("BACK-01", Verdict.PASSED, observed=("grafts at once",)),
    result("PNG-01", Verdict.SKIPPED, reason="mesh: unsupported: mesh"),
)
THEIRS = run(
    "theirs",
    result("BACK-01", Verdict.FAILED, expected="PRUNE", came=HOSTILE, transcript=("0.1 W1 <",)),
    result("BACK-02", Verdict.KNOWN, expected="a", came="b", reason="they leave it out"),
    result("PNG-01", Verdict.BROKEN, reason="Traceback\nZeroDivisionError"),
)
BOTH = report(OURS, THEIRS)


def test_the_terminal_tells_by_section_what_did_not_simply_pass() -> None:
    plain = replace(THEIRS.results[0], came="silence")
    theirs = replace(THEIRS, results=(plain, *THEIRS.results[1:]))
    assert list(report_lines(report(OURS, theirs), TITLES)) == [
        "ours (lib 1.2)",
        "  BACK  backoff                 1 passed",
        "    BACK-01: grafts at once",
        "  PNG   ping                    1 skipped",
        "    skipped: PNG-01 [MUST] does PNG-01",
        "        mesh: unsupported: mesh",
        "  1 passed, 1 skipped in 2.5 s",
        "theirs (lib 1.2)",
        "  BACK  backoff                 1 failed, 1 known deviation",
        "    failed: BACK-01 [MUST] does BACK-01",
        "        expected PRUNE",
        "        came     silence",
        "    known deviation: BACK-02 [MUST] does BACK-02",
        "        expected a",
        "        came     b",
        "        they leave it out",
        "  PNG   ping                    1 broken",
        "    broken: PNG-01 [MUST] does PNG-01",
        "        Traceback",
        "        ZeroDivisionError",
        "  1 failed, 1 known deviation, 1 broken in 2.5 s",
        "  once more: --only BACK-01 --transcript",
    ]


def test_a_terminal_is_not_made_to_do_anything_by_what_came() -> None:
    lines = "".join(report_lines(report(THEIRS), TITLES, transcripts=True))
    assert "\x1b" not in lines
    assert "\x00" not in lines
    assert "\\x1b[2J" in lines


def test_json_holds_all_of_a_report() -> None:
    assert decode_report(encode_report(BOTH)) == BOTH


CUT_SHORT = report(replace(OURS, not_run=("PNG-04", "PNG-05")))


def test_every_form_says_what_an_interrupted_run_did_not_come_to() -> None:
    assert decode_report(encode_report(CUT_SHORT)) == CUT_SHORT
    assert list(report_lines(CUT_SHORT, TITLES))[-2:] == [
        "  1 passed, 1 skipped, 2 not run in 2.5 s",
        "  not run: --only PNG-04,PNG-05",
    ]
    (suite,) = ElementTree.fromstring(encode_junit(CUT_SHORT))
    assert (suite.get("tests"), suite.get("skipped")) == ("4", "3")
    skipped = [case for case in suite.findall("testcase") if case.get("name") == "PNG-05"]
    assert [case.find("skipped") is not None for case in skipped] == [True]
    assert "| 1 passed, 1 skipped, 2 not run |" in encode_markdown(CUT_SHORT, TITLES)
    assert "1 passed, 1 skipped, 2 not run in 2 s" in encode_html(CUT_SHORT, TITLES)


def test_a_report_of_before_runs_could_be_cut_short_is_read() -> None:
    entries = json.loads(encode_report(BOTH))
    for each in entries["runs"]:
        del each["not_run"]
    assert decode_report(json.dumps(entries)) == BOTH


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[]", "list indices"),
        ('{"format": "other", "version": 1}', "'other', version 1"),
        ('{"format": "gossipsub conformance report", "version": 2}', "version 2"),
        ('{"format": "gossipsub conformance report", "version": 1}', "'runs'"),
    ],
)
def test_what_is_no_report_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^not a gossipsub conformance report.*{why}"):
        decode_report(text)


def test_a_build_server_reads_suites_cases_failures_and_reasons() -> None:
    suites = ElementTree.fromstring(encode_junit(BOTH))
    assert [suite.attrib for suite in suites] == [
        {
            "name": "ours",
            "tests": "2",
            "failures": "0",
            "errors": "0",
            "skipped": "1",
            "time": "2.500",
            "timestamp": "2026-01-02T03:04:05",
        },
        {
            "name": "theirs",
            "tests": "3",
            "failures": "1",
            "errors": "1",
            "skipped": "1",
            "time": "2.500",
            "timestamp": "2026-01-02T03:04:05",
        },
    ]
    found = [(case.get("classname"), case.get("name"), case) for case in suites.iter("testcase")]
    assert [(where, name) for where, name, _ in found] == [
        ("ours.BACK", "BACK-01 does BACK-01"),
        ("ours.PNG", "PNG-01 does PNG-01"),
        ("theirs.BACK", "BACK-01 does BACK-01"),
        ("theirs.BACK", "BACK-02 does BACK-02"),
        ("theirs.PNG", "PNG-01 does PNG-01"),
    ]
    children = [[(child.tag, child.get("message")) for child in case] for _, _, case in found]
    came = HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    assert children == [
        [("system-out", None)],
        [("skipped", "mesh: unsupported: mesh")],
        [("failure", f"expected PRUNE; came {came}")],
        [("skipped", "known deviation: they leave it out")],
        [("error", "the case itself went wrong")],
    ]


class Page(HTMLParser):
    """Tags with their attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    page = Page(encode_html(BOTH, TITLES))
    assert {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe"} == set()
    assert [name for _, attributes in page.tags for name in attributes if name == "src"] == []
    assert "url(" not in encode_html(BOTH, TITLES)
    assert "<script>alert('x')</script>" in page.text


def test_the_page_has_a_row_for_each_case_and_a_column_for_each_target() -> None:
    page = Page(encode_html(BOTH, TITLES))
    assert [a["id"] for tag, a in page.tags if tag == "td" and "id" in a] == [
        "BACK-01",
        "BACK-02",
        "PNG-01",
    ]
    marks = [a["class"] for tag, a in page.tags if tag == "span"]
    assert marks == ["passed", "failed", "known", "skipped", "broken"]


def test_markdown_has_a_table_and_tells_each_deviation() -> None:
    plain = replace(THEIRS.results[0], came="a|b <c>")
    theirs = replace(THEIRS, results=(plain, *THEIRS.results[1:]))
    assert encode_markdown(report(OURS, theirs), TITLES).splitlines() == [
        "Made 2026-01-02 on Linux, seed 7.",
        "",
        "| target | versions | outcome | seconds |",
        "|---|---|---|---|",
        "| ours | lib 1.2 | 1 passed, 1 skipped | 2 |",
        "| theirs | lib 1.2 | 1 failed, 1 known deviation, 1 broken | 2 |",
        "",
        "| case | level | what the target does | ours | theirs |",
        "|---|---|---|---|---|",
        "| **BACK** | | **backoff** | | |",
        "| BACK-01 | MUST | does BACK-01 | yes | **no** |",
        "| BACK-02 | MUST | does BACK-02 |  | **no** |",
        "| **PNG** | | **ping** | | |",
        "| PNG-01 | MUST | does PNG-01 | - | **?** |",
        "",
        "### ours",
        "",
        "- BACK-01 leaves a choice: grafts at once",
        "",
        "### theirs",
        "",
        "- **BACK-01** does BACK-01: expected PRUNE; came a\\|b &lt;c>",
        "- **BACK-02** does BACK-02: they leave it out",
        "- **PNG-01** does PNG-01: Traceback ZeroDivisionError",
    ]


def test_reports_are_compared_as_one() -> None:
    assert joined([report(OURS), report(THEIRS)]) == BOTH
    with pytest.raises(ValueError, match=r"^no reports to compare$"):
        joined([])
