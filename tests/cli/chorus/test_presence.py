"""`gossipsub chorus presence`, with other agents in the same process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gossipsub.__main__ import main
from gossipsub.cli.chorus.presence import look, parse, table
from tests.cli.chorus.agents import Other, other_agent

pytestmark = pytest.mark.anyio


async def test_who_is_there_is_a_table(captured: Any, ada: Other) -> None:
    assert await look(parse(["-b", ada.address, "-C", "1"]), captured.output) == 0
    titles, row = captured.rest().decode().splitlines()
    assert titles.split() == ["NAME", "PEER", "ROLES", "EXPERTISE", "STATE", "TASKS", "SEEN"]
    peer = str(ada.host.peer_id)
    assert row.split() == [
        "Ada", f"{peer[:2]}*{peer[-6:]}", "Tech", "Lead", "planning", "ready", "0/1",
        "0", "s", "ago",
    ]  # fmt: skip


async def test_json_has_an_object_for_each_agent(captured: Any, ada: Other) -> None:
    async with other_agent() as second:
        await second.host.connect(ada.address)
        words = ["-b", ada.address, "-b", second.address, "-C", "2", "-W", "20", "--json"]
        assert await look(parse(words), captured.output) == 0
    told = [json.loads(line) for line in captured.rest().splitlines()]
    assert {each["peer"] for each in told} == {str(each.host.peer_id) for each in (ada, second)}
    assert 0 <= told[0].pop("seen_seconds_ago") < 20
    del told[0]["peer"]
    assert told[0] == {
        "name": "Ada", "roles": ["Tech Lead"], "expertise": ["planning"], "capabilities": [],
        "status": "ready", "is_available": True, "current_tasks": 0, "max_tasks": 1,
    }  # fmt: skip


async def test_fewer_agents_than_asked_for_are_27(captured: Any, ada: Other) -> None:
    words = ["-b", ada.address, "-C", "2", "-W", "0.5"]
    assert await look(parse(words), captured.output) == 27
    assert captured.rest().startswith(b"NAME")


async def test_nobody_is_an_empty_table(captured: Any) -> None:
    assert await look(parse(["-W", "0.1"]), captured.output) == 0
    assert captured.rest() == b"NAME  PEER  ROLES  EXPERTISE  STATE  TASKS  SEEN\n"


def test_cells_are_cut_and_do_nothing_to_a_terminal() -> None:
    rows = [("A", "B"), ("\x1b[2J\n\u202e", "x" * 100)]
    assert table(rows) == [
        "A" + " " * 14 + "  B",
        "\\x1b[2J\\n\\u202e  " + "x" * 39 + "\u2026",
    ]


def test_a_wrong_call_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chorus", "presence", "-W", "0"])
    assert ended.value.code == 2
    assert "argument -W: not a number of seconds above 0" in capsys.readouterr().err
