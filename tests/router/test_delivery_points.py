"""Points for bringing messages early, by which the driver knows whom to keep."""

from __future__ import annotations

import pytest

from gossipsub.router.delivery_points import DECAY_INTERVAL, DeliveryPoints
from gossipsub.router.effects import Verdict

A, B, C = b"a", b"b", b"c"


def points_of(table: DeliveryPoints, now: float) -> list[int]:
    return [table.of(peer, now) for peer in (A, B, C)]


@pytest.mark.rule("TRC-03")
def test_each_sender_of_a_valid_message_gets_a_point_up_to_15_per_topic():
    table = DeliveryPoints({A, B, C})
    for number in range(20):
        table.delivered("x", [A, B] if number < 3 else [A], 0.0)
    assert points_of(table, 0.0) == [15, 3, 0]
    for _ in range(20):
        table.delivered("y", [A], 1.0)
    assert points_of(table, 1.0) == [30, 3, 0]
    assert len(table) == 3


@pytest.mark.rule("TRC-03")
def test_a_point_goes_every_ten_minutes():
    table = DeliveryPoints({A, B})
    for _ in range(3):
        table.delivered("x", [A], 100.0)
    assert [table.of(A, 100.0 + seconds) for seconds in (599, 600, 1199, 1200, 1800, 9999)] == [
        *(3, 2, 2, 1, 0, 0),
    ]
    table.delivered("x", [A], 100.0 + 1.5 * DECAY_INTERVAL)  # does not start the ten minutes anew
    assert [table.of(A, 100.0 + seconds) for seconds in (900, 1199, 1200)] == [3, 3, 2]


@pytest.mark.rule("TRC-03")
def test_points_go_with_the_peer_and_with_the_topic():
    table = DeliveryPoints({A, B})
    for topic in ("x", "y"):
        table.delivered(topic, [A, B], 0.0)
    table.forget_peer(A)
    assert points_of(table, 0.0) == [0, 2, 0]
    table.forget_topic("x")
    table.forget_topic("never joined")
    assert points_of(table, 0.0) == [0, 1, 0]
    assert len(table) == 1


def test_who_has_left_before_the_verdict_gets_none():
    table = DeliveryPoints({A})
    table.delivered("x", [A, C], 0.0)
    assert points_of(table, 0.0) == [1, 0, 0]
    assert len(table) == 1


@pytest.mark.rule("TRC-03")
def test_a_router_gives_points_for_what_it_accepts_to_the_first_and_those_close_behind(node):
    node.join("t")
    node.connect([A, B, C])

    def points(now: float) -> list[int]:
        return [node.router.delivery_points(peer, now=now) for peer in (A, B, C)]

    (validate,) = node.receive(A, publish=[node.message(1)])
    node.receive(B, publish=[node.message(1)])
    assert points(0.0) == [0, 0, 0]  # nobody knows yet whether it is worth anything
    node.verdict(validate)
    node.receive(C, publish=[node.message(1)])
    assert points(0.0) == [1, 1, 0]
    for number, verdict in enumerate((Verdict.REJECT, Verdict.IGNORE, Verdict.THROTTLED), 2):
        (validate, *_) = node.receive(C, publish=[node.message(number)])
        node.verdict(validate, verdict)
    assert points(0.0) == [1, 1, 0]
    node.router.peer_disconnected(A, now=0.0)
    assert points(0.0) == [0, 1, 0]
    assert node.router.snapshot().delivery_points == 1
    node.leave("t")
    assert points(0.0) == [0, 0, 0]
    assert node.router.snapshot().delivery_points == 0
