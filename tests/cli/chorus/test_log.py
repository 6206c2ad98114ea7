"""`gossipsub chorus log`, on a log that is being written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gossipsub import Host
from gossipsub.__main__ import main
from gossipsub.chorus import ChorusPubSub, MessageOptions, MessageType
from gossipsub.chorus.event_log.errors import CorruptLog
from gossipsub.chorus.event_log.event_log import EventLog
from gossipsub.cli.chorus.log import export, parse, query, verify

pytestmark = pytest.mark.anyio


@pytest.fixture
async def written(tmp_path: Path) -> AsyncIterator[Path]:
    """A log with four entries, whose agent still runs."""
    key, path = tmp_path / "key", tmp_path / "log.db"
    async with (
        Host(key=key) as host,
        EventLog.open(path, key=key) as log,
        ChorusPubSub(host, logger=log) as chorus,
    ):
        task = {"task_id": "t-1", "description": "count \x1b[2J"}
        await chorus.publish_bzzz_message(MessageType.TASK_ANNOUNCEMENT, task)
        await chorus.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "t-1"})
        options = MessageOptions(thread_id="release", project_id="atlas", from_role="Dev")
        await chorus.publish_hmmm_message(
            MessageType.META_DISCUSSION, {"message": "Shall we?"}, options
        )
        log.append("peer_joined", {"peer": "x\n"})
        await log.flush()
        yield path


async def lines_of(captured: Any, path: Path, *words: str) -> list[str]:
    assert await query(parse(["query", str(path), *words]), captured.output) == 0
    return list(captured.rest().decode().splitlines())


def told(line: str) -> str:
    """Without the date, the time and the agent's id."""
    index, kind, _, _, _, *rest = line.split(" ", 5)
    return " ".join([index, kind, *rest])


async def test_entries_are_sentences(captured: Any, written: Path) -> None:
    lines = [line.strip() for line in await lines_of(captured, written)]
    assert [told(line) for line in lines] == [
        "1 task_announced announces t-1: count \\x1b[2J",
        "2 task_claimed claims t-1",
        "3 collaboration (Dev): Shall we?  [release]",
        '4 peer_joined {"peer":"x\\n"}',
    ]


@pytest.mark.parametrize(
    ("words", "indexes"),
    [
        (("--type", "task_claimed"), [2]),
        (("--message-type", "task_claim"), [2]),
        (("--project", "atlas", "--thread", "release"), [3]),
        (("--topic", "hmmm/meta-discussion/v1"), [3]),
        (("--agent", "nobody"), []),
        (("--since", "2020-01-01", "--until", "2020-01-02T00:00Z"), []),
        (("--since", "2020-01-01"), [1, 2, 3, 4]),
        (("--last", "2"), [3, 4]),
    ],
)
async def test_entries_are_found_by_all_conditions(
    captured: Any, written: Path, words: tuple[str, ...], indexes: list[int]
) -> None:
    lines = await lines_of(captured, written, "--json", *words)
    assert [json.loads(line)["index"] for line in lines] == indexes


async def test_json_has_all_of_an_entry(captured: Any, written: Path) -> None:
    (line,) = await lines_of(captured, written, "--json", "--type", "collaboration")
    assert line.isascii()
    entry = json.loads(line)
    assert (entry["message_type"], entry["thread_id"]) == ("meta_discussion", "release")
    assert entry["data"]["data"] == {"message": "Shall we?"}


async def test_a_log_and_its_export_are_proved(
    captured: Any, written: Path, tmp_path: Path
) -> None:
    assert await verify(parse(["verify", str(written)]), captured.output) == 0
    assert (await captured.line()).startswith("whole: 4 entries (1 to 4) of node 12D3")
    assert await export(parse(["export", str(written)]), captured.output) == 0
    exported = tmp_path / "exported.jsonl"
    exported.write_text("".join([f"{await captured.line()}\n" for _ in range(5)]))
    words = ["verify", str(exported), "--json"]
    assert await verify(parse(words), captured.output) == 0
    proof = json.loads(captured.rest())
    assert (proof["ok"], proof["entries"], proof["messages"]) == (True, 4, 3)


def damaged(path: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("UPDATE entries SET data = replace(data, 'count', 'Count') WHERE idx = 1")
        target.execute("UPDATE entries SET type = 'task_given' WHERE idx = 2")
        target.commit()
    return copy


async def test_a_log_that_was_changed_is_1_with_the_entry(
    captured: Any, written: Path, tmp_path: Path
) -> None:
    copy = damaged(written, tmp_path)
    assert await verify(parse(["verify", str(copy), "--json"]), captured.output) == 1
    told = json.loads(captured.rest())
    assert (told["ok"], told["index"] in (1, 2), bool(told["reason"])) == (False, True, True)


async def test_without_json_the_entry_is_named_in_the_error(
    captured: Any, written: Path, tmp_path: Path
) -> None:
    options = parse(["verify", str(damaged(written, tmp_path)), "--no-signatures"])
    with pytest.raises(CorruptLog, match=r"^entry [12]: "):
        await verify(options, captured.output)


@pytest.mark.parametrize("action", ["query", "verify", "export"])
def test_what_is_no_log_is_1(
    action: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, content in (("no", b"no log at all\n"), ("empty", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        assert main(["chorus", "log", action, str(path)]) == 1
    assert main(["chorus", "log", action, str(tmp_path / "missing")]) == 1
    err = capfd.readouterr().err.splitlines()
    assert len(err) == 3
    assert all(line.startswith(f"gossipsub chorus log {action}: ") for line in err)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: query|verify|export"),
        (["query", "f", "--since", "now"], "argument --since: no time such as"),
        (["query", "f", "--last", "0"], "argument --last: must be 1 or more"),
        (["export", "f", "--after", "-1"], "argument --after"),
    ],
)
def test_a_wrong_call_is_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chorus", "log", *words])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
