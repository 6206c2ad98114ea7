"""`gossipsub check-params`: what it prints, what it refuses, and its exit status."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gossipsub.__main__ import main

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "score-parameters.md"
STRICT: dict[str, Any] = json.loads(
    re.findall(r"^```json\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)[0]
)


def write(folder: Path, content: Any) -> str:
    path = folder / "params.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_a_preset_with_violations_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-params", "--preset", "ethereum-model"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("Ethereum as in the formal model")
    assert "\n5 violations, 3 notes; a peer can have a score of at most 32.72\n" in printed
    # The document shows this output, cut where lines are long.
    shown = re.findall(r"^```text\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)
    assert len(shown) == 2
    for line in "".join(shown).splitlines():
        assert line.removesuffix("…").rstrip() in printed


def test_a_preset_that_holds_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-params", "--preset", "filecoin"]) == 0
    assert "\n0 violations, 3 notes" in capsys.readouterr().out


def test_the_file_of_the_document_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-params", write(tmp_path, STRICT)]) == 0
    assert (
        "\n0 violations, 0 notes; a peer can have a score of at most 10.00\n"
        in capsys.readouterr().out
    )


def test_json_has_the_whole_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capped = {**STRICT, "topic_score_cap": 5, "heartbeat_interval": 0.5}
    news = STRICT["topics"]["news"]
    capped["topics"] = {"news": news, "capped": {**news, "invalid_message_deliveries_weight": -1}}
    path = write(tmp_path, capped)
    assert main(["check-params", path, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["source"], report["holds"], report["best"]) == (path, False, 5.0)
    assert report["heartbeat_interval"] == 0.5
    violation = report["findings"][0]
    assert (violation["property"], violation["severity"]) == ("HARM_LOWERS", "VIOLATION")
    assert violation["topics"] == ["capped"]
    assert violation["example"][0] == {
        "step": {"act": "GRAFT", "topics": ["news", "capped"], "times": 1, "between": []},
        "at": 0.0,
        "score": 0.0,
    }
    assert report["topics"][0]["silent_seconds"] == 11.0
    assert report["misbehaviour"]["at_once"] == 0


def test_parameters_can_come_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(STRICT)))
    assert main(["check-params", "-"]) == 0
    assert capsys.readouterr().out.startswith("-\n0 violations")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("x", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        ([], "must be an object, not []"),
        ({"topic": {}}, "no such parameter: topic (did you mean topics?)"),
        ({"zzz": 1}, "no such parameter: zzz"),
        ({"topics": []}, "topics: must be an object of parameters by topic"),
        ({"topics": {"t": 1}}, "topics: 't': must be an object, not 1"),
        (
            {"topics": {"t": {"time_in_mesh_wait": 1}}},
            "topics: 't': no such parameter: time_in_mesh_wait (did you mean time_in_mesh_weight?)",
        ),
        (
            {"topics": {"t": {"topic_weight": "1"}}},
            "topics: 't': topic_weight: must be a number, not \"1\"",
        ),
        (
            {"topics": {"t": {"topic_weight": -1}}},
            "topics: 't': topic_weight must be 0 or more: -1",
        ),
        (
            '{"topics": {"t": {"topic_weight": NaN}}}',
            "topics: 't': topic_weight must be finite, at most 1e50: nan",
        ),
        ({"other_topics": {"x": 1}}, "other_topics: no such parameter: x"),
        ({"decay_interval": True}, "decay_interval: must be a number, not true"),
        ({"decay_interval": 0.5}, "decay_interval must be 1 or more: 0.5"),
        (
            {"thresholds": {"gossip": 1}},
            "thresholds: need graylist <= publish <= gossip <= 0: -80.0, -50.0, 1",
        ),
        ({"thresholds": []}, "thresholds: must be an object, not []"),
        ({"heartbeat_interval": 0}, "heartbeat_interval: must be above 0 and below 1e9: 0"),
        (
            {"app_specific_weight": 1},
            "app_specific_weight: cannot be checked; leave the application's part (P5) out",
        ),
        (
            {"ip_colocation_factor_threshold": 1.5},
            "ip_colocation_factor_threshold: must be a whole number",
        ),
        (
            {"ip_colocation_factor_whitelist": "10.0.0.0/8"},
            "ip_colocation_factor_whitelist: must be a list of networks",
        ),
    ],
)
def test_a_file_that_cannot_be_read_ends_with_2_and_says_why(
    content: Any, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, content)
    assert main(["check-params", path]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"gossipsub check-params: {path}: {complaint}\n")


@pytest.mark.parametrize("content", [b"\xff\xfe{", b"[" * 100_000])
def test_what_is_no_text_or_nested_without_end_is_no_json(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "params.json"
    path.write_bytes(content)
    assert main(["check-params", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"gossipsub check-params: {path}: not JSON: ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--preset", "bitcoin"], "no such preset: bitcoin (there are default, filecoin, "),
        (["/nowhere/params.json"], "No such file or directory: '/nowhere/params.json'"),
    ],
)
def test_what_is_not_there_ends_with_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-params", *words]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["params.json", "--preset", "filecoin"]])
def test_there_is_one_thing_to_check(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check-params", *words])
    assert ended.value.code == 2
    assert "give either a file or --preset" in capsys.readouterr().err
