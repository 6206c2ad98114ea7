"""`gossipsub chorus` itself: which commands there are, and what they load."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gossipsub.__main__ import main
from gossipsub.cli.chorus.command import COMMANDS

QUICK = tuple(name for name in COMMANDS if name != "fleet")
"""Whose help must not wait for an agent to be loaded."""


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chorus", "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {name} " in printed for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chorus", command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: gossipsub chorus {command} ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["agnt", "x"], "no such command: agnt (did you mean agent?)"),
        (["zzz"], "no such command: zzz"),
    ],
)
def test_a_command_that_is_not_there_is_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chorus", *words])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"gossipsub chorus: error: {complaint}\n")


def test_help_is_quick_because_nothing_of_an_agent_is_loaded_for_it() -> None:
    code = f"""
import contextlib, io, sys
from gossipsub.__main__ import main
for command in {QUICK}:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main(["chorus", command, "--help"])
heavy = "asyncio", "cryptography", "google.protobuf", "sqlite3", "gossipsub.host"
print(*(name for name in (*heavy, "gossipsub.chorus.pubsub") if name in sys.modules))
"""
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "\n"
