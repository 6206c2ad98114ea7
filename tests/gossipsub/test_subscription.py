"""A subscription's buffer: bounded in messages and bytes."""

from __future__ import annotations

import time
from threading import Condition

import pytest

from gossipsub import LocalProtocolError, Overflow, ReceivedMessage, SubscriptionOverflow
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.subscription import Subscription, SubscriptionStatistics

pytestmark = pytest.mark.anyio

PEER = PeerId(b"\x00\x01p")


def message(size: int, number: int = 0) -> ReceivedMessage:
    return ReceivedMessage("news", bytes(size), PEER, PEER, b"%d" % number, None)


def subscription(**options) -> Subscription:
    options = {"buffer": 1024, "buffer_bytes": 1000} | options
    return Subscription(opened=lambda box: None, closed=lambda box: None, **options)


@pytest.mark.rule("API-03")
async def test_a_reader_that_does_not_read_loses_messages_and_sees_how_many():
    async with subscription(buffer=32) as messages:
        for number in range(40):
            messages.push(message(2, number))
        assert messages.statistics() == SubscriptionStatistics(
            delivered=32, dropped=8, waiting=32, waiting_bytes=64
        )
        assert [(await anext(messages)).message_id for _ in range(2)] == [b"0", b"1"]
        assert messages.statistics() == SubscriptionStatistics(
            delivered=32, dropped=8, waiting=30, waiting_bytes=60
        )


async def test_the_buffer_is_bounded_in_bytes_as_well():
    async with subscription() as messages:
        for number in range(5):
            messages.push(message(400, number))
        assert messages.statistics() == SubscriptionStatistics(2, 3, 2, 800)
        messages.push(message(200))
        assert messages.statistics() == SubscriptionStatistics(3, 3, 3, 1000)


async def test_the_oldest_make_room_for_the_bytes_of_the_newest():
    async with subscription(overflow="drop_oldest") as messages:
        for number in range(5):
            messages.push(message(300, number))
        assert messages.statistics() == SubscriptionStatistics(3, 2, 3, 900)
        messages.push(message(800, 5))
        assert messages.statistics() == SubscriptionStatistics(1, 5, 1, 800)
        assert (await anext(messages)).message_id == b"5"


@pytest.mark.parametrize("overflow", list(Overflow))
async def test_one_message_has_room_however_large_it_is(overflow):
    async with subscription(overflow=overflow) as messages:
        messages.push(message(5000))
        assert len((await anext(messages)).data) == 5000
        assert messages.statistics() == SubscriptionStatistics(1, 0, 0, 0)


async def test_nothing_more_is_taken_after_a_loss_that_is_an_error():
    async with subscription(buffer=1, overflow="error") as messages:
        messages.push(message(2, 0))
        messages.push(message(2, 1))
        assert (await anext(messages)).message_id == b"0"
        messages.push(message(2, 2))
        with pytest.raises(SubscriptionOverflow, match=r"^the buffer was full: 2 were lost$"):
            await anext(messages)


async def test_threads_that_read_are_told_of_what_comes():
    async with subscription() as messages:
        messages.share(changed := Condition())
        messages.push(message(2, 7))  # `notify` would raise where the condition is not held
        with changed:
            assert messages.take().message_id == b"7"


@pytest.mark.parametrize("size", [0, -1, "many", None, 1.5])
async def test_a_buffer_holds_a_whole_number_of_bytes(size):
    with pytest.raises(LocalProtocolError, match=r"^a buffer holds at least 1 byte: "):
        subscription(buffer_bytes=size)


def test_a_message_tells_when_it_came():
    before = time.time()
    first, second = message(1), message(1)
    assert before <= first.received_at <= second.received_at <= time.time()
    assert first == second
