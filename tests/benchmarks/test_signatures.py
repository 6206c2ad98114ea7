"""The benchmark of signatures runs and tells its figures; how high they are is not tested."""

from __future__ import annotations

import json

import pytest

from gossipsub.benchmarks.signatures import main

QUICK = ["--batches", "2", "--rounds", "1", "--size", "10"]


def test_it_tells_rates_of_one_and_two_threads_and_how_late_others_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*QUICK, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == [
        "versions", "size", "per_second_1", "per_second_2", "late_median_s", "late_p99_s",
    ]  # fmt: skip
    assert report["size"] == 10
    assert min(report["per_second_1"], report["per_second_2"]) > 0
    assert report["late_p99_s"] >= report["late_median_s"]


def test_it_prints_the_same_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(QUICK) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == "signatures over 10 B, the best round:"
    assert [line.split()[1] for line in printed[2:4]] == ["thread", "threads"]
