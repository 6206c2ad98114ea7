"""The benchmark of CHORUS runs and tells its figures; how high they are is not tested."""

from __future__ import annotations

import json
from importlib.util import find_spec
from random import Random

import pytest

from gossipsub.benchmarks.chorus import main, payload
from gossipsub.benchmarks.chorus_paths import encoded_by, key_of
from gossipsub.chorus import MessageType, check_payload

QUICK = ["--messages", "3", "--repeats", "1", "--size", "600", "--seed", "7"]
HAS_RE2 = find_spec("re2") is not None


def test_it_measures_both_ways_with_and_without_log_and_each_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*QUICK, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["seed"], result["messages"], result["repeats"]) == ("7", 3, 1)
    assert 580 < result["envelope_bytes"] <= 600
    assert [case["what"] for case in result["publish"]] == [
        "without CHORUS",
        "CHORUS",
        "and an observer",
        *(["and redaction with re2"] if HAS_RE2 else []),
        "and redaction without re2",
        "and an event log",
        "and redaction and an event log",
    ]
    assert [case["what"] for case in result["receive"]] == [
        "without CHORUS", "CHORUS", "and an observer", "and an event log",
    ]  # fmt: skip
    for way in (result["publish"], result["receive"]):
        plain = way[0]
        assert plain["layer_us"] == 0
        for case in way:
            assert case["layer_us"] == pytest.approx(case["total_us"] - plain["total_us"])
            assert case["loop_us"] > 0
    steps = result["steps_us"]
    assert min(steps.values()) > 0
    assert (steps["sign"], steps["verify"]) == (result["sign_us"], result["verify_us"])
    assert ("redact, with re2" in steps) == HAS_RE2


def test_it_prints_the_layers_part_beside_the_signature_and_the_aims(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(QUICK) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[2].startswith("one signature ")
    assert printed[3].split() == ["publishing", "all", "loop", "layer", "layer", "by", "signature"]
    assert "aims: to publish without a log at most 1 signature, with one 50 us" in printed
    assert [line.split(",")[0] for line in printed if line.endswith("alone")] == [
        "publishing", "receiving", "logging",
    ]  # fmt: skip


@pytest.mark.parametrize("size", [600, 1024, 4096])
def test_its_payload_is_a_right_one_and_the_same_for_the_same_seed(size: int) -> None:
    data = payload(size, Random("7"))
    assert data == payload(size, Random("7")) != payload(size, Random("8"))
    check_payload(MessageType.TASK_PROGRESS, data)
    assert size - 20 < len(encoded_by(key_of("7"), data)) <= size
