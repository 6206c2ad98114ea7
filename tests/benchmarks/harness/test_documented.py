"""docs/benchmarking.md says what the harness does: its commands, and the names of its figures."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gossipsub.benchmarks.harness.aims import all_aims
from gossipsub.benchmarks.harness.arguments import parse_arguments
from gossipsub.benchmarks.harness.plots import PICTURES
from gossipsub.benchmarks.harness.single import SINGLE
from gossipsub.benchmarks.harness.workload import LOADS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "benchmarking.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = re.findall(r"^gossipsub bench(.*)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_one_that_it_takes(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    parse_arguments(shlex.split(command, comments=True))


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("name", [*SINGLE, *LOADS])
def test_each_workload_and_load_is_explained(name: str) -> None:
    assert re.search(rf"^\| `{name}`", TEXT, re.MULTILINE)


def test_the_aims_are_those_that_are_judged() -> None:
    section = TEXT.split("## The aims")[1].split("\n## ")[0]
    listed = re.findall(r"^- (.+)$", section, re.MULTILINE)
    assert listed == list(dict.fromkeys(aim.text for aim in all_aims()))


@pytest.mark.parametrize("name", PICTURES)
def test_each_picture_is_named(name: str) -> None:
    assert f"`{name}.svg`" in TEXT
