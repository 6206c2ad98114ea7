"""One table in each of its looks."""

from __future__ import annotations

import io
import sys

import pytest

from gossipsub.benchmarks.harness.layout import markdown_lines, plain_lines, print_tables
from gossipsub.benchmarks.harness.table import Table

TABLE = Table(
    "pair, flood, signed",
    ("size", "peer", "CPU", "x go"),
    [("1 KiB", "python", "238 (230-251)", "1.48"), ("", "go", "161", "1.00")],
    ["rust: a|b <c> \x1b[31m"],
)
PLAIN = """\
pair, flood, signed
  size   peer              CPU  x go
  1 KiB  python  238 (230-251)  1.48
         go                161  1.00
  rust: a|b <c> \\x1b[31m
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_columns_have_words_to_the_left_and_numbers_to_the_right() -> None:
    assert "\n".join([*plain_lines(TABLE), ""]) == PLAIN


def test_a_table_without_rows_is_its_title_and_notes() -> None:
    assert list(plain_lines(Table("pair", ("peer",), notes=["js: no node"]))) == [
        "pair",
        "  js: no node",
    ]


def test_markdown_escapes_what_would_break_the_table() -> None:
    assert list(markdown_lines([TABLE])) == [
        "### pair, flood, signed",
        "",
        "| size | peer | CPU | x go |",
        "| --- | --- | ---: | ---: |",
        "| 1 KiB | python | 238 (230-251) | 1.48 |",
        "|  | go | 161 | 1.00 |",
        "",
        "- rust: a\\|b &lt;c> \\x1b[31m",
        "",
    ]


def test_a_file_gets_plain_columns() -> None:
    file = io.StringIO()
    print_tables([TABLE, TABLE], file)
    assert file.getvalue() == f"{PLAIN}\n" * 2


def test_a_terminal_without_rich_gets_plain_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    file = Terminal()
    print_tables([TABLE], file)
    assert file.getvalue() == f"{PLAIN}\n"


def test_a_terminal_with_rich_gets_all_cells_and_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    file = Terminal()
    print_tables([TABLE], file)
    shown = file.getvalue()
    for text in (TABLE.title, *TABLE.columns, *TABLE.rows[0], *TABLE.rows[1], "a|b <c> \\x1b[31m"):
        assert text in shown
