from __future__ import annotations

import json
from pathlib import Path

import pytest

from gossipsub.chorus.fleet.command import main
from gossipsub.chorus.fleet.index import index_folder


def test_a_fleet_of_which_one_is_killed_makes_the_index_one_process_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, result, state = tmp_path / "files", tmp_path / "index.json", tmp_path / "state"
    folder.mkdir()
    deep = folder / ("x" * 150)
    deep.mkdir()
    (deep / ("y" * 150)).write_text("its path is too long to name a task\n")
    for number in range(11):
        (folder / f"{number}.txt").write_text(f"file {number // 2}\n" * 3)
    flags = [str(folder), "--result", str(result), "--agents", "3", "--state", str(state)]
    assert main([*flags, "--kill", "1"]) == 0
    assert json.loads(result.read_text()) == index_folder(folder)
    told = capsys.readouterr().out
    assert "3 agents share out 12 files" in told
    assert "agent-2 is killed" in told
    assert f"12 files are in {result}" in told
    # With the same state all is done already.
    result.unlink()
    assert main([*flags, "--json"]) == 0
    assert json.loads(result.read_text()) == index_folder(folder)
    assert json.loads(capsys.readouterr().out)["files"] == 12


@pytest.mark.parametrize(
    "flags",
    [
        ["/no/such/folder"],
        [".", "--agents", "1"],
        [".", "--agents", "2", "--kill", "2"],
        [".", "--timeout", "nan"],
        [".", "--result", "/no/such/folder/index.json"],
        [],
    ],
)
def test_a_wrong_flag_ends_with_status_2(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(flags)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: gossipsub chorus fleet")
