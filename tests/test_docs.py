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
_FENCE = re.compile(r"^```(\S*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


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
