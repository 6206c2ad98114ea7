"""Overload of validation: what is counted, told and logged as it begins and ends."""

from __future__ import annotations

import logging

import pytest

from gossipsub.pubsub.validation.overload import (
    QUIET,
    STREAK_GAP,
    SUSTAINED,
    WARNING_PAUSE,
    Overload,
    OverloadEvent,
    ValidationStatistics,
)
from gossipsub.router.counts import MAX_TOPICS, OTHER_TOPICS
from gossipsub.timers import Timers

pytestmark = pytest.mark.anyio


class Clock(Timers):
    """Timers whose time passes when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1000.0
        self.due: list[tuple[float, object]] = []

    def now(self) -> float:
        return self.time

    def at(self, when, action):
        self.due.append((when, action))

    def advance(self, seconds: float) -> None:
        until = self.time + seconds
        while self.due and min(self.due)[0] <= until:
            when, action = self.due.pop(self.due.index(min(self.due)))
            self.time = when
            action()
        self.time = until


async def read(events) -> list[OverloadEvent]:
    return [await anext(events) for _ in range(len(events))]


def logged(caplog) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in caplog.records]


async def test_an_overload_begins_with_the_first_loss_and_ends_when_all_is_quiet(caplog):
    clock = Clock()
    overload = Overload(clock)
    async with overload.reader(8) as events:
        overload.queue_full("news")
        clock.advance(2.0)
        overload.throttled("news")
        overload.queue_full("other")
        clock.advance(QUIET - 0.1)
        assert [event.is_over for event in await read(events)] == [False]
        clock.advance(0.2)
        assert await read(events) == [
            OverloadEvent(
                is_over=True, seconds=2.0, queue_full=2, throttled=1, waits=0,
                lost_by_topic={"news": 2, "other": 1},
            )
        ]  # fmt: skip
        assert clock.due == []
    assert logged(caplog) == [
        (logging.WARNING, "validation does not keep up"
         " seconds=0.0 queue_full=0 throttled=0 waits=0 topics=0"),
        (logging.WARNING, "validation keeps up again"
         " seconds=2.0 queue_full=2 throttled=1 waits=0 topics=2"),
    ]  # fmt: skip


async def test_peers_cannot_fill_the_log_with_overloads(caplog):
    caplog.set_level(logging.DEBUG)
    clock = Clock()
    overload = Overload(clock)
    async with overload.reader(8) as events:
        for pause in (QUIET + 1, WARNING_PAUSE, QUIET + 1):
            overload.queue_full("news")
            clock.advance(pause)
        assert len(events) == 6
    levels = [level for level, _ in logged(caplog)]
    assert levels == [logging.WARNING] * 2 + [logging.DEBUG] * 2 + [logging.WARNING] * 2


async def test_a_burst_that_makes_peers_wait_is_no_overload_but_waiting_for_a_second_is():
    clock = Clock()
    overload = Overload(clock)
    async with overload.reader(8) as events:
        for _ in range(5):
            overload.waited()
            clock.advance(STREAK_GAP * 0.9)
        clock.advance(STREAK_GAP)
        for _ in range(4):
            overload.waited()
            clock.advance(STREAK_GAP * 0.9)
        assert len(events) == 0
        overload.waited()
        clock.advance(STREAK_GAP * 0.9)
        assert SUSTAINED < 5 * STREAK_GAP * 0.9
        overload.waited()
        assert [event.is_over for event in await read(events)] == [False]
        clock.advance(QUIET)
        (event,) = await read(events)
        assert (event.is_over, event.waits, event.lost_by_topic) == (True, 1, {})


def test_topics_are_counted_one_by_one_and_together():
    overload = Overload(Clock())
    overload.queue_full("news")
    overload.throttled("news")
    overload.counts("other").timeouts += 1
    overload.counts("other").failures += 2
    assert overload.by_topic({"other": 3, "third": 4}) == {
        "news": ValidationStatistics(waiting=0, queue_full=1, throttled=1, timeouts=0, failures=0),
        "other": ValidationStatistics(waiting=3, queue_full=0, throttled=0, timeouts=1, failures=2),
        "third": ValidationStatistics(waiting=4, queue_full=0, throttled=0, timeouts=0, failures=0),
    }
    totals = overload.totals()
    assert (totals.queue_full, totals.throttled, totals.timeouts, totals.failures) == (1, 1, 1, 2)


async def test_readers_hear_only_what_comes_while_they_are_open():
    clock = Clock()
    overload = Overload(clock)
    overload.queue_full("news")
    async with overload.reader(8) as events:
        overload.queue_full("news")
        assert len(events) == 0
        clock.advance(QUIET)
        assert len(events) == 1
        overload.end()
        assert [event.is_over async for event in events] == [True]
    clock.advance(10 * QUIET)
    overload.queue_full("news")
    assert len(events) == 0


async def test_a_host_that_joins_ever_new_topics_counts_the_later_ones_together():
    overload = Overload(Clock())
    async with overload.reader(1):
        for number in range(MAX_TOPICS + 5):
            overload.queue_full(f"t{number}")
            overload.queue_full("t0")
    statistics = overload.by_topic({"t1500": 3})
    assert len(statistics) == MAX_TOPICS + 2
    assert statistics["t0"].queue_full == 1 + MAX_TOPICS + 5
    assert statistics[OTHER_TOPICS].queue_full == 5
    assert statistics["t1500"] == ValidationStatistics(3, 0, 0, 0, 0)
    assert overload.totals().queue_full == 2 * (MAX_TOPICS + 5)
