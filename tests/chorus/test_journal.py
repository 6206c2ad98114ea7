from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from gossipsub import Host, SignedMessage
from gossipsub.chorus import (
    ChorusPubSub,
    Delivery,
    EventLog,
    EventLogFailed,
    MemoryEventLog,
    MessageOptions,
    MessageType,
    TaskComplete,
)
from gossipsub.chorus.journal import Journal
from gossipsub.chorus.topics import COORDINATION_TOPIC, HMMM_TOPIC
from gossipsub.crypto.keys import PrivateKey
from gossipsub.wire.errors import LocalProtocolError
from tests.chorus.agents import PATIENCE, Collector, ListLogger, two_agents

pytestmark = pytest.mark.anyio


class KnowsEverything(ListLogger):
    knows_everything = True

    def contains(self, origin: bytes) -> bool:
        return self.knows_everything


class BrokenLogger(ListLogger):
    def append(
        self, log_type: str, data: Mapping[str, object], *, signed: SignedMessage | None = None
    ) -> None:
        raise OSError("disk full")

    async def flush(self) -> None:
        raise OSError("disk full")

    def contains(self, origin: bytes) -> bool:
        raise OSError("disk full")


async def test_each_log_holds_own_and_others_messages_as_they_were_signed() -> None:
    logs = ListLogger(), ListLogger()
    handled = []
    async with two_agents(each=[{"logger": log} for log in logs]) as (alice, bob):
        got = Collector()
        bob.set_bzzz_message_handler(got)
        bob.add_handler_wrapper(
            lambda handler: handled.append(len(logs[1].entries)) or handler  # type: ignore[func-returns-value]
        )
        task = {"task_id": "task-1", "agent_id": str(alice.host.peer_id)}
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, task)
        await got.wait()
    assert handled == [1]
    ((kind, data, signed),) = logs[0].entries
    assert logs[1].entries == [(kind, data, signed)]
    assert (kind, data["topic"], data["data"]) == ("task_claimed", "CHORUS", task)
    assert signed is not None
    assert signed.is_genuine()
    assert data["from_peer"] == str(signed.sender)


async def test_an_own_message_is_logged_byte_for_byte_as_others_log_it() -> None:
    logs = MemoryEventLog(), MemoryEventLog()
    data = {"task_id": "<1>", "b": [1.0, {"z": 1e21, "a": None}], "\u2028": "lone \ud800", "": ()}
    options = MessageOptions(from_role="R&D", to_roles=("a", "b"), thread_id='"', priority="high")
    async with two_agents(each=[{"logger": log} for log in logs]) as (alice, bob):
        got = anyio.Event()
        bob.add_observer(lambda _: got.set())
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, data, options)
        with anyio.fail_after(PATIENCE):
            await got.wait()
    (ours,), (theirs,) = [[entry async for entry in log.entries()] for log in logs]
    assert ours.data_json == theirs.data_json


async def test_topics_with_other_names_keep_the_short_names_of_the_log() -> None:
    log = ListLogger()
    async with two_agents(logger=log, coordination_topic="a") as (alice, _):
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        await alice.join_task_topic("1")
        await alice.publish_to_dynamic_topic("CHORUS/tasks/1/v1", "task_stolen", {})
    assert [data["topic"] for _, data, _ in log.entries] == [
        "CHORUS",
        "CHORUS/tasks/1/v1",
    ]


async def test_a_log_that_fails_is_logged_counted_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with two_agents(each=[{}, {"logger": BrokenLogger()}]) as (alice, bob):
        got = Collector()
        bob.set_bzzz_message_handler(got)
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        await got.wait()
        await bob.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        assert bob.statistics().log_failures == 3
        assert bob.statistics().topics[COORDINATION_TOPIC].published == 1
    messages = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert messages == [
        "the event log failed call=contains",
        "the event log failed call=append",
        "the event log failed call=append",
    ]


async def test_a_log_that_cannot_flush_says_so_and_there_must_be_one() -> None:
    with pytest.raises(EventLogFailed, match=r"^the event log could not be flushed: disk full$"):
        await Journal(BrokenLogger(), {}).flush()
    with pytest.raises(LocalProtocolError, match=r"^log_first needs an event log"):
        await Journal(None, {}).flush()


async def test_a_message_in_the_log_of_an_earlier_life_is_not_heard_again() -> None:
    log = KnowsEverything()
    async with two_agents(each=[{}, {"logger": log}]) as (alice, bob):
        observed, got = [], Collector()
        bob.add_observer(observed.append)
        bob.set_bzzz_message_handler(got)
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        with anyio.fail_after(PATIENCE):
            while not bob.statistics().topics[COORDINATION_TOPIC].repeated:
                await anyio.sleep(0.01)
        log.knows_everything = False
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "2"})
        await got.wait()
        assert bob.statistics().topics[COORDINATION_TOPIC].repeated == 1
        assert len(observed) == len(log.entries) == len(got.got) == 1
        assert bob.statistics().topics[HMMM_TOPIC].repeated == 0


async def test_a_log_on_disk_knows_after_a_restart_what_was_said_before(tmp_path: Path) -> None:
    key, path = PrivateKey.generate(), tmp_path / "events.db"
    told = list[Delivery]()
    async with (
        EventLog.open(path, key=key) as log,
        Host(key=key) as host,
        ChorusPubSub(host, logger=log) as chorus,
    ):
        chorus.add_observer(told.append)
        await chorus.publish(TaskComplete(task_id="1", result="success"), log_first=True)
    async with EventLog.open(path, key=key) as log, Host(key=key) as host:
        signed = await log.signed_message(told[0].signed.origin)
        assert signed == told[0].signed
        async with ChorusPubSub(host, logger=log) as chorus:
            chorus.add_observer(told.append)
            assert not chorus.catch_up(signed)
            await chorus.publish_signed(signed)
            assert host.statistics().published == 1
        assert len(told) == 1
        assert log.statistics()["total_entries"] == 1
