from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from gossipsub.pubsub.inbox import Inbox, Overflow, SubscriptionOverflow
from gossipsub.wire.errors import LocalProtocolError

pytestmark = pytest.mark.anyio


class Calls:
    """Who was opened and closed."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def make(self, buffer=1024, overflow=Overflow.DROP_NEWEST):
        return Inbox(
            buffer=buffer,
            overflow=overflow,
            opened=lambda inbox: self.log.append("opened"),
            closed=lambda inbox: self.log.append("closed"),
        )


def inbox(buffer=1024):
    return Calls().make(buffer)


async def read_all(box) -> list[int]:
    return [item async for item in box]


@pytest.mark.rule("API-03")
async def test_a_full_buffer_loses_the_newest_and_counts_them():
    async with Calls().make(32) as box:
        for number in range(40):
            box.push(number)
        assert (box.delivered, box.dropped, len(box)) == (32, 8, 32)
        assert [await anext(box) for _ in range(2)] == [0, 1]
        box.push(100)
        assert (box.delivered, box.dropped, len(box)) == (33, 8, 31)
    assert await read_all(box) == [*range(2, 32), 100]


async def test_a_full_buffer_loses_the_oldest_where_that_is_asked_for():
    async with Calls().make(3, "drop_oldest") as box:
        for number in range(10):
            box.push(number)
        assert (box.delivered, box.dropped, len(box)) == (3, 7, 3)
        assert await anext(box) == 7
        box.push(10)
        assert (box.delivered, box.dropped, len(box)) == (4, 7, 3)
    assert await read_all(box) == [8, 9, 10]


async def test_a_reader_that_must_not_miss_anything_is_told_behind_what_came_before():
    calls = Calls()
    async with calls.make(2, Overflow.ERROR) as box:
        for number in range(5):
            box.push(number)
        assert await anext(box) == 0
        box.push(5)  # room again, but behind a gap
        assert await anext(box) == 1
        for _ in range(2):
            with pytest.raises(SubscriptionOverflow, match=r"^the buffer was full: 4 were lost$"):
                await anext(box)
        assert (box.delivered, box.dropped, len(box)) == (2, 4, 0)
        assert calls.log == ["opened"]
    assert calls.log == ["opened", "closed"]
    with pytest.raises(SubscriptionOverflow):
        await anext(box)


async def test_a_reader_of_which_nothing_was_lost_ends_without_an_error():
    async with Calls().make(2, Overflow.ERROR) as box:
        box.push(1)
    assert await read_all(box) == [1]


@pytest.mark.parametrize("overflow", ["oldest", None, 5])
async def test_only_a_policy_is_an_overflow(overflow):
    with pytest.raises(LocalProtocolError) as refused:
        Calls().make(2, overflow)
    expected = "overflow is one of 'drop_newest', 'drop_oldest', 'error': "
    assert str(refused.value) == f"{expected}{overflow!r}"


async def test_a_reader_waits_for_the_next_item():
    box, read = inbox(), []

    async def reader():
        async for item in box:
            read.append(item)

    async with anyio.create_task_group() as tasks, box:
        tasks.start_soon(reader)
        await anyio.lowlevel.checkpoint()
        assert read == []
        for number in range(3):
            box.push(number)
            with anyio.fail_after(1):
                while len(read) <= number:
                    await anyio.lowlevel.checkpoint()
        box.close()
    assert read == [0, 1, 2]


async def test_what_is_buffered_can_be_read_after_the_end():
    calls = Calls()
    async with calls.make() as box:
        box.push(1)
        box.push(2)
    assert calls.log == ["opened", "closed"]
    assert await read_all(box) == [1, 2]
    assert await read_all(box) == []


async def test_closing_twice_closes_once():
    calls = Calls()
    async with calls.make() as box:
        box.close()
        box.close()
    assert calls.log == ["opened", "closed"]


async def test_the_nodes_end_is_the_readers_end_and_asks_nothing_of_the_node():
    calls = Calls()
    async with calls.make() as box:
        box.push(1)
        box.end()
        assert await read_all(box) == [1]
    assert calls.log == ["opened"]


@pytest.mark.parametrize("end", [Inbox.close, Inbox.end])
async def test_an_end_wakes_a_reader_that_waits(end):
    box, read = inbox(), []

    async def reader():
        read.append(await read_all(box))

    async with anyio.create_task_group() as tasks, box:
        tasks.start_soon(reader)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        end(box)
    assert read == [[]]


async def test_a_reader_that_awaits_nothing_else_lets_others_run():
    turns = 0

    async def other():
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with inbox(2000) as box:
        for number in range(2000):
            box.push(number)
        box.close()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            await anyio.lowlevel.checkpoint()
            before = turns
            assert await read_all(box) == [*range(2000)]
            assert turns - before >= 2000 // 100
            tasks.cancel_scope.cancel()


async def test_a_reader_of_an_endless_flow_lets_others_run():
    turns = 0

    async def other():
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with inbox() as box, anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        box.push(0)
        async for item in box:
            box.push(item + 1)
            box.push(item + 1)
            if item == 100:
                break
        assert turns > 10
        tasks.cancel_scope.cancel()


async def test_a_reader_that_gives_up_loses_nothing():
    async with inbox() as box:
        with anyio.move_on_after(0.01):
            await anext(box)
        box.push(1)
        assert await anext(box) == 1


async def test_only_one_task_at_a_time_may_read():
    async with inbox() as box, anyio.create_task_group() as tasks:
        tasks.start_soon(anext, box)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        with pytest.raises(LocalProtocolError) as refused:
            await anext(box)
        assert str(refused.value) == "another task reads it"
        box.push(1)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        box.push(2)
        assert await anext(box) == 2


async def test_an_inbox_is_read_when_open_and_opened_once():
    box = inbox()
    with pytest.raises(LocalProtocolError) as refused:
        await anext(box)
    assert str(refused.value) == "open it first: async with …"
    async with box:
        with pytest.raises(LocalProtocolError) as refused:
            await box.__aenter__()
        assert str(refused.value) == "it is opened once; make another"
    with pytest.raises(LocalProtocolError):
        await box.__aenter__()


async def test_an_opening_that_is_refused_leaves_it_shut():
    def refuse(inbox):
        raise LocalProtocolError("the topic was closed: t")

    box = Inbox(buffer=1, opened=refuse, closed=lambda inbox: None)
    with pytest.raises(LocalProtocolError, match="the topic was closed: t"):
        await box.__aenter__()
    with pytest.raises(LocalProtocolError, match="open it first"):
        await anext(box)


@pytest.mark.parametrize("buffer", [0, -1, 1.5, "8", None])
async def test_a_buffer_holds_a_whole_number_of_items(buffer):
    with pytest.raises(LocalProtocolError) as refused:
        inbox(buffer)
    assert str(refused.value) == f"a buffer holds at least 1 item: {buffer!r}"
