"""Nodes that were late, away or cut off get what they did not hear."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import anyio
import pytest

from gossipsub import LocalProtocolError, SignedMessage
from gossipsub.chorus import EnvelopeLimits, EventLog, LogRetention
from gossipsub.chorus.catch_up.catch_up import CatchUp
from gossipsub.chorus.catch_up.limits import CatchUpLimits
from gossipsub.chorus.catch_up.neighbours import CatchUpOutcome
from gossipsub.crypto.keys import PrivateKey
from tests.chorus.catch_up.nodes import PlainLog, clock, fleet, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


@pytest.fixture(autouse=True)
def silent_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    loud = [each for each in caplog.get_records("call") if each.levelno >= logging.WARNING]
    assert [each.getMessage() for each in loud] == []


async def test_a_late_joiner_gets_all_that_was_said() -> None:
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        said = [str(number) for number in range(300)]
        await a.say(*said)
        b = await nodes.start(a, log=PlainLog())
        await b.catch_up.complete(timeout=20)
        assert b.tasks() == said
        assert all(each.is_caught_up and each.signed.is_genuine() for each in b.observed)
        assert {each.sender for each in b.observed} == {a.host.peer_id}
        await until(lambda: len(b.handled) == 300)
        assert b.handled == said
        assert b.catch_up.statistics().taken == 300
        await until(lambda: a.catch_up.statistics().given == 300)


async def test_it_is_not_asked_for_again() -> None:
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        await a.say("1", "2")
        b = await nodes.start(a, log=PlainLog())
        await b.catch_up.complete(timeout=20)
        await a.say("3")
        await anyio.sleep(300)
        assert b.tasks() == ["1", "2", "3"]
        assert sorted(b.handled) == ["1", "2", "3"]
        assert a.catch_up.statistics().given == 2
        assert b.catch_up.statistics().sessions[CatchUpOutcome.COMPLETE] > 5


async def test_who_was_away_gets_what_it_missed_and_nothing_twice() -> None:
    async with fleet() as nodes:
        key, log = PrivateKey.generate(), PlainLog()
        a = await nodes.start(log=PlainLog())
        b = await nodes.start(a, log=log, key=key)
        await b.chorus.wait_for_peers(1, timeout=20)
        await a.say("1")
        await b.say("2")
        await until(lambda: len(b.tasks()) == len(a.tasks()) == 2)
        await nodes.stop(b)
        await a.say("3", "4")
        await anyio.sleep(30)  # until gossip has forgotten them
        again = await nodes.start(a, log=log, key=key)
        await again.catch_up.complete(timeout=20)
        assert sorted(again.tasks()) == ["3", "4"]
        await until(lambda: a.catch_up.statistics().given == 2)


async def test_two_halves_of_a_network_heal() -> None:
    async with fleet() as nodes:
        first = await nodes.start(log=PlainLog())
        rest = []
        for _ in range(4):
            rest.append(await nodes.start(first, *rest, log=PlainLog()))
        everybody = [first, *rest]
        for node in everybody:
            await node.chorus.wait_for_peers(4, timeout=30)
        nodes.network.partition([node.machine for node in everybody[:2]])
        for number, node in enumerate(everybody):
            await node.say(f"{number} here")
        await anyio.sleep(20)
        assert {len(node.tasks()) for node in everybody} == {2, 3}
        nodes.network.heal()
        await until(lambda: all(len(node.tasks()) == 5 for node in everybody))
        await anyio.sleep(60)
        assert [sorted(node.tasks()) for node in everybody] == [sorted(first.tasks())] * 5


async def test_a_message_from_a_third_is_passed_on_as_its_author_signed_it() -> None:
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        b = await nodes.start(a, log=PlainLog())
        await b.chorus.wait_for_peers(1, timeout=20)
        await a.say("1")
        await until(lambda: b.tasks() == ["1"])
        (signed,) = [each.signed for each in a.observed]
        await nodes.stop(a)
        c = await nodes.start(b, log=PlainLog())
        await c.catch_up.complete(timeout=20)
        assert [each.signed for each in c.observed] == [signed]
        assert c.chorus.is_known(signed.origin)
        assert not c.chorus.is_known(bytes(46))


async def test_a_topic_joined_later_is_caught_up() -> None:
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        topic = "CHORUS/projects/apollo/coordination/v1"
        await a.chorus.join_dynamic_topic(topic)
        await a.chorus.publish_to_dynamic_topic(topic, "task_claim", {"task_id": "dynamic"})
        b = await nodes.start(a, log=PlainLog())
        await b.catch_up.complete(timeout=20)
        assert b.tasks() == []
        await b.chorus.join_dynamic_topic(topic)
        await b.catch_up.complete(timeout=20)
        assert b.tasks() == ["dynamic"]


async def test_a_node_without_a_log_asks_and_gives_nothing() -> None:
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        await a.say("1")
        b = await nodes.start(a)
        await b.catch_up.complete(timeout=20)
        assert b.tasks() == ["1"]
        await nodes.stop(a)
        c = await nodes.start(b, log=PlainLog())
        with pytest.raises(TimeoutError):
            await c.catch_up.complete(timeout=50)
        assert c.tasks() == []
        assert b.catch_up.statistics().served == 0


async def test_a_node_that_is_alone_is_not_complete() -> None:
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        with pytest.raises(TimeoutError):
            await a.catch_up.complete(timeout=100)


async def test_what_is_older_than_the_window_or_ahead_of_time_is_left_alone() -> None:
    async with fleet() as nodes:
        limits = CatchUpLimits(window=600)
        a = await nodes.start(log=PlainLog())
        await a.say("old")
        await anyio.sleep(300)
        await a.say("new")
        await anyio.sleep(200)
        b = await nodes.start(a, log=PlainLog(), limits=limits)
        await b.catch_up.complete(timeout=20)
        assert b.tasks() == ["old", "new"]
        await anyio.sleep(200)
        c = await nodes.start(a, log=PlainLog(), limits=limits)
        await c.catch_up.complete(timeout=20)
        assert c.tasks() == ["new"]
        ahead = await nodes.start(
            a, log=PlainLog(), chorus={"clock": lambda: clock() + 400 * 10**9}
        )
        await ahead.chorus.wait_for_peers(1, timeout=20)
        await ahead.say("from the future")
        await until(lambda: "from the future" in a.tasks())
        remembered = a.catch_up.statistics().remembered
        assert remembered == 2


async def test_more_than_a_session_may_take_comes_in_several() -> None:
    async with fleet() as nodes:
        limits = CatchUpLimits(session_bytes=80_000, max_message_bytes=20_000)
        a = await nodes.start(log=PlainLog(), limits=limits)
        said = [f"{number} {'x' * 400}" for number in range(300)]
        await a.say(*said)
        b = await nodes.start(a, log=PlainLog(), limits=limits)
        await b.catch_up.complete(timeout=120)
        assert sorted(b.tasks()) == sorted(said)
        assert b.catch_up.statistics().sessions[CatchUpOutcome.MORE] >= 3


async def test_two_neighbours_are_not_asked_for_the_same() -> None:
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        b = await nodes.start(a, log=PlainLog())
        await b.chorus.wait_for_peers(1, timeout=20)
        said = [str(number) for number in range(300)]
        await a.say(*said)
        await until(lambda: len(b.tasks()) == 300)
        c = await nodes.start(a, b, log=PlainLog())
        await c.catch_up.complete(timeout=60)
        assert sorted(c.tasks()) == sorted(said)
        await anyio.sleep(1)
        given = a.catch_up.statistics().given + b.catch_up.statistics().given
        assert given == 300


async def test_handlers_that_are_slow_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipsub.chorus.caught_up.MAX_WAITING", 50)
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        said = [str(number) for number in range(300)]
        await a.say(*said)
        b = await nodes.start(log=PlainLog())
        handled = []

        async def handle(envelope: object, sender: object) -> None:
            await anyio.sleep(0.02)
            handled.append(envelope)

        b.chorus.set_bzzz_message_handler(handle)
        await b.host.connect(a.host.addresses)
        with anyio.fail_after(300):
            while len(handled) < 300:
                await anyio.sleep(1)
        assert b.tasks() == said
        assert b.catch_up.statistics().refused == 0


async def test_what_is_refused_is_not_asked_for_again() -> None:
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        await a.say("1", "x" * 2000)
        b = await nodes.start(a, log=PlainLog(), chorus={"limits": EnvelopeLimits(max_bytes=1000)})
        await b.catch_up.complete(timeout=20)
        await anyio.sleep(300)
        assert b.tasks() == ["1"]
        assert (b.catch_up.statistics().refused, a.catch_up.statistics().given) == (1, 2)


async def test_it_is_opened_once_and_by_one() -> None:
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        second = CatchUp(a.chorus)
        with pytest.raises(LocalProtocolError, match="has a stream handler already"):
            await second.__aenter__()
        with pytest.raises(LocalProtocolError, match="it is opened once"):
            await a.catch_up.__aenter__()
        with pytest.raises(LocalProtocolError, match="open it first"):
            await second.complete(timeout=1)
        await nodes.stop(a)
        with pytest.raises(LocalProtocolError, match="open it first"):
            await a.catch_up.complete(timeout=1)


async def test_a_log_that_takes_its_time_is_waited_for_by_both_sides() -> None:
    class SlowLog(PlainLog):
        async def origins_between(self, start: int, end: int) -> Iterable[bytes]:
            await anyio.sleep(20)
            return await super().origins_between(start, end)

    async with fleet() as nodes:
        log = SlowLog()
        a = await nodes.start(log=log)
        await a.say("1", "2")
        await nodes.stop(a)
        await anyio.sleep(30)
        again = await nodes.start(log=log)
        b = await nodes.start(again, log=PlainLog())
        await b.catch_up.complete(timeout=60)
        assert b.tasks() == ["1", "2"]
        assert again.tasks() == []


async def test_a_log_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class BrokenLog(PlainLog):
        async def origins_between(self, start: int, end: int) -> Iterable[bytes]:
            raise OSError("the disk is gone")

        async def signed_message(self, origin: bytes) -> SignedMessage | None:
            raise OSError("the disk is gone")

    async with fleet() as nodes:
        a = await nodes.start(log=BrokenLog())
        await a.say("1")
        b = await nodes.start(a, log=PlainLog())
        await b.catch_up.complete(timeout=60)
        assert b.tasks() == []
        told = {each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING}
        caplog.clear()
    assert told == {
        "the event log failed call=origins_between",
        "the event log failed call=signed_message",
    }


async def test_logs_on_disk_are_told_and_filled(tmp_path: Path) -> None:
    async with fleet() as nodes:
        keys = [PrivateKey.generate() for _ in range(2)]
        async with (
            EventLog.open(tmp_path / "a.db", key=keys[0]) as first,
            EventLog.open(tmp_path / "b.db", key=keys[1]) as second,
        ):
            a = await nodes.start(log=first, key=keys[0])
            await a.say("1", "2")
            await nodes.stop(a)
            await anyio.sleep(30)
            again = await nodes.start(log=first, key=keys[0])
            await again.say("3")
            b = await nodes.start(again, log=second, key=keys[1])
            await b.catch_up.complete(timeout=30)
            assert b.tasks() == ["1", "2", "3"]
            await second.flush()
            kept = [entry.signed_message async for entry in second.entries()]
            assert kept == [each.signed for each in (*a.observed, *again.observed)]
            await nodes.end()


async def test_many_topics_and_days_are_compared_in_parts() -> None:
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        b = await nodes.start(log=PlainLog(), limits=CatchUpLimits(window=7 * 86400))
        topics = [f"CHORUS/tasks/{number}/v1" for number in range(20)]
        for topic in topics:
            for node in (a, b):
                await node.chorus.join_dynamic_topic(topic)
            await a.chorus.publish_to_dynamic_topic(topic, "task_claim", {"task_id": topic})
        await b.host.connect(a.host.addresses)
        await b.catch_up.complete(timeout=60)
        assert sorted(b.tasks()) == sorted(topics)


async def test_a_raw_topic_that_is_one_of_envelopes_elsewhere_holds_nothing_up() -> None:
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        b = await nodes.start(log=PlainLog())
        for topic in ("bridged", "later"):
            await a.chorus.join_dynamic_topic(topic)
            await a.chorus.publish_to_dynamic_topic(topic, "task_claim", {"task_id": topic})
        await b.chorus.join_raw_topic("bridged")
        await b.chorus.join_dynamic_topic("later")
        await b.host.connect(a.host.addresses)
        with anyio.fail_after(20):
            await b.catch_up.complete(timeout=20)
        assert b.tasks() == ["later"]


async def test_a_clock_that_was_ahead_for_a_while_ends_nothing() -> None:
    ahead = 10 * 86400 * 10**9
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        await a.say("missed")
        b = await nodes.start(a, log=PlainLog(), clock=lambda: clock() + ahead)
        await b.catch_up.complete(timeout=20)
        assert b.tasks() == []
        ahead = 0
        await until(lambda: b.tasks() == ["missed"])


async def test_what_a_log_has_pruned_is_not_taken_again_after_a_restart(tmp_path: Path) -> None:
    key = PrivateKey.from_node_number(3)

    def keeping(count: int) -> EventLog:
        retention = LogRetention(max_entries=count)
        return EventLog.open(tmp_path / "log", key=key, retention=retention, clock=clock)

    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        async with keeping(2) as log:
            b = await nodes.start(a, log=log, key=key)
            await b.catch_up.complete(timeout=20)
            assert await log.kept_since() is None
            for task in ("1", "2", "3", "4"):
                await a.say(task)
                await until(lambda task=task: task in b.tasks())
                await anyio.sleep(100)
                await log.flush()
            await until(lambda: log.statistics()["pruned"] == 2)
            await nodes.stop(b)
        await a.say("5")
        async with keeping(2) as log:
            kept_since = await log.kept_since()
            times = [each.envelope.timestamp.unix_ns for each in b.observed]
            assert kept_since is not None
            assert times[1] < times[2] <= kept_since < times[3]
            again = await nodes.start(a, log=log, key=key)
            await again.catch_up.complete(timeout=20)
            assert again.tasks() == ["5"]
            await nodes.stop(again)
