"""When heartbeats run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.router.heartbeat import HeartbeatClock

if TYPE_CHECKING:
    from tests.router.conftest import Node


@pytest.mark.rule("MESH-17")
def test_heartbeats_are_due_at_fixed_times_however_late_each_is_served() -> None:
    clock = HeartbeatClock(start=0.1, interval=1.0)
    served = []
    for now in (0.0, 0.1, 0.2, 1.4, 2.1, 3.9, 4.1):
        if clock.is_due(now):
            served.append((now, round(clock.deadline, 9)))
    assert served == [(0.1, 1.1), (1.4, 2.1), (2.1, 3.1), (3.9, 4.1), (4.1, 5.1)]


@pytest.mark.rule("MESH-17")
def test_missed_heartbeats_are_skipped() -> None:
    clock = HeartbeatClock(start=0.1, interval=1.0)
    assert clock.is_due(1000.0)
    assert clock.deadline == pytest.approx(1000.1)
    assert not clock.is_due(1000.0)


@given(st.floats(0.001, 100), st.lists(st.floats(0, 1000), max_size=20))
def test_the_deadline_is_always_in_the_future_once_served(
    interval: float, waits: list[float]
) -> None:
    clock = HeartbeatClock(start=interval / 10, interval=interval)
    now = 0.0
    for wait in waits:
        now += wait
        clock.is_due(now)
        assert now < clock.deadline
        assert clock.deadline <= now + interval * 1.000001


@pytest.mark.rule("MESH-17")
def test_a_late_router_runs_one_heartbeat_and_keeps_the_beat(node: Node) -> None:
    node.join("t")
    node.publish(node.message(author=node.ME))
    assert node.router.next_deadline() == 0.1
    node.now = 7.5
    node.router.handle_timer(now=node.now)
    assert node.router.next_deadline() == pytest.approx(8.1)
    assert node.router.snapshot().cached == 1  # one shift, not eight
    node.router.handle_timer(now=node.now)
    assert node.router.effects() == []
