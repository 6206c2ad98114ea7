"""A small network under chaos, go among it: after the killing everybody hears everybody."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gossipsub.benchmarks import chaos
from gossipsub.benchmarks.chaos_network import Node, plan_network

SMALL = [
    *("--seconds", "7", "--nodes", "5", "--go", "1", "--bootstraps", "2"),
    *("--kill-interval", "0.8", "--settle", "1", "--messages", "2", "--seed", "2"),
]


def test_survivors_of_killed_and_stopped_processes_are_one_mesh_again(
    go_peer_available: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = chaos.main([*SMALL, "--patience", "60", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (report["failures"], status) == ([], 0)
    assert report["killed"] >= 1
    assert report["survivors"] >= 2
    assert report["last_deliveries"]["missing"] == 0
    assert report["last_deliveries"]["due"] > 0
    assert report["delivered_twice"] == 0


def test_a_network_that_falls_apart_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def strangers(*arguments: Any, **options: Any) -> list[Node]:
        nodes = plan_network(*arguments, **options)
        for node in nodes:
            node.bootstrap = ()
        return nodes

    monkeypatch.setattr(chaos, "plan_network", strangers)
    monkeypatch.setattr(chaos, "FINAL_SECONDS", 0.5)
    two = ["--nodes", "2", "--go", "0", "--bootstraps", "1", "--seconds", "0.1"]
    assert chaos.main([*two, "--patience", "1", "--messages", "2", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["failures"] == [
        "the mesh never stood before the killing",
        "node 0 has 0 mesh peers of 0 it knows",
        "node 1 has 0 mesh peers of 0 it knows",
        "the mesh falls apart: 1 of 2 are joined",
        "4 of 4 last deliveries never came",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_that_is_ended_leaves_no_process_behind() -> None:
    two_nodes = ["--nodes", "2", "--go", "0", "--bootstraps", "1"]
    run = subprocess.Popen(
        [sys.executable, "-m", "gossipsub.benchmarks.chaos", *two_nodes],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while len(children := _children(run.pid)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == 130
    finally:
        run.kill()
        run.wait()
    assert [child for child in children if Path(f"/proc/{child}").exists()] == []


def _children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(child) for child in found.split()]
