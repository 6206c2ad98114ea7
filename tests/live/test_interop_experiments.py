"""The public GossipSub experiments with mixed nodes, each in a network namespace of its own.

All at once, since they mostly wait. docs/interop-experiments.md has larger ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from gossipsub.conformance.build import PeerUnavailable, build_go_interop_node
from gossipsub.conformance.interop import run
from gossipsub.conformance.interop.results import read_results
from gossipsub.conformance.interop.run import (
    Experiment,
    RunFailed,
    namespaces_missing,
    run_experiment,
)

pytestmark = pytest.mark.timeout(900)  # the Go node may have to be built first

GO_AND_OURS = {"go": 1, "python": 1}
EXPERIMENTS = (
    Experiment(scenario="subnet-blob-msg", nodes=6, composition=GO_AND_OURS, gossip=False),
    Experiment(scenario="simple-fanout", nodes=6, composition=GO_AND_OURS),
    Experiment(scenario="partial-messages", nodes=6, composition=GO_AND_OURS),
    Experiment(scenario="partial-messages-chain", nodes=8, composition=GO_AND_OURS, gossip=False),
    Experiment(scenario="partial-messages-fanout", nodes=4, composition=GO_AND_OURS, seed=1),
    Experiment(scenario="partial-messages-fanout", nodes=4, composition=GO_AND_OURS, seed=4),
)


@pytest.fixture(scope="module")
def namespaces() -> None:
    """Skips where no namespaces can be made; in CI they can where it runs as root."""
    reason = namespaces_missing()
    if reason is not None:
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            pytest.fail(f"CI runs as root, but {reason}")
        pytest.skip(reason)


@pytest.fixture(scope="module")
def go_node(go_peer_available: Path) -> None:
    """Built by what builds the Go peer, so it can be had where that can."""
    try:
        build_go_interop_node()
    except PeerUnavailable as error:
        pytest.fail(str(error))


def failures(experiment: Experiment, output: Path) -> list[str]:
    try:
        statuses = run_experiment(experiment, output)
    except RunFailed as error:
        return [str(error)]
    return read_results(experiment.script(), statuses, output).failures()


@pytest.mark.rule("SIM-07")
@pytest.mark.usefixtures("namespaces", "go_node")
def test_every_message_and_part_reaches_everybody_in_every_scenario(tmp_path: Path) -> None:
    first = {each.implementations()[0] for each in EXPERIMENTS[-2:]}
    assert first == {"go", "python"}  # who gives parts from outside of the topic
    with ThreadPoolExecutor(len(EXPERIMENTS)) as pool:
        outputs = [tmp_path / str(number) for number in range(len(EXPERIMENTS))]
        told = list(pool.map(failures, EXPERIMENTS, outputs))
    # Scripts go by the clock: what a busy machine was too slow for has another chance, with time.
    for experiment, output, failed in zip(EXPERIMENTS, outputs, told, strict=True):
        if failed:
            again = failures(replace(experiment, timing="patient"), output / "again")
            assert again == [], f"{experiment}, after {failed}"


@pytest.mark.usefixtures("namespaces")
def test_a_node_that_fails_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    broken = Experiment(
        scenario="simple-fanout",
        nodes=2,
        composition={"broken": 1, "python": 1},
        programs={"broken": ["false"]},
    )
    links = os.listdir("/sys/class/net")
    statuses = run_experiment(broken, tmp_path)
    number = broken.implementations().index("broken")
    assert statuses[number] == 1
    assert (
        f"node{number} ended with 1" in read_results(broken.script(), statuses, tmp_path).failures()
    )
    assert os.listdir("/sys/class/net") == links


@pytest.mark.usefixtures("namespaces")
def test_nobody_starts_where_one_of_ours_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(run.OWN, "python", lambda: ["sh", "-c", "hostname; echo no >&2; exit 3"])
    experiment = Experiment(scenario="simple-fanout", nodes=2, composition={"python": 1})
    with pytest.raises(RunFailed) as caught:
        run_experiment(experiment, tmp_path)
    assert str(caught.value) == "did not start: node0 (no), node1 (no)"
    for node in ("node0", "node1"):
        assert (tmp_path / "hosts" / node / f"{node}.stdout").read_text() == f"{node}\n"


@pytest.mark.usefixtures("namespaces")
def test_a_run_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gossipsub.conformance.interop", "--nodes", "2"]
    flags = ["--composition", "python", "--timing", "public", "--output", str(tmp_path / "run")]
    log = tmp_path / "run" / "hosts" / "node1" / "node1.stdout"
    runner = subprocess.Popen([*command, *flags], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: log.is_file() and b"PeerID" in log.read_bytes())
    finally:
        runner.kill()  # it can tidy nothing up
        runner.wait()
    wait_until(lambda: (tmp_path / "run" / "outcome.json").is_file())
    outcome = json.loads((tmp_path / "run" / "outcome.json").read_text())
    assert outcome == {"failure": "nobody waits for the outcome", "statuses": []}


@pytest.mark.usefixtures("namespaces")
def test_logs_of_another_run_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    with pytest.raises(RunFailed, match="holds the logs of another run"):
        run_experiment(EXPERIMENTS[0], tmp_path)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
