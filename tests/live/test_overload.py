"""A node under a flood, with a go node among its honest peers: a small run of the benchmark.

What depends on the machine's speed and load is only printed by the benchmark; here is what holds
on any machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gossipsub import HostConfig
from gossipsub.benchmarks.overload import main

SMALL = [
    *("--before", "1.5", "--seconds", "2", "--after", "2", "--rate", "20000", "--flooders", "1"),
    *("--connections", "3", "--honest-rate", "5", "--json"),
]
MEMORY_BYTES = 150 << 20


def run(variant: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    main([*SMALL, "--variant", variant])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)["runs"][variant]
    return told


def test_a_flood_neither_silences_honest_peers_nor_takes_more_than_the_bounds(
    go_peer_available: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = run("forged", capsys)
    assert told["sent_per_s"] > 0
    assert told["rejections"]  # the flood was felt
    for topic in ("flooded", "quiet"):
        for peer in ("go", "python"):
            assert told["honest_share"][topic][peer]["sent"] > 0
            assert told["honest_share"][topic][peer]["share"] == 1.0
    assert told["relayed_share"] == {"go": 1.0, "python": 1.0}
    assert told["most_waiting"] <= HostConfig().validation_queue
    assert told["memory_growth_bytes"] < MEMORY_BYTES
    assert told["pings_unanswered"] == 0
    assert told["honest_disconnected"] == []
