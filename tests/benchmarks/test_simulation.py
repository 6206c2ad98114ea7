"""The simulator's benchmark runs and says what it measured."""

from __future__ import annotations

import json

import pytest

from gossipsub.benchmarks.simulation import main

SMALL = ["--nodes", "20", "--links", "6", "--seconds", "5", "--rate", "2"]


def test_it_measures_what_it_was_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["simulated_seconds"] == 5.0
    assert result["report"]["messages"] == 10
    assert result["report"]["deliveries"] == 190
    assert result["report"]["delivery_ratio"] == 1.0
    assert result["simulated_per_cpu_second"] > 0
    assert result["peak_memory_bytes"] > 2**20


def test_it_prints_rates_and_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--loss", "0.1", "--bandwidth", "1e6"]) == 0
    printed = capsys.readouterr().out
    assert "20 nodes, 10.0 s simulated" in printed
    assert "virtual seconds and" in printed
    assert "peak memory" in printed


def test_it_tells_where_the_time_goes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--profile"]) == 0
    assert "receive_rpc" in capsys.readouterr().out
