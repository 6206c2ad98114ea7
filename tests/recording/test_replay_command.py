"""`gossipsub replay`, as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gossipsub.__main__ import main
from gossipsub.router.mesh import Mesh

Record = Callable[..., Path]


def test_the_same_is_0(
    record: Record, script: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(record(script))]) == 0
    expected = "20 inputs replayed the same; the recording ends: closed\n"
    assert capsys.readouterr() == (expected, "")


def test_a_difference_is_1_and_is_shown(
    record: Record,
    script: list[Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = record(script, full=True)
    monkeypatch.setattr(Mesh, "leave", lambda self, topic, *, now: self.meshes.pop(topic))
    assert main(["replay", str(file)]) == 1
    first, recorded, replayed = capsys.readouterr().out.splitlines()
    assert first == "input 19 (unsubscribe): effects differ"
    assert recorded.startswith('  recorded: {"$":"Trace"')
    assert replayed.startswith('  replayed: {"$":"SendRpc"')


def test_json_says_the_same(
    record: Record,
    script: list[Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = record(script)
    assert main(["replay", str(file), "--json"]) == 0
    same = {"file": str(file), "inputs": 20, "difference": None, "end": "closed"}
    assert json.loads(capsys.readouterr().out) == same
    monkeypatch.setattr(Mesh, "leave", lambda self, topic, *, now: self.meshes.pop(topic))
    assert main(["replay", str(file), "--json"]) == 1
    difference = json.loads(capsys.readouterr().out)["difference"]
    assert (difference["number"], difference["name"]) == (19, "unsubscribe")
    file.write_bytes(file.read_bytes()[:-10])
    monkeypatch.undo()
    assert main(["replay", str(file), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["end"] is None


def test_a_recording_cut_short_is_2(
    record: Record, script: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    file = record(script)
    file.write_bytes(file.read_bytes()[:-10])
    assert main(["replay", str(file)]) == 2
    expected = "20 inputs replayed the same, then the recording is cut short\n"
    assert capsys.readouterr() == (expected, "")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("r", "line 1 is no JSON"), ("nowhere", "[Errno 2] No such file or directory")],
)
def test_what_cannot_be_read_is_2(
    name: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r").write_text("garbage\n")
    assert main(["replay", str(tmp_path / name)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"gossipsub replay: {tmp_path / name}: {complaint}")
    assert err.count("\n") == 1
