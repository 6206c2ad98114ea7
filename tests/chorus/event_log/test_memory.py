from __future__ import annotations

from typing import Any

import anyio
import pytest

from gossipsub.chorus import EventLogger, MemoryEventLog
from gossipsub.wire.errors import LocalProtocolError

pytestmark = pytest.mark.anyio

START = 1_735_787_045_000_000_000


async def indexes(log: Any, **query: Any) -> list[int]:
    return [entry.index async for entry in log.entries(**query)]


async def test_it_answers_as_the_log_on_disk_does(
    node: Any, alice: Any, clock: Any, log_data: Any
) -> None:
    log = MemoryEventLog(node=node.name, clock=clock)
    assert isinstance(log, EventLogger)
    envelope, signed = alice.say({"n": 1}, project_id="apollo", at=START)
    for _ in range(2):
        log.append("task_progress", log_data(envelope), signed=signed)
    clock.now += 1
    log.append("peer_left", {"peer": "x"})
    await log.flush()
    first, second = [entry async for entry in log.entries()]
    assert (first.index, first.author, first.signed_message) == (1, alice.name, signed)
    assert first.data == log_data(envelope)
    assert (second.author, second.prev_hash) == (node.name, first.hash)
    assert await indexes(log, newest_first=True, limit=1) == [2]
    assert await indexes(log, project_id="apollo", since=START, until=START + 1) == [1]
    assert await indexes(log, type="peer_left", after_index=1) == [2]
    assert await indexes(log, before_index=2, author=node.name) == []
    assert log.contains(signed.origin)
    assert not log.contains(b"nobody")
    assert await log.origins_between(START, START + 1) == [signed.origin]
    assert await log.origins_between(START + 1, START + 2) == []
    assert await log.signed_message(signed.origin) == signed
    assert await log.signed_message(b"nobody") is None
    told = [delivery async for delivery in log.replay()]
    assert [(each.envelope, each.signed, each.is_own) for each in told] == [
        (envelope, signed, False)
    ]
    statistics = log.statistics()
    assert statistics["total_entries"] == 2
    assert statistics["entries_by_type"] == {"task_progress": 1, "peer_left": 1}
    assert statistics["duplicates"] == 1


async def test_it_forgets_the_oldest_when_it_is_full(alice: Any, append_messages: Any) -> None:
    by_count = MemoryEventLog(max_entries=3)
    messages = append_messages(by_count, alice, 5)
    assert await indexes(by_count) == [3, 4, 5]
    assert not by_count.contains(messages[0].origin)
    assert by_count.contains(messages[4].origin)
    (oldest,) = [entry async for entry in by_count.entries(limit=1)]
    assert await by_count.kept_since() == oldest.logged_at
    assert await MemoryEventLog().kept_since() is None
    by_size = MemoryEventLog(max_bytes=2_000)
    append_messages(by_size, alice, 20)
    kept = await indexes(by_size)
    assert 1 < len(kept) < 10
    assert kept[-1] == 20
    assert int(str(by_size.statistics()["bytes"])) <= 2_000


async def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="bounds"):
        MemoryEventLog(max_entries=0)
    with pytest.raises(LocalProtocolError):
        MemoryEventLog().append("", {})
    with pytest.raises(LocalProtocolError):
        MemoryEventLog().entries(limit=-1)


async def test_it_works_in_virtual_time(virtual_time: Any) -> None:
    log = MemoryEventLog()
    log.append("peer_joined", {})
    await anyio.sleep(60)
    await log.flush()
    assert await indexes(log) == [1]
