"""The demo as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gossipsub.cli import demo
from gossipsub.conformance.build import PeerUnavailable


def run_demo(*flags: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gossipsub", "demo", *flags],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def summary_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def test_five_agents_complete_their_tasks_and_every_message_reaches_everyone() -> None:
    done = run_demo("--no-go", "--json", "--tasks", "6")
    summary = summary_of(done)
    assert done.returncode == 0, done.stderr
    assert (summary["completed"], summary["missing"], summary["messages"]) == (6, 0, 24)
    assert [agent["implementation"] for agent in summary["agents"]] == ["python"] * 5
    assert [agent["lost"] + agent["repeated"] for agent in summary["agents"]] == [0] * 5
    assert sum(agent["completed"] for agent in summary["agents"]) == 6


def test_a_go_peer_takes_part_and_misses_nothing(go_peer_available: Path) -> None:
    done = run_demo("--json", "--tasks", "12")
    summary = summary_of(done)
    assert done.returncode == 0, done.stderr
    made_with = [agent["implementation"] for agent in summary["agents"]]
    assert made_with == ["python"] * 5 + ["go-libp2p"]
    assert (summary["completed"], summary["missing"]) == (12, 0)


def test_a_demo_that_cannot_finish_says_so_and_fails() -> None:
    done = run_demo("--no-go", "--json", "--timeout", "0.2")
    assert done.returncode == 1
    assert summary_of(done)["failure"] == "not finished within 0.2 s"


def test_without_go_it_says_so_and_runs_the_five(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_go() -> Path:
        raise PeerUnavailable("go", "go is not installed")

    monkeypatch.setattr(demo, "build_go_peer", no_go)
    assert demo.main(["--tasks", "2"]) == 0
    told = capsys.readouterr().out
    assert "without a go peer: " in told
    assert "go is not installed" in told
    assert "2 of 2 tasks completed, 8 messages, 0 missing." in told


@pytest.mark.parametrize(
    "flags",
    [("--agents", "1"), ("--tasks", "0"), ("--pace", "-1"), ("--timeout", "nan"), ("--nonsense",)],
)
def test_a_wrong_flag_ends_with_status_2(flags: tuple[str, ...]) -> None:
    done = run_demo(*flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: gossipsub demo")
