"""docs/command-line.md: its scripts run, and nothing is left out of it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gossipsub.__main__ import main

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
SCRIPTS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = (
    "check-params", "chorus agent", "chorus announce", "chorus claim", "chorus fleet",
    "chorus log export", "chorus log query", "chorus log verify", "chorus presence",
    "chorus tail", "id", "key", "listen", "pub", "replay", "rules", "sub", "top", "trace",
)  # fmt: skip
IN_DETAIL_ELSEWHERE = {"rules": {"--tests"}}


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) == 6


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.splitlines()[0])
def test_a_script_runs_as_it_stands(script: str, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "gossipsub"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m gossipsub "$@"\n')
    command.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_in_the_document(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"gossipsub {command} " in TEXT
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    usage = capsys.readouterr().out.split("\n\n")[0]
    options = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", usage)) - {"-h"}
    missing = {each for each in options if not re.search(rf"(?<![\w-]){each}(?![\w-])", TEXT)}
    assert missing - IN_DETAIL_ELSEWHERE.get(command, set()) == set()
