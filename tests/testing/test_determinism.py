"""One seed decides everything."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gossipsub.testing import EventLog, Link, Network, connect_line
from gossipsub.testing.scenarios import Setup, nodes_restart, steady_state

PROGRAM = """
from gossipsub.testing import EventLog, Link
from gossipsub.testing.scenarios import Setup, nodes_restart

log = EventLog()
link = Link(latency=0.05, jitter=0.02, loss=0.05, bandwidth=200_000.0)
setup = Setup(
    nodes=25, links=8, link=link, messages=20, size=2000, seed={seed}, observer=log,
    validation_delay=0.003,
)
report = nodes_restart(setup, fraction=0.4, downtime=1.0)
print(log.digest(), report.digest, report.events)
"""


def run(seed: int, hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(seed=seed)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.mark.rule("SIM-02")
def test_a_seed_gives_the_same_events_byte_for_byte_under_any_hash_seed() -> None:
    first = run(1, "0")
    assert run(1, "1") == run(1, "4711") == first
    assert run(2, "0") != first


def test_the_event_log_is_the_same_line_by_line() -> None:
    logs = [EventLog(keep=True), EventLog(keep=True)]
    for log in logs:
        setup = Setup(nodes=20, links=6, messages=5, link=Link(jitter=0.01), observer=log)
        steady_state(setup)
    assert logs[0].lines == logs[1].lines
    kinds = {line.split()[1] for line in logs[0].lines}
    assert kinds == {b"connected", b"sent", b"arrived", b"delivered", b"timer"}


def test_watching_changes_nothing() -> None:
    watched = Setup(nodes=30, links=8, messages=20, size=2000, observer=EventLog())
    alone = Setup(nodes=30, links=8, messages=20, size=2000)
    assert nodes_restart(watched) == nodes_restart(alone)


def test_the_log_tells_of_drops_and_of_connections_that_close() -> None:
    log = EventLog(keep=True)
    network = Network(observer=log, link=Link(loss=1.0))
    connect_line(network, network.add_nodes(2))
    network.subscribe(network.nodes[0], "t")
    network.disconnect(*network.nodes)
    assert [line.split()[1] for line in log.lines] == [
        b"connected",
        b"sent",
        b"dropped",
        b"disconnected",
    ]
    assert EventLog().digest() != log.digest()
