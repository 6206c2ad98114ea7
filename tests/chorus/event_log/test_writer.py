from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from gossipsub.chorus import EventLog, EventLogError
from gossipsub.chorus.event_log.store import Store

pytestmark = pytest.mark.anyio

PATIENCE = 20.0
Append = Callable[..., list[Any]]


class Disk:
    """Lets the log be written while it is neither slow nor broken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_quick = threading.Event()
        self.is_quick.set()
        self.is_asked = False
        self.error = ""
        self.groups: list[int] = []
        write = Store.write

        def guarded(store: Store, drafts: Sequence[Any]) -> Any:
            self.is_asked = True
            self.is_quick.wait(PATIENCE)
            if self.error:
                raise sqlite3.OperationalError(self.error)
            self.groups.append(len(drafts))
            return write(store, drafts)

        monkeypatch.setattr(Store, "write", guarded)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk(monkeypatch)
    yield disk
    disk.is_quick.set()


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.sleep(0.01)


async def test_what_finds_no_room_is_lost_counted_and_told_in_its_place(
    tmp_path: Path, node: Any, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipsub.chorus.event_log.writer.MAX_WAITING", 10)
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        disk.is_quick.clear()
        log.append("network_event", {"n": 0})
        await until(lambda: disk.is_asked)
        for number in range(1, 16):
            log.append("network_event", {"n": number})
        assert log.statistics()["lost"] == 5
        with pytest.raises(EventLogError, match="entries were lost"):
            await log.flush()
        disk.is_quick.set()
        await until(lambda: log.statistics()["waiting"] == 0)
        log.append("network_event", {"n": 16})
        await log.flush()
        said = [(entry.type, dict(entry.data)) async for entry in log.entries()]
        await log.verify()
    assert said == [
        *(("network_event", {"n": number}) for number in range(11)),
        ("entries_lost", {"count": 5}),
        ("network_event", {"n": 16}),
    ]


async def test_a_lost_message_is_not_taken_for_one_that_is_there(
    tmp_path: Path,
    node: Any,
    alice: Any,
    disk: Disk,
    append_messages: Append,
    log_data: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossipsub.chorus.event_log.writer.MAX_WAITING_BYTES", 2_000)
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        disk.is_quick.clear()
        messages = append_messages(log, alice, 6)
        assert log.statistics()["lost"] != 0
        assert log.contains(messages[0].origin)
        assert not log.contains(messages[5].origin)
        disk.is_quick.set()
        await until(lambda: log.statistics()["waiting"] == 0)
        log.append("task_progress", {}, signed=messages[5])
        await log.flush()
        assert await log.signed_message(messages[5].origin) == messages[5]


async def test_a_disk_that_refuses_is_tried_again_until_it_takes_all(
    tmp_path: Path,
    node: Any,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("gossipsub.chorus.event_log.writer.RETRY", 0.01)
    caplog.set_level(logging.INFO, "gossipsub.chorus.event_log")
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        disk.error = "database or disk is full"
        log.append("network_event", {"n": 0})
        with pytest.raises(EventLogError) as caught:
            await log.flush()
        assert str(caught.value) == "the log cannot be written: database or disk is full"
        await until(lambda: int(str(log.statistics()["write_errors"])) > 2)
        assert log.statistics()["error"] == "database or disk is full"
        log.append("network_event", {"n": 1})
        disk.error = ""
        await until(lambda: log.statistics()["total_entries"] == 2)
        await log.flush()
        assert log.statistics()["error"] == ""
        assert [entry.data["n"] async for entry in log.entries()] == [0, 1]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


async def test_leaving_does_not_wait_for_a_disk_that_refuses_and_says_so(
    tmp_path: Path, node: Any, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        disk.error = "disk I/O error"
        log.append("network_event", {})
    assert "entries were not written" in caplog.text
    disk.error = ""
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        assert log.statistics()["total_entries"] == 0


async def test_waiting_for_a_slow_disk_has_an_end(tmp_path: Path, node: Any, disk: Disk) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key, flush_timeout=0.05) as log:
        disk.is_quick.clear()
        log.append("network_event", {})
        with pytest.raises(EventLogError, match=r"not written within 0\.05 s"):
            await log.flush()
        disk.is_quick.set()


async def test_many_who_wait_share_a_group(tmp_path: Path, node: Any, disk: Disk) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key) as log:

        async def say(number: int) -> None:
            log.append("network_event", {"n": number})
            await log.flush()

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for number in range(100):
                    tasks.start_soon(say, number)
        assert log.statistics()["total_entries"] == 100
    assert len(disk.groups) < 50


async def test_who_stops_waiting_is_let_go_at_once(tmp_path: Path, node: Any, disk: Disk) -> None:
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        disk.is_quick.clear()
        log.append("network_event", {})
        with anyio.fail_after(PATIENCE):
            with anyio.move_on_after(0.05) as scope:
                await log.flush()
        assert scope.cancelled_caught
        disk.is_quick.set()
        await log.flush()


async def test_a_disk_that_is_full_for_the_catalogue_alone_doubles_no_entry(
    tmp_path: Path,
    node: Any,
    alice: Any,
    append_messages: Append,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossipsub.chorus.event_log.store.CATALOGUE_EVERY", 4)
    monkeypatch.setattr("gossipsub.chorus.event_log.writer.RETRY", 0.02)
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        with monkeypatch.context() as broken:
            broken.setattr("gossipsub.chorus.event_log.store._CATALOGUE", "INSERT INTO full")
            append_messages(log, alice, 4)
            await log.flush()  # they are in the log, though not in the catalogue yet
            append_messages(log, alice, 4)
            with pytest.raises(EventLogError, match="cannot be written"):
                await log.flush()
            await until(lambda: log.statistics()["write_errors"] >= 2)
        await until(lambda: not log.statistics()["error"])
        await log.flush()
        assert (await log.verify()).entries == 8


async def test_losses_are_told_in_their_place_though_something_always_waits(
    tmp_path: Path, node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipsub.chorus.event_log.writer.MAX_WAITING", 4)
    monkeypatch.setattr("gossipsub.chorus.event_log.writer.GROUP_ENTRIES", 2)
    groups = threading.Semaphore(0)
    asked: list[int] = []
    write = Store.write

    def write_when_told(store: Store, drafts: Sequence[Any]) -> Any:
        asked.append(len(drafts))
        groups.acquire(timeout=PATIENCE)
        return write(store, drafts)

    monkeypatch.setattr(Store, "write", write_when_told)
    async with EventLog.open(tmp_path / "log", key=node.key) as log:
        numbers = iter(range(100))

        def append(count: int) -> None:
            for _ in range(count):
                log.append("network_event", {"n": next(numbers)})

        append(2)
        await until(lambda: asked == [2])
        append(6)  # the last two find no room
        groups.release()
        await until(lambda: asked == [2, 2])
        append(1)
        groups.release(100)
        await until(lambda: log.statistics()["waiting"] == 0)
        said = [dict(entry.data) async for entry in log.entries()]
    assert said == [*({"n": number} for number in range(6)), {"count": 2}, {"n": 8}]
