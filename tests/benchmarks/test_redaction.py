"""The benchmark of redaction runs and tells its figures; how fast it is is not tested."""

from __future__ import annotations

import json

import pytest

from gossipsub.benchmarks.redaction import main

QUICK = ["--seconds", "0.001"]


def test_ours_finds_all_that_is_planted_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*QUICK, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    for name in ("ours with re2", "ours without re2"):
        row = report["tools"][name]
        assert (row["found"], row["in_vain"]) == (report["planted"], 0)
        assert 0 < row["clean_us"] < row["planted_us"]


def test_it_prints_the_same_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(QUICK) == 0
    assert "ours with re2" in capsys.readouterr().out
