from __future__ import annotations

import random

import pytest

from gossipsub.chorus.catch_up.neighbours import MISTRUSTED_FOR, CatchUpOutcome, Neighbours
from gossipsub.crypto.keys import PrivateKey

A, B, C = (PrivateKey.from_node_number(number).peer_id() for number in range(3))


def neighbours() -> Neighbours:
    return Neighbours(interval=30.0, rng=random.Random(1))


def asked_until(schedule: Neighbours, end: float, outcome: CatchUpOutcome) -> list[float]:
    """When anybody is asked, where each session ends at once and so."""
    times = []
    now = schedule.next_due()
    while now is not None and now <= end:
        peer = schedule.take_due(now)
        assert peer is not None
        times.append(now)
        schedule.asked(peer, outcome, now)
        now = schedule.next_due()
    return times


def test_a_newcomer_is_asked_soon_and_once_at_a_time() -> None:
    schedule = neighbours()
    assert (schedule.next_due(), schedule.take_due(9.0)) == (None, None)
    schedule.present([A], 10.0)
    due = schedule.next_due()
    assert due is not None
    assert 10.5 <= due <= 11.0
    assert schedule.take_due(10.4) is None
    assert schedule.take_due(11.0) == A
    assert (schedule.take_due(11.0), schedule.next_due(), schedule.is_complete) == (
        None,
        None,
        False,
    )
    schedule.asked(A, CatchUpOutcome.COMPLETE, 12.0)
    assert schedule.is_complete


@pytest.mark.parametrize("count", [1, 3])
def test_all_together_are_asked_about_once_in_an_interval(count: int) -> None:
    schedule = neighbours()
    schedule.present([A, B, C][:count], 0.0)
    times = asked_until(schedule, 3000.0, CatchUpOutcome.COMPLETE)
    assert 80 <= len(times) <= 125


def test_who_has_more_is_asked_again_at_once() -> None:
    schedule = neighbours()
    schedule.present([A], 0.0)
    assert len(asked_until(schedule, 10.0, CatchUpOutcome.MORE)) >= 9
    assert not schedule.is_complete


def test_who_fails_is_asked_ever_more_seldom_even_when_it_comes_anew() -> None:
    schedule = neighbours()
    schedule.present([A], 0.0)
    times = asked_until(schedule, 100.0, CatchUpOutcome.FAILED)
    assert len(times) <= 5
    schedule.present([], 100.0)
    schedule.present([A], 101.0)
    due = schedule.next_due()
    assert due is not None
    assert due > 102.0
    assert len(asked_until(schedule, 7200.0, CatchUpOutcome.FAILED)) <= 16
    assert not schedule.is_complete


def test_who_misbehaves_is_left_alone_for_long_wherever_it_was() -> None:
    schedule = neighbours()
    schedule.present([A, B], 0.0)
    taken = schedule.take_due(5.0), schedule.take_due(5.0)
    assert set(taken) == {A, B}
    schedule.asked(A, CatchUpOutcome.MISBEHAVED, 6.0)
    schedule.present([A], 7.0)
    schedule.asked(B, CatchUpOutcome.MISBEHAVED, 8.0)
    schedule.present([A, B], 9.0)
    schedule.hurry(10.0)
    assert schedule.take_due(MISTRUSTED_FOR) is None
    due = schedule.next_due()
    assert due is not None
    assert due >= MISTRUSTED_FOR


def test_a_new_topic_makes_all_of_them_be_asked_again() -> None:
    schedule = neighbours()
    schedule.present([A, B], 0.0)
    for _ in range(2):
        peer = schedule.take_due(2.0)
        assert peer is not None
        schedule.asked(peer, CatchUpOutcome.COMPLETE, 2.0)
    assert schedule.is_complete
    schedule.hurry(3.0)
    assert not schedule.is_complete
    assert {schedule.take_due(5.0), schedule.take_due(5.0)} == {A, B}


def test_one_that_fails_does_not_hold_up_what_another_completes() -> None:
    schedule = neighbours()
    schedule.present([A, B], 0.0)
    first, second = schedule.take_due(5.0), schedule.take_due(5.0)
    assert first is not None
    assert second is not None
    schedule.asked(first, CatchUpOutcome.COMPLETE, 6.0)
    assert not schedule.is_complete
    schedule.asked(second, CatchUpOutcome.FAILED, 7.0)
    assert schedule.is_complete
