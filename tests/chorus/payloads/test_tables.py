"""The tables in docs/chorus-payloads.md are those of the classes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from gossipsub.chorus.payloads.coordination import TaskProgress

CHECKOUT = Path(__file__).resolve().parents[3]
_spec = importlib.util.spec_from_file_location("tables", CHECKOUT / "docs" / "payload_tables.py")
assert _spec is not None
assert _spec.loader is not None
payload_tables = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(payload_tables)


def test_the_page_is_up_to_date() -> None:
    page = payload_tables.PAGE.read_text(encoding="utf-8")
    assert page == payload_tables.renewed(page), "make payload-tables"


def test_a_page_is_renewed_below_the_mark() -> None:
    page = f"# Payloads\n\n{payload_tables.MARK}old\n"
    assert payload_tables.renewed(page) == page.replace("old\n", payload_tables.tables())


def test_a_table_tells_type_fields_kinds_and_meanings() -> None:
    lines = list(payload_tables.table(TaskProgress))
    assert lines[:5] == [
        "\n### TaskProgress\n",
        "`task_progress`. How far a task is.\n",
        "| field | holds | |\n|---|---|---|",
        "| **`task_id`** | text or whole number |  |",
        "| `progress` | number from 0 to 1 | How much of it is done. |",
    ]
