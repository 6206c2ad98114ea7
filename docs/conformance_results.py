"""Writes docs/conformance-results.md from reports of the kit: `make conformance-all` calls it."""

from __future__ import annotations

import sys
from pathlib import Path

from gossipsub.conformance.kit.comparison import joined
from gossipsub.conformance.kit.report_json import decode_report
from gossipsub.conformance.kit.report_markdown import encode_markdown
from gossipsub.conformance.rules import load_areas

PAGE = Path(__file__).with_name("conformance-results.md")
HEAD = """\
# What each implementation does

The [conformance kit](conformance-kit.md) on each target; `make conformance-all` writes this page
anew. "yes": the target does what the rule says. "no": it does not, and below it stands what it does
instead and where that can be read; whether the specification leaves room for it is said there too.
"-": the case could not be tried, mostly because the library has no parameter or query for it. Rules
marked SHOULD or MAY may be left undone. `gossipsub conformance --explain CASE` has the rule and its
source. [Where implementations differ](conformance-differences.md) tells it in short.

If you know one of these implementations and see something unfair here, tell us: the reasons are the
files in [conformance/deviations](../conformance/deviations).

"""


def write_page(reports: list[Path]) -> None:
    """ValueError where a file is no report."""
    report = joined([decode_report(file.read_text(encoding="utf-8")) for file in reports])
    PAGE.write_text(HEAD + encode_markdown(report, load_areas()), encoding="utf-8")


if __name__ == "__main__":
    write_page([Path(file) for file in sys.argv[1:]])
