"""The order of events."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipsub.testing.agenda import Agenda


@given(st.lists(st.integers(0, 20)))
def test_events_come_by_tick_and_then_in_the_order_of_entry(ticks: list[int]) -> None:
    agenda = Agenda(ticks_per_second=10)
    done: list[tuple[int, int]] = []
    for number, tick in enumerate(ticks):
        agenda.call(tick, lambda entry=(tick, number): done.append(entry))  # type: ignore[misc]
    while (bucket := agenda.next_bucket(20)) is not None:
        for _, action in bucket:
            action()
    assert done == sorted((tick, number) for number, tick in enumerate(ticks))


def test_what_is_entered_for_the_present_tick_comes_next() -> None:
    agenda = Agenda(ticks_per_second=10)
    agenda.call(3, print)
    agenda.call(4, print)
    assert agenda.next_bucket(9) == [(None, print)]
    agenda.call(3, list)
    assert agenda.next_bucket(9) == [(None, list)]
    assert agenda.tick == 3


def test_events_after_the_last_tick_wait() -> None:
    agenda = Agenda(ticks_per_second=10)
    agenda.call(3, print)
    assert agenda.next_bucket(2) is None
    assert agenda.next_bucket(3) == [(None, print)]


@given(st.floats(0, 1e6), st.integers(1, 10**6))
@example(0.043000000000000003, 1000)  # times 1000 it is 43.0
def test_a_deadline_is_never_met_too_early_nor_a_tick_too_late(time: float, per: int) -> None:
    tick = Agenda(ticks_per_second=per).not_before(time)
    assert tick / per >= time
    assert (tick - 1) / per <= math.nextafter(time, math.inf)


def test_the_past_is_rounded_up_to_the_present() -> None:
    agenda = Agenda(ticks_per_second=10)
    agenda.tick = 50
    assert agenda.nearest(1.0) == agenda.not_before(1.0) == 50


def test_there_is_at_least_one_tick_a_second() -> None:
    with pytest.raises(ValueError, match=r"^ticks_per_second must be at least 1: 0$"):
        Agenda(ticks_per_second=0)
