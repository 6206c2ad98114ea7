"""Writes the tables of docs/chorus-payloads.md from the classes: `make payload-tables`."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from gossipsub.chorus.payloads import PAYLOADS, Payload
from gossipsub.chorus.payloads.schema import schema_of

PAGE = Path(__file__).resolve().parent / "chorus-payloads.md"
MARK = "<!-- What follows is written by `make payload-tables`. -->\n"


def meanings(payload: type[Payload]) -> dict[str, str]:
    """The docstring below each field that has one."""
    tree = ast.parse(inspect.getsource(payload))
    declared = tree.body[0]
    found: dict[str, str] = {}
    if isinstance(declared, ast.ClassDef):
        for field, text in zip(declared.body, declared.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def table(payload: type[Payload]) -> Iterator[str]:
    """The lines about one message type."""
    said = meanings(payload)
    schema = schema_of(payload)
    yield f"\n### {payload.__name__}\n"
    yield f"`{payload.message_type}`. {inspect.getdoc(payload)}\n"
    yield "| field | holds | |\n|---|---|---|"
    for name, kind in schema.kinds.items():
        field = f"**`{name}`**" if name in schema.required else f"`{name}`"
        yield f"| {field} | {kind.words} | {said.get(name, '')} |"


def tables() -> str:
    """Those of all message types, by group."""
    lines: list[str] = []
    group = ""
    for payload in PAYLOADS.values():
        if payload.__module__ != group:
            group = payload.__module__
            lines.append(f"\n## Fields: {group.rpartition('.')[2]}\n")
            lines.append(inspect.getdoc(sys.modules[group]) or "")
        lines += table(payload)
    return "\n".join(lines) + "\n"


def renewed(page: str) -> str:
    """The page with its tables as they should be."""
    before, mark, _ = page.partition(MARK)
    return before + mark + tables()


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
