"""`gossipsub chorus tail`, with another agent in the same process."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from gossipsub import Host
from gossipsub.__main__ import main
from gossipsub.chorus import ChorusPubSub, MessageOptions, MessageType
from gossipsub.chorus.catch_up.catch_up import CatchUp
from gossipsub.chorus.event_log.event_log import EventLog
from gossipsub.cli.chorus.tail import follow, parse
from tests.cli.chorus.agents import PATIENCE, Other, Run, running

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def tailing(captured: Any, ada: Other, *words: str) -> AsyncIterator[Run]:
    options = parse([*words, "-b", ada.address])
    async with running(partial(follow, options, captured.output)) as run:
        await ada.wait_for("onlooker")
        yield run


async def say(ada: Other, text: str, **options: Any) -> None:
    await ada.chorus.publish_hmmm_message(
        MessageType.META_DISCUSSION, {"message": text}, MessageOptions(**options)
    )


def without_time(line: str) -> str:
    return line.partition(" ")[2]


async def test_a_message_is_a_line_with_who_what_and_where(captured: Any, ada: Other) -> None:
    words = ("--type", "meta_discussion", "--type", "expertise_request", "-C", "3")
    async with tailing(captured, ada, *words) as tail:
        await say(ada, "Shall we?", from_role="Tech Lead", thread_id="release", priority="high")
        await say(ada, "\x1b[2J\u202eevil\n", thread_id="\x07")
        await ada.chorus.publish_role_based_message(
            MessageType.EXPERTISE_REQUEST, {"question": "How?"}, MessageOptions(to_roles=("Dev",))
        )
        assert await tail.wait() == 0
    lines = captured.rest().decode().splitlines()
    assert [without_time(line) for line in lines] == [
        "Ada (Tech Lead): high: Shall we?  [release]",
        "Ada: \\x1b[2J\\u202eevil  [\\x07]",
        "Ada: asks: How? (to Dev)",
    ]


async def test_heartbeats_are_left_out_unless_asked_for(captured: Any, ada: Other) -> None:
    async with tailing(captured, ada, "--agent", "ada"):
        ada.presence.update(current_tasks=1)
        await ada.wait_for("onlooker")
        await say(ada, "hello")
        told = ""
        while "hello" not in (line := await captured.line()):
            told += line
        assert "busy" not in told


async def test_heartbeats_are_there_when_asked_for(captured: Any, ada: Other) -> None:
    async with tailing(captured, ada, "--type", "availability_broadcast") as _:
        ada.presence.update(current_tasks=1)
        while "busy" not in (line := await captured.line()):
            pass
        assert without_time(line) == "Ada: is busy, with 1 task"


async def test_conditions_of_several_kinds_must_all_hold(captured: Any, ada: Other) -> None:
    words = ("--project", "atlas", "--thread", "a", "--thread", "b", "--agent", "nobody")
    peer = str(ada.host.peer_id)
    async with tailing(captured, ada, *words, "--agent", peer, "-C", "2") as tail:
        await say(ada, "another project", thread_id="a")
        await say(ada, "another thread", project_id="atlas", thread_id="c")
        await say(ada, "one", project_id="atlas", thread_id="a")
        await say(ada, "two", project_id="atlas", thread_id="b")
        assert await tail.wait() == 0
    lines = captured.rest().decode().splitlines()
    assert [without_time(line) for line in lines] == ["Ada: one  [a]", "Ada: two  [b]"]


async def test_topics_that_are_named_are_joined_and_followed_alone(
    captured: Any, ada: Other
) -> None:
    topic = await ada.chorus.join_project_topic("atlas")
    async with tailing(captured, ada, topic, "-C", "1") as tail:
        await ada.chorus.wait_for_peers(1, timeout=10, topic=topic)
        await say(ada, "elsewhere")
        await ada.chorus.publish_to_dynamic_topic(
            topic, MessageType.STATUS_UPDATE, {"status": "late"}
        )
        assert await tail.wait() == 0
    assert without_time(captured.rest().decode()) == "Ada: status: late\n"


async def test_old_news_are_shown_with_their_date_where_they_are_asked_for(
    captured: Any, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    async with (
        Host(key=key) as host,
        EventLog.open(tmp_path / "log.db", key=key) as log,
        ChorusPubSub(host, logger=log) as chorus,
        CatchUp(chorus),
    ):
        await chorus.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "before"})
        words = ["-b", host.addresses[0], "--type", "meta_discussion"]
        options = parse([*words, "--catch-up", "-C", "1"])
        with anyio.fail_after(PATIENCE):
            assert await follow(options, captured.output) == 0
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d 12\*\w{6}: before$", await captured.line())
        assert await follow(parse([*words, "-W", "1"]), captured.output) == 27
    assert captured.rest() == b""


async def test_json_has_the_envelope_as_it_was_sent(captured: Any, ada: Other) -> None:
    async with tailing(captured, ada, "--json", "--type", "meta_discussion"):
        await say(ada, "Grüße", thread_id="t", project_id="p")
        line = await captured.line()
    assert line.isascii()
    told = json.loads(line)
    peer = str(ada.host.peer_id)
    envelope = told.pop("envelope")
    assert {"received_at", "topic"} <= told.keys()
    del told["received_at"]
    assert told == {
        "topic": ada.chorus.hmmm_topic, "sender": peer, "name": "Ada", "is_caught_up": False,
        "thread": "t", "sentence": "Grüße",
    }  # fmt: skip
    assert (envelope["from"], envelope["data"]) == (peer, {"message": "Grüße"})


async def test_time_that_is_up_is_27(captured: Any, ada: Other) -> None:
    options = parse(["-W", "0.1", "-b", ada.address, "--type", "none"])
    assert await follow(options, captured.output) == 27


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-C", "0"], "argument -C: must be 1 or more"),
        (["--log", "x"], "unrecognized arguments: --log"),
        (["--role", ""], "argument --role: not a text of 1 to 128 characters"),
    ],
)
def test_a_wrong_call_is_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chorus", "tail", *words])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
