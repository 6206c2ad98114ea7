"""Every example in the documents runs, or says that it is not meant to."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")]
INDEX = CHECKOUT / "docs" / "README.md"
_FENCE = re.compile(r"^```(\S*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    where: str
    language: str
    flags: str
    code: str


def examples() -> list[Example]:
    return [
        Example(f"{path.name}-{number}", *found)
        for path in sorted(DOCUMENTS)
        for number, found in enumerate(_FENCE.findall(path.read_text(encoding="utf-8")), 1)
    ]


def python_examples(*, runs: bool) -> list[Example]:
    return [
        example
        for example in examples()
        if example.language == "python" and ("no-run" not in example.flags) is runs
    ]


@pytest.mark.parametrize(
    "example", python_examples(runs=True), ids=lambda example: str(example.where)
)
def test_a_python_example_runs_as_it_stands(example: Example, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", example.code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "example", python_examples(runs=False), ids=lambda example: str(example.where)
)
def test_a_python_example_that_is_not_run_is_at_least_python(example: Example) -> None:
    compile(example.code, example.where, "exec")


def test_the_readme_has_examples_that_run() -> None:
    assert any(example.where.startswith("README") for example in python_examples(runs=True))


def test_every_command_the_readme_names_exists() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for command in sorted(set(re.findall(r"^gossipsub ([\w-]+)", readme, re.MULTILINE))):
        done = subprocess.run(
            [sys.executable, "-m", "gossipsub", command, "--help"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"


def prose(path: Path) -> str:
    """A document without its examples, whose brackets and `#` are no links and headings."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """What `#…` may follow the document's name, by GitHub's rule."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(path)):
        anchor = plain = re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-")
        number = 0
        while anchor in found:
            number += 1
            anchor = f"{plain}-{number}"
        found.add(anchor)
    return found


def links(path: Path) -> list[str]:
    """Those to other files and headings of the checkout."""
    return [link for link in _LINK.findall(prose(path)) if "://" not in link]


def broken(path: Path, link: str) -> str | None:
    """What is wrong with the link in the document."""
    name, _, anchor = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    if not target.exists():
        return f"{path.name}: no such file: {link}"
    if anchor and anchor not in anchors(target):
        return f"{path.name}: no such heading: {link}"
    return None


@pytest.mark.parametrize("path", sorted(DOCUMENTS), ids=lambda path: str(path.name))
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    assert [fault for link in links(path) if (fault := broken(path, link))] == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    assert broken(INDEX, "missing.md") == "README.md: no such file: missing.md"
    assert broken(INDEX, "rules.md#missing") == "README.md: no such heading: rules.md#missing"
    assert broken(INDEX, "#all-pages") is None


def test_the_index_lists_every_page_once() -> None:
    pages = sorted(path.name for path in CHECKOUT.glob("docs/*.md") if path != INDEX)
    listed = [link for link in links(INDEX) if "/" not in link and "#" not in link]
    assert sorted(listed) == pages


def test_the_readme_leads_to_the_index() -> None:
    assert "docs/README.md" in links(CHECKOUT / "README.md")
