from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gossipsub.chorus import EventLog, EventLogError, LogRetention, verify_export

pytestmark = pytest.mark.anyio

START = 1_735_787_045_000_000_000
SECOND = 10**9
Append = Callable[..., list[Any]]


async def indexes(log: Any, **query: Any) -> list[int]:
    return [entry.index async for entry in log.entries(**query)]


async def count_lines(lines: AsyncIterator[bytes]) -> int:
    return len([line async for line in lines])


async def test_the_oldest_groups_go_beyond_a_number_of_entries(
    tmp_path: Path, node: Any, alice: Any, append_messages: Append
) -> None:
    path = tmp_path / "log"
    async with EventLog.open(path, key=node.key, retention=LogRetention(max_entries=10)) as log:
        messages = []
        for _ in range(6):
            messages += append_messages(log, alice, 4)
            await log.flush()
        # Whole groups of 4, the oldest of them no further than 10 from the end.
        assert await indexes(log) == list(range(13, 25))
        statistics = log.statistics()
        assert statistics["pruned"] == 12
        assert (statistics["total_entries"], statistics["first_index"]) == (12, 13)
        assert statistics["entries_by_type"] == {"task_progress": 12}
        assert await log.signed_message(messages[0].origin) is None
        assert await log.origins_between(START, START + SECOND) == [
            messages[number].origin for number in (12, 16, 20)
        ]
        proved = verify_export([line async for line in log.export()])
        assert (proved.first_index, proved.last_index) == (13, 24)
        await log.verify()
    async with EventLog.open(path, key=node.key) as log:
        append_messages(log, alice, 1)
        await log.flush()
        assert await indexes(log) == list(range(13, 26))
        await log.verify()


async def test_entries_go_when_they_are_too_old(
    tmp_path: Path, node: Any, clock: Any, alice: Any, append_messages: Append
) -> None:
    retention = LogRetention(max_age=3600)
    async with EventLog.open(
        tmp_path / "log", key=node.key, retention=retention, clock=clock
    ) as log:
        for hours in (0.0, 0.5, 1.25, 2.0):
            clock.now = START + int(hours * 3600 * SECOND)
            append_messages(log, alice, 3)
            await log.flush()
        assert await indexes(log) == list(range(7, 13))
        clock.now += 24 * 3600 * SECOND
        append_messages(log, alice, 1)
        await log.flush()
        assert await indexes(log) == [13]
        await log.verify()


async def test_the_file_stays_about_as_large_as_it_may(
    tmp_path: Path, node: Any, alice: Any, log_data: Any
) -> None:
    path = tmp_path / "log"
    bound = 1 << 20
    async with EventLog.open(path, key=node.key, retention=LogRetention(max_bytes=bound)) as log:
        for number in range(1500):
            log.append("collaboration", {"n": number, "text": "x" * 2000})
            if not number % 50:
                await log.flush()
        await log.flush()
        assert int(str(log.statistics()["bytes"])) <= bound
        kept = await indexes(log)
        assert 200 < len(kept) < 600
        assert kept[-1] == 1500
        await log.verify()
    assert path.stat().st_size < bound + (bound >> 1)


async def test_the_newest_group_always_stays(
    tmp_path: Path, node: Any, clock: Any, alice: Any, append_messages: Append
) -> None:
    retention = LogRetention(max_entries=1, max_age=1, max_bytes=1)
    async with EventLog.open(
        tmp_path / "log", key=node.key, retention=retention, clock=clock
    ) as log:
        append_messages(log, alice, 5)
        await log.flush()
        clock.now += 3600 * SECOND
        append_messages(log, alice, 2)
        await log.flush()
        assert await indexes(log) == [6, 7]
        assert (await log.verify()).entries == 2


async def test_an_export_that_pruning_overtakes_says_so(
    tmp_path: Path, node: Any, alice: Any, append_messages: Append
) -> None:
    retention = LogRetention(max_entries=200)
    async with EventLog.open(tmp_path / "log", key=node.key, retention=retention) as log:
        append_messages(log, alice, 190)
        await log.flush()
        lines = log.export()
        first = await anext(lines)
        assert first.startswith(b'{"after"')
        for _ in range(3):
            append_messages(log, alice, 190)
            await log.flush()
        with pytest.raises(EventLogError, match="pruned before they were exported"):
            await count_lines(lines)


async def test_a_clock_that_fails_in_the_logs_thread_stops_nothing(
    tmp_path: Path, node: Any, caplog: pytest.LogCaptureFixture
) -> None:
    here = threading.get_ident()

    def clock() -> int:
        if threading.get_ident() != here:
            raise RuntimeError("no event loop here")
        return 1_735_787_045 * 10**9

    for retention in (LogRetention(max_entries=1000), LogRetention(max_age=60)):
        path = tmp_path / str(retention.max_age)
        async with EventLog.open(path, key=node.key, clock=clock, retention=retention) as log:
            for number in range(3):
                log.append("network_event", {"n": number})
                await log.flush()
        async with EventLog.read(path) as log:
            assert len([entry async for entry in log.entries()]) == 3
    assert {each.getMessage() for each in caplog.records} == {
        "cannot prune the event log, as the clock failed"
    }
