"""The public API has pages, and each name on them says what it is."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
_spec = importlib.util.spec_from_file_location("api_pages", CHECKOUT / "docs" / "api_pages.py")
assert _spec is not None
assert _spec.loader is not None
api_pages = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(api_pages)


def public_names() -> Iterator[tuple[str, object]]:
    for module_name in api_pages.MODULES:
        module = import_module(module_name)
        for name in getattr(module, "__all__", ()):
            yield f"{module_name}.{name}", getattr(module, name)


def without_docstring(where: str, thing: object) -> Iterator[str]:
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return
    if not inspect.getdoc(thing):
        yield where
    for name in vars(thing) if inspect.isclass(thing) else ():
        member = inspect.getattr_static(thing, name)
        is_ours = inspect.isroutine(member) or isinstance(member, property)
        if not name.startswith("_") and is_ours and not inspect.getdoc(getattr(thing, name)):
            yield f"{where}.{name}"


@pytest.mark.parametrize("module", api_pages.MODULES)
def test_a_public_module_says_what_it_is(module: str) -> None:
    assert inspect.getdoc(import_module(module))


def test_every_public_class_function_method_and_property_has_a_docstring() -> None:
    assert [each for name in public_names() for each in without_docstring(*name)] == []


def test_each_public_module_has_a_page_that_names_what_is_in_it(tmp_path: Path) -> None:
    api_pages.write_pages(tmp_path)
    for module in api_pages.MODULES:
        page = tmp_path / f"{module.replace('.', '/')}.html"
        text = page.read_text(encoding="utf-8")
        missing = [
            name
            for name in getattr(import_module(module), "__all__", ())
            if f'id="{name}"' not in text
        ]
        assert missing == [], module
