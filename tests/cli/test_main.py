"""The command `gossipsub` itself: which commands there are, what they load, how they end."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import gossipsub
from gossipsub.__main__ import main
from gossipsub.transport.introduction import AGENT_VERSION

COMMANDS = (
    "bench", "check-params", "chorus", "conformance", "demo", "demo-agent", "id", "key", "listen",
    "peer", "pub", "replay", "rules", "sub", "top", "trace",
)  # fmt: skip
QUICK = ("id", "key", "listen", "pub", "sub", "top", "trace")
"""Whose help must not wait for a host to be loaded."""
TESTS = Path(__file__).resolve().parents[1]
"""Named to `rules`: an installed package has no tests beside it."""


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"gossipsub {gossipsub.__version__}\n", "")
    assert f"gossipsub-python/{gossipsub.__version__}" == AGENT_VERSION


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_names_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    named = sorted(line.split()[0] for line in printed if line.startswith("  ") and line[2] != " ")
    assert tuple(named) == COMMANDS


def test_no_command_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("usage: gossipsub COMMAND")


def test_a_command_that_is_not_there_is_2_and_a_near_one_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["lisen"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gossipsub: no such command: lisen (did you mean listen?)\n\nusage: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["help", command])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")


def test_help_is_quick_because_nothing_of_a_host_is_loaded_for_it() -> None:
    code = f"""
import contextlib, io, sys
from gossipsub.__main__ import main
for words in ([], *([command, "--help"] for command in {QUICK})):
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main(words)
heavy = "asyncio", "cryptography", "google.protobuf", "importlib.metadata", "multiaddr", "trio"
print(*(name for name in (*heavy, "gossipsub.host", "gossipsub.router") if name in sys.modules))
"""
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "\n"


def test_nobody_who_reads_is_a_quiet_end() -> None:
    """`rules --list` writes more than a pipe holds."""
    with subprocess.Popen(
        [sys.executable, "-m", "gossipsub", "rules", "--list", "--tests", str(TESTS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "words", [f"rules --tests {shlex.quote(str(TESTS))}", "listen"], ids=["rules", "listen"]
)
def test_a_full_disk_is_1_and_a_sentence(words: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m gossipsub {words} >/dev/full"
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert ran.stderr.endswith(": [Errno 28] No space left on device\n")
    assert ran.stderr.count("\n") == 1


def test_closed_streams_are_no_trouble() -> None:
    command = f"{shlex.quote(sys.executable)} -m gossipsub pub t --wait-for 0 --allow-nobody"
    ran = subprocess.run(["sh", "-c", f"{command} <&- >&-"], capture_output=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, b"")


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("gossipsub.conformance.rules.main", interrupted)
    assert main(["rules"]) == 130
