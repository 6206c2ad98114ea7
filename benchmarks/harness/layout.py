"""Tables as text: in columns for terminals, by rich where it is installed, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from gossipsub.benchmarks.harness.table import Table
from gossipsub.cli.text import printable

if TYPE_CHECKING:
    from rich.console import Console

TEXT_COLUMNS = frozenset(
    {"size", "peer", "role", "figure", "operation", "layer", "unit", "aim", "has to be", "met"}
)
"""Headings of what is aligned to the left; all others have numbers below them."""


def print_tables(tables: Iterable[Table], file: TextIO) -> None:
    """By rich on a terminal that has it, else in plain columns."""
    try:
        from rich.console import Console
    except ImportError:
        console = None
    else:
        console = Console(file=file, highlight=False) if file.isatty() else None
    for table in tables:
        if console is None:
            print("\n".join([*plain_lines(table), ""]), file=file)
        else:
            _print_rich(table, console)


def plain_lines(table: Table) -> Iterator[str]:
    """Columns of spaces, no line longer than its cells need."""
    yield table.title
    grid = [table.columns, *table.rows] if table.rows else []
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    for row in grid:
        cells = [
            cell.ljust(width) if name in TEXT_COLUMNS else cell.rjust(width)
            for cell, width, name in zip(row, widths, table.columns, strict=True)
        ]
        yield ("  " + "  ".join(cells)).rstrip()
    yield from (f"  {printable(note)}" for note in table.notes)


def markdown_lines(tables: Iterable[Table]) -> Iterator[str]:
    """Each table below a heading of the third level, for a page to take in."""
    for table in tables:
        yield from (f"### {table.title}", "")
        if table.rows:
            yield _markdown_row(table.columns)
            yield _markdown_row(
                ["---" if name in TEXT_COLUMNS else "---:" for name in table.columns]
            )
            yield from map(_markdown_row, table.rows)
            yield ""
        for note in table.notes:
            yield f"- {_escaped(note)}"
        if table.notes:
            yield ""


def markdown_text(tables: Iterable[Table]) -> str:
    """The same as one text."""
    return "\n".join(markdown_lines(tables)) + "\n"


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _escaped(text: str) -> str:
    return printable(text).replace("|", "\\|").replace("<", "&lt;")


def _print_rich(table: Table, console: Console) -> None:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        title=table.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
    )
    for name in table.columns:
        shown.add_column(name, justify="left" if name in TEXT_COLUMNS else "right")
    for row in table.rows:
        of_floor = any(cell.startswith("floor") for cell in row[:2])
        shown.add_row(*(Text(cell) for cell in row), style="dim" if of_floor else "")
    console.print(shown)
    for note in table.notes:
        console.print(Text(f"  {printable(note)}"))
