from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from gossipsub import Host
from gossipsub.chorus import (
    ChorusPubSub,
    CorruptLog,
    EventLog,
    EventLogError,
    EventLogger,
    LogDurability,
    LogRetention,
    MessageType,
    TaskAnnouncement,
    verify_export,
)
from gossipsub.crypto.keys import KeyType, PrivateKey
from gossipsub.wire.errors import LocalProtocolError

pytestmark = pytest.mark.anyio

START = 1_735_787_045_000_000_000
Append = Callable[..., list[Any]]


async def indexes(log: Any, **query: Any) -> list[int]:
    return [entry.index async for entry in log.entries(**query)]


async def test_what_is_appended_is_there_when_the_log_is_opened_again(
    tmp_path: Path, node: Any, alice: Any, clock: Any, log_data: Any
) -> None:
    envelope, signed = alice.say(
        {"task_id": "task-1", "ratio": 0.5}, project_id="apollo", thread_id="thread-7", at=START
    )
    clock.now = START + 1
    async with EventLog.open(tmp_path / "log", key=node.key, clock=clock) as log:
        assert isinstance(log, EventLogger)
        log.append("task_progress", log_data(envelope), signed=signed)
        log.append("peer_joined", {"peer": "somebody"})
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        first, second = [entry async for entry in log.entries()]
    assert (first.index, first.author, first.type) == (1, alice.name, "task_progress")
    assert first.timestamp.text == "2025-01-02T03:04:05.000000001Z"
    assert (first.sent_at, first.message_type) == (START, "task_progress")
    assert first.topic == "CHORUS/coordination/v1"
    assert (first.project_id, first.thread_id) == ("apollo", "thread-7")
    assert first.data == log_data(envelope)
    assert (first.origin, first.signed_message) == (signed.origin, signed)
    assert (second.index, second.author, second.type) == (2, node.name, "peer_joined")
    assert (second.prev_hash, second.origin, second.signed) == (first.hash, None, None)
    assert second.data == {"peer": "somebody"}
    assert second.signature is not None


async def test_data_may_change_after_it_was_appended(tmp_path: Path, node: Any) -> None:
    data = {"said": ["before"]}
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        log.append("collaboration", data)
        data["said"].append("after")
        await log.flush()
        assert [entry.data async for entry in log.entries()] == [{"said": ["before"]}]


async def test_what_was_flushed_can_be_found(
    tmp_path: Path, node: Any, alice: Any, append_messages: Append
) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        messages = append_messages(log, alice, 10)
        await log.flush()
        assert await log.signed_message(messages[3].origin) == messages[3]
        assert await log.signed_message(b"nobody") is None
        wanted = [messages[2].origin, b"nobody", messages[0].origin]
        assert await log.signed_messages(wanted) == [messages[2], None, messages[0]]
        await log.flush()


async def test_a_message_is_logged_once_whoever_brings_it_again(
    tmp_path: Path, node: Any, alice: Any, log_data: Any
) -> None:
    envelope, signed = alice.say({"task_id": "task-1"})
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        assert not log.contains(signed.origin)
        for _ in range(3):
            log.append("task_progress", log_data(envelope), signed=signed)
            assert log.contains(signed.origin)
        await log.flush()
        log.append("task_progress", log_data(envelope), signed=signed)
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        assert log.contains(signed.origin)
        log.append("task_progress", log_data(envelope), signed=signed)
        await log.flush()
        assert await indexes(log) == [1]
        assert log.statistics()["duplicates"] == 1


async def test_messages_older_than_the_recent_ones_are_known_and_left_out_too(
    tmp_path: Path,
    node: Any,
    alice: Any,
    append_messages: Append,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossipsub.chorus.event_log.store.CATALOGUE_EVERY", 8)
    monkeypatch.setattr("gossipsub.chorus.event_log.recent.RECENT_ORIGINS", 16)
    monkeypatch.setattr(
        "gossipsub.chorus.event_log.recent.RecentOrigins.__init__.__defaults__", (16,)
    )
    monkeypatch.setattr("gossipsub.chorus.event_log.event_log.RECENT_ORIGINS", 16)
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        messages = []
        for _ in range(20):  # what is not catalogued yet is no more than the recent ones
            messages += append_messages(log, alice, 5)
            await log.flush()
        assert all(log.contains(message.origin) for message in messages)
        assert not log.contains(b"nobody")
        log.append("task_progress", {}, signed=messages[0])
        log.append("task_progress", {}, signed=messages[99])
        await log.flush()
        assert len(await indexes(log)) == 100
        assert log.statistics()["duplicates"] == 2
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        assert log.contains(messages[0].origin)
        assert not log.contains(b"nobody")


@pytest.mark.parametrize("catalogue_every", [1, 8, 1024])
async def test_queries_find_what_they_ask_for_in_either_order(
    tmp_path: Path,
    node: Any,
    alice: Any,
    bob: Any,
    clock: Any,
    log_data: Any,
    catalogue_every: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossipsub.chorus.event_log.store.CATALOGUE_EVERY", catalogue_every)
    async with EventLog.open(tmp_path / "log", key=node.key, clock=clock) as log:
        for number in range(20):
            clock.now = START + number
            agent = (alice, bob)[number % 2]
            envelope, signed = agent.say(
                {}, type=MessageType.TASK_CLAIM, project_id=f"p{number % 3}", thread_id="t"
            )
            log.append("task_claimed", log_data(envelope), signed=signed)
            await log.flush()
        log.append("peer_left", {})
        await log.flush()
        assert await indexes(log) == list(range(1, 22))
        assert await indexes(log, newest_first=True) == list(range(21, 0, -1))
        assert await indexes(log, author=bob.name) == list(range(2, 21, 2))
        assert await indexes(log, author=node.name) == [21]
        assert await indexes(log, type="peer_left") == [21]
        assert await indexes(log, message_type="task_claim", limit=2) == [1, 2]
        assert await indexes(log, topic="CHORUS/coordination/v1", after_index=18) == [19, 20]
        assert await indexes(log, thread_id="t", limit=2, newest_first=True) == [20, 19]
        found = await indexes(log, project_id="p1", author=alice.name, newest_first=True)
        assert found == [17, 11, 5]
        assert await indexes(log, since=START + 5, until=START + 8) == [6, 7, 8]
        assert await indexes(log, since=START + 99) == []
        assert await indexes(log, until=START) == []
        assert await indexes(log, after_index=5, before_index=8) == [6, 7]
        assert await indexes(log, limit=0) == []
        assert await indexes(log, project_id="unknown") == []


async def test_a_query_of_the_wrong_kind_is_refused(tmp_path: Path, node: Any) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        for query in ({"type": 7}, {"since": 1.5}, {"limit": -1}, {"after_index": "1"}):
            with pytest.raises(LocalProtocolError):
                await indexes(log, **query)


async def test_a_query_uses_an_index_and_no_scan(tmp_path: Path, node: Any) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key):
        pass
    connection = sqlite3.connect(tmp_path / "log")
    for name in ("type", "message_type", "author", "project_id", "thread_id", "topic"):
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT e.data FROM catalogue c JOIN entries e ON e.idx = c.idx"
            f" WHERE c.idx > 5 AND c.idx < 900 AND c.{name} = 'x' ORDER BY c.idx DESC LIMIT 64"
        ).fetchall()
        assert f"INDEX by_{name} ({name}=? AND rowid>? AND rowid<?)" in str(plan)
        assert "TEMP B-TREE" not in str(plan)
    connection.close()


async def test_origins_are_found_by_the_time_their_authors_gave(
    tmp_path: Path, node: Any, alice: Any, append_messages: Append, log_data: Any
) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        messages = append_messages(log, alice, 5)
        for year in (1, 9999):
            envelope, signed = alice.say({})
            data = log_data(envelope) | {"timestamp": f"{year:04}-01-01T00:00:00Z"}
            log.append("task_progress", data, signed=signed)
        await log.flush()
        found = await log.origins_between(START + 10**9, START + 3 * 10**9)
        assert found == [messages[1].origin, messages[2].origin]
        assert len(await log.origins_between(-(2**63), 2**63 - 1)) == 6
        assert (await log.origins_between(2**63 - 1, 2**63 - 1)) == []


async def test_replay_tells_what_was_said_as_it_was_told(
    tmp_path: Path, node: Any, alice: Any, clock: Any, log_data: Any, append_messages: Append
) -> None:
    said = [agent.say({"n": n}, thread_id="t") for n, agent in enumerate((alice, node, alice))]
    async with EventLog.open(tmp_path / "log", key=node.key, clock=clock) as log:
        for envelope, signed in said:
            log.append("collaboration", log_data(envelope), signed=signed)
        log.append("peer_joined", {})
        await log.flush()
        told = [delivery async for delivery in log.replay()]
        assert [delivery.envelope for delivery in told] == [envelope for envelope, _ in said]
        assert [delivery.signed for delivery in told] == [signed for _, signed in said]
        assert [delivery.is_own for delivery in told] == [False, True, False]
        assert str(told[0].sender) == alice.name
        assert (told[0].topic, told[0].received_at) == ("CHORUS/coordination/v1", START)
        assert [each.envelope.data async for each in log.replay(after_index=2)] == [{"n": 2}]


async def test_a_clock_that_is_set_back_does_not_turn_the_order_around(
    tmp_path: Path, node: Any, clock: Any
) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key, clock=clock) as log:
        for now in (START + 10, START, START + 20):
            clock.now = now
            log.append("network_event", {})
        await log.flush()
        times = [entry.logged_at async for entry in log.entries()]
        assert times == [START + 10, START + 10, START + 20]
        await log.verify()


async def test_a_name_of_any_length_and_any_unicode_is_kept(
    tmp_path: Path, node: Any, alice: Any, log_data: Any
) -> None:
    names = ["x" * 10_000, "naïve \U0001f600", "a\0b", "lone \ud800 surrogate"]
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        for name in names:
            log.append("collaboration", {"project_id": name, "thread_id": 7})
        await log.flush()
        for index, name in enumerate(names, 1):
            assert await indexes(log, project_id=name) == [index]
        await log.verify()
        found = [entry async for entry in log.entries()]
        assert found[0].data["project_id"] == names[0]
        assert (found[0].project_id, found[0].thread_id) == ("x" * 256, "")
        assert verify_export([line async for line in log.export()]).entries == 4


@pytest.mark.parametrize(
    ("log_type", "data"),
    [
        ("", {}),
        (7, {}),
        ("x", ["no", "mapping"]),
        ("x", {"set": {1}}),
        ("x", {"nan": float("nan")}),
        ("x", {"large": "x" * (1 << 20)}),
        ("x", {7: "key"}),
    ],
)
async def test_what_cannot_be_logged_is_refused_at_once(
    tmp_path: Path, node: Any, log_type: Any, data: Any
) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        with pytest.raises(LocalProtocolError):
            log.append(log_type, data)
        log.append("x", {})
        await log.flush()
        assert await indexes(log) == [1]


async def test_statistics_count_what_is_there(
    tmp_path: Path, node: Any, alice: Any, append_messages: Append
) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        assert await log.head() is None
        append_messages(log, alice, 3)
        log.append("peer_joined", {})
        await log.flush()
        statistics = log.statistics()
        head = await log.head()
    assert head is not None
    expected = {
        "node": node.name,
        "total_entries": 4,
        "entries_by_type": {"task_progress": 3, "peer_joined": 1},
        "first_index": 1,
        "last_index": 4,
        "head": head.hash.hex(),
        "written": 4,
        "lost": 0,
        "pruned": 0,
        "waiting": 0,
        "error": "",
    }
    assert {name: statistics[name] for name in expected} == expected


async def test_only_one_writes_a_log_and_others_read_it_meanwhile(
    tmp_path: Path, node: Any, alice: Any, append_messages: Append
) -> None:
    path = tmp_path / "log"
    async with EventLog.open(path, key=node.key) as log:
        with pytest.raises(EventLogError, match="another process"):
            async with EventLog.open(path, key=node.key):
                pass
        script = (
            "import anyio, sys\n"
            "from gossipsub.chorus import EventLog, EventLogError\n"
            "from gossipsub.crypto.keys import PrivateKey\n"
            "async def main():\n"
            "    async with EventLog.open(sys.argv[1], key=PrivateKey.from_node_number(1)): pass\n"
            "try: anyio.run(main)\n"
            "except EventLogError as error: print(error)\n"
        )
        ran = subprocess.run(
            [sys.executable, "-c", script, path],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "another process (or host) writes this log" in ran.stdout
        append_messages(log, alice, 3)
        await log.flush()
        async with EventLog.read(path) as reader:
            assert await indexes(reader) == [1, 2, 3]
            append_messages(log, alice, 1)
            await log.flush()
            assert await indexes(reader) == [1, 2, 3, 4]
            assert (await reader.verify()).entries == 4


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
async def test_the_files_are_their_owners_alone(
    tmp_path: Path, node: Any, alice: Any, append_messages: Append
) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        append_messages(log, alice, 1)
        await log.flush()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("log", "log-lock", "log-shm", "log-wal"), 0o600)


async def test_a_log_of_another_node_is_not_gone_on_with(
    tmp_path: Path, node: Any, alice: Any
) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key):
        pass
    with pytest.raises(LocalProtocolError) as caught:
        async with EventLog.open(tmp_path / "log", key=alice.key):
            pass
    assert str(caught.value) == f"the log is that of {node.name}, the key of {alice.name}"


async def test_a_file_that_is_no_log_is_refused(tmp_path: Path, node: Any) -> None:
    (tmp_path / "text").write_bytes(b"not a database " * 1000)
    connection = sqlite3.connect(tmp_path / "other")
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    for name in ("text", "other"):
        with pytest.raises(CorruptLog):
            async with EventLog.open(tmp_path / name, key=node.key):
                pass
        with pytest.raises(CorruptLog):
            async with EventLog.read(tmp_path / name):
                pass
    with pytest.raises(EventLogError):
        async with EventLog.open(tmp_path / "no folder" / "log", key=node.key):
            pass
    with pytest.raises(EventLogError):
        async with EventLog.read(tmp_path / "missing"):
            pass
    assert not (tmp_path / "missing").exists()


async def test_a_log_that_is_not_open_says_so(tmp_path: Path, node: Any) -> None:
    log = EventLog.open(tmp_path / "log", key=node.key)
    with pytest.raises(LocalProtocolError, match="open it first"):
        log.append("x", {})
    with pytest.raises(LocalProtocolError, match="open it first"):
        await log.flush()
    async with log:
        with pytest.raises(LocalProtocolError, match="opened once"):
            await log.__aenter__()
    with pytest.raises(LocalProtocolError, match="open it first"):
        log.append("x", {})


async def test_any_key_of_a_node_will_do_and_less_durability_too(tmp_path: Path) -> None:
    for kind in KeyType:
        key = PrivateKey.generate(kind)
        path = tmp_path / kind.name
        async with EventLog.open(path, key=key, durability=LogDurability.NORMAL) as log:
            log.append("peer_joined", {})
            await log.flush()
            assert (await log.verify()).node == key.public_key.peer_id()
            lines = [line async for line in log.export()]
        assert verify_export(lines).node == key.public_key.peer_id()


async def test_a_reader_that_stops_in_the_middle_leaves_nothing_open(
    tmp_path: Path, node: Any, alice: Any, append_messages: Append
) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        append_messages(log, alice, 200)
        await log.flush()
        for told in (log.entries(), log.replay(), log.export()):
            async for _ in told:
                break


async def test_nonsense_for_a_durability_or_a_retention_is_refused(
    tmp_path: Path, node: Any
) -> None:
    with pytest.raises(ValueError, match="MAYBE"):
        EventLog.open(tmp_path / "log", key=node.key, durability="MAYBE")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_entries"):
        LogRetention(max_entries=0)


async def test_it_works_in_virtual_time(
    tmp_path: Path, node: Any, alice: Any, append_messages: Append, virtual_time: None
) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        append_messages(log, alice, 3)
        await log.flush()
        assert await indexes(log) == [1, 2, 3]


async def test_chorus_logs_what_both_agents_said_and_sends_after_it_is_durable(
    tmp_path: Path, node: Any, alice: Any
) -> None:
    async with (
        Host(key=node.key) as a,
        Host(key=alice.key) as b,
        EventLog.open(tmp_path / "log", key=node.key) as log,
        ChorusPubSub(a, logger=log) as one,
        ChorusPubSub(b) as other,
    ):
        await a.connect(b.addresses[0])
        await one.wait_for_peers(1, timeout=20)
        await other.wait_for_peers(1, timeout=20)
        await one.publish(TaskAnnouncement(task_id="task-1", description="d"), log_first=True)
        assert await indexes(log, type="task_announced") == [1]
        await other.publish_bzzz_message(
            MessageType.TASK_CLAIM, {"task_id": "task-1", "agent_id": alice.name}
        )
        with anyio.fail_after(20):
            while log.statistics()["total_entries"] != 2:
                await anyio.sleep(0.01)
        told = [delivery async for delivery in log.replay()]
        assert [(str(each.sender), each.envelope.type) for each in told] == [
            (node.name, "task_announcement"),
            (alice.name, "task_claim"),
        ]
        assert (await log.verify()).messages == 2


async def test_a_log_whose_file_was_removed_says_so_and_goes_on_when_it_is_back(
    tmp_path: Path, node: Any
) -> None:
    path = tmp_path / "log"
    async with EventLog.open(path, key=node.key) as log:
        log.append("network_event", {"n": 1})
        await log.flush()
        path.rename(tmp_path / "elsewhere")
        log.append("network_event", {"n": 2})
        with pytest.raises(EventLogError, match="the file was removed or replaced"):
            await log.flush()
        (tmp_path / "elsewhere").rename(path)
        with anyio.fail_after(20):
            while log.statistics()["error"]:
                await anyio.sleep(0.05)
        await log.flush()
    async with EventLog.read(path) as reader:
        assert [entry.data["n"] async for entry in reader.entries()] == [1, 2]


@pytest.mark.parametrize("now", [1.5, None, 1 << 63])
async def test_a_clock_that_gives_no_nanoseconds_is_told_at_once(
    tmp_path: Path, node: Any, now: Any
) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key, clock=lambda: now) as log:
        with pytest.raises(LocalProtocolError, match="a clock gives nanoseconds"):
            log.append("network_event", {})
        await log.flush()


async def test_a_closed_log_can_be_read_where_nothing_can_be_written(
    tmp_path: Path,
    node: Any,
    alice: Any,
    append_messages: Append,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "log"
    async with EventLog.open(path, key=node.key) as log:
        append_messages(log, alice, 3)
    files = sorted(tmp_path.iterdir())
    monkeypatch.setattr("os.access", lambda *_: False)  # permissions do not hold for root
    async with EventLog.read(path) as reader:
        assert (await reader.verify()).entries == 3
        assert sorted(tmp_path.iterdir()) == files
