"""Several connections to one peer: which are closed, and when."""

from __future__ import annotations

import pytest

from gossipsub.config import HostConfig
from gossipsub.transport.surplus import Surplus

REASON = "another connection to the peer is in use"


class Side:
    """One host's look at its connections to the other, which is number 1 or 2."""

    def __init__(self, connections, timers, *, me: int) -> None:
        self.connections, self.timers = connections, timers
        config = HostConfig(surplus_timeout=60.0)
        self.surplus = Surplus(
            connections.by_peer, me=connections.peer(me), config=config, timers=timers
        )

    def open(self, number: int):
        connection = self.connections.make(number)
        self.connections.add(connection)
        self.surplus.opened(connection.peer)
        return connection

    def end(self, connection) -> None:
        self.connections.remove(connection)
        self.surplus.closed(connection.peer)


@pytest.fixture
def low_and_high(connections):
    """The numbers of two peers, the one with the lower id first."""
    return sorted((1, 2), key=lambda number: connections.peer(number))


@pytest.fixture
def side(connections, timers, low_and_high):
    return Side(connections, timers, me=low_and_high[0])


def test_one_connection_is_left_alone(side, timers, low_and_high):
    only = side.open(low_and_high[1])
    timers.wait(1000)
    assert only.is_open
    assert timers.armed() == []


@pytest.mark.rule("CONN-02")
def test_the_youngest_unused_connection_is_closed_after_a_while(side, timers, low_and_high):
    first, second, third = (side.open(low_and_high[1]) for _ in range(3))
    timers.wait(59)
    assert side.connections.closed() == []
    timers.wait(1)
    assert (first.is_open, second.is_open, third.closed_for) == (True, True, REASON)
    side.end(third)
    timers.wait(60)
    assert (first.is_open, second.closed_for) == (True, REASON)
    side.end(second)
    timers.wait(1000)
    assert first.is_open
    assert timers.armed() == []


@pytest.mark.rule("CONN-02")
def test_a_connection_with_streams_is_not_closed(side, timers, low_and_high):
    first, second, third = (side.open(low_and_high[1]) for _ in range(3))
    second.streams[1] = third.streams[1] = object()
    timers.wait(60)
    assert first.closed_for == REASON
    side.end(first)
    timers.wait(1000)
    assert second.is_open
    assert third.is_open
    del third.streams[1]
    timers.wait(60)
    assert third.closed_for == REASON


def test_a_connection_that_has_just_come_is_given_time(side, timers, low_and_high):
    first, _second = side.open(low_and_high[1]), side.open(low_and_high[1])
    first.streams[1] = _second.streams[1] = object()
    timers.wait(59)
    third = side.open(low_and_high[1])
    timers.wait(60)
    assert third.is_open
    timers.wait(1)
    assert third.closed_for == REASON


def test_the_host_with_the_higher_id_waits_for_the_other(connections, timers, low_and_high):
    low, high = low_and_high
    side = Side(connections, timers, me=high)
    _first, second = side.open(low), side.open(low)
    timers.wait(119)
    assert connections.closed() == []
    timers.wait(1)
    assert second.closed_for == REASON


def test_nothing_is_kept_of_a_peer_that_has_gone(side, timers, low_and_high):
    first, second = side.open(low_and_high[1]), side.open(low_and_high[1])
    side.end(second)
    side.end(first)
    assert timers.armed() == []
    side.end(side.open(low_and_high[1]))
    assert timers.armed() == []
