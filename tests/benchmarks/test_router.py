"""The router's benchmark runs and says what it measured."""

from __future__ import annotations

import json

import pytest

from gossipsub.benchmarks.router import main

SMALL = [
    *("--forward-to", "7", "--topics", "1", "2", "--messages", "3", "--size", "16"),
    *("--heartbeat-topics", "2", "--heartbeat-peers", "5", "--heartbeats", "2", "--repeats", "2"),
]


def test_it_measures_each_case_with_scoring_off_and_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--seed", "7", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["seed"], result["size"], result["repeats"]) == ("7", 16, 2)
    assert {"python", "protobuf", "machine"} == set(result["versions"])
    cases = [(c["what"], c["topics"], c["peers"], c["scoring"]) for c in result["cases"]]
    assert cases == [
        case
        for scoring in (False, True)
        for case in (
            ("new message", 1, 8, scoring),
            ("duplicate", 1, 8, scoring),
            ("new message", 2, 8, scoring),
            ("duplicate", 2, 8, scoring),
            ("heartbeat", 2, 5, scoring),
        )
    ]
    for case in result["cases"]:
        assert 0 < case["min_us"] <= case["median_us"] <= case["max_us"]


def test_it_prints_the_figures_beside_the_aims(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--repeats", "1"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == "seed 0, messages of 16 B, 1 repeats"
    assert "duplicate, 2 topics, 8 peers, scoring on" in printed
    assert [line.split()[-1] for line in printed[4::2]] == ["20", "4", "20", "4", "20000"] * 2


def test_peers_that_are_no_mesh_are_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="not all peers are in all meshes"):
        main([*SMALL, "--forward-to", "40"])
