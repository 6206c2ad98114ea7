"""The whole command: a short run of our own node, what becomes of it, and two runs compared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gossipsub.benchmarks.harness.command import main
from gossipsub.benchmarks.harness.results import Figure, Measurement, Run
from gossipsub.cli.exit_status import INTERRUPTED
from gossipsub.peer import installed
from tests.benchmarks.harness.made_up import run

SHORT = ("--peers", "python", "--only", "pair", "--sizes", "256", "--repeats", "1")


def test_a_short_run_of_a_pair_shows_and_stores_what_it_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    plots = tmp_path / "plots"
    output = ("--json", str(file), "--plots", str(plots))
    status = main([*SHORT, "--seconds", "0.2", "--rate", "100", *output])
    assert status == 0
    shown = capsys.readouterr().out
    assert "pair, flood, signed" in shown
    assert "pair, gentle, signed" in shown
    assert "all nodes: outboundQueue 1024, validateQueue 1024, subBuffer 4096" in shown
    stored = Run.from_json(file.read_text(encoding="utf-8"))
    assert sorted(each.name for each in plots.iterdir()) == [
        *("cpu.svg", "latency.svg", "throughput.svg")
    ]
    flood, gentle = stored.measurements
    assert (flood.failure, gentle.failure, flood.figures["lost"].most) == ("", "", 0)
    assert (flood.peer, flood.backend, flood.size, gentle.size) == ("python", "asyncio", 256, 256)
    assert "verify.256" in stored.floor
    assert {"python", "cryptography", "python: gossipsub"} <= set(stored.versions)

    assert main(["--compare", str(file), str(file)]) == 0
    assert "1.00" in capsys.readouterr().out


def test_stored_runs_are_judged_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slow, fast, rust = (
        Measurement(workload="setup", peer=peer, figures={"setup": Figure((took,), "ms")})
        for peer, took in (("python", 9.0), ("python", 4.0), ("rust", 1.0))
    )
    files = [str(tmp_path / name) for name in ("first", "second", "third")]
    for file, found in zip(files, (slow, fast, rust), strict=True):
        Path(file).write_text(run(found).to_json())
    page = tmp_path / "page.md"
    assert main(["--markdown", str(page), "--judge", *files]) == 0
    assert "python, setup, setup" in capsys.readouterr().out
    assert "| python, setup, setup | ms | 4 | at most 5 | 0.80 | yes |" in page.read_text()
    assert main(["--judge", files[0], str(tmp_path / "none")]) == 2


def test_who_cannot_take_part_is_told_and_alone_it_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    assert main(["--peers", "python+fast", "--only", "pair", "--sizes", "256"]) == 1
    assert "(pip install gossipsub[fast])" in capsys.readouterr().out


@pytest.mark.parametrize("text", [None, "", "{}", "[1]"])
def test_what_is_no_run_cannot_be_compared(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    if text is not None:
        file.write_text(text)
    assert main(["--compare", str(file), str(file)]) == 2
    assert capsys.readouterr().err.startswith("gossipsub bench: ")


@pytest.mark.timeout(300)
def test_after_an_interrupt_what_was_measured_is_stored_and_no_node_runs(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    arguments = [*SHORT, "--loads", "gentle", "--seconds", "0.2", "--repeats", "100"]
    command = [sys.executable, "-m", "gossipsub", "bench", *arguments, "--json", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 200
        while len(children := _children(process.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert len(children) == 2
    assert not any(_runs(child) for child in children)
    assert Run.from_json(file.read_text(encoding="utf-8")).repeats == 100


def _children(pid: int) -> list[int]:
    """Those of one process, on Linux; the test needs no other system to hold."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        pytest.skip("the system does not say which processes are children")
    return [int(word) for word in text.split()]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
