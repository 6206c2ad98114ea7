"""Whose connections are closed to make room for others, and when."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from gossipsub.config import HostConfig
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.trimming import (
    MAX_RESTING,
    REST,
    TRIM_PAUSE,
    Candidate,
    Standing,
    Trimming,
    choose,
)

GOOD = Standing(shares_topics=True, score=1.0, deliveries=3)


def candidate(name: bytes, **changes: object) -> Candidate:
    standing = {
        field: changes.pop(field)
        for field in ("in_mesh", "shares_topics", "score", "deliveries")
        if field in changes
    }
    plain = Candidate(
        peer=name, connections=1, age=1000.0, outbound=True, is_spared=False, standing=GOOD
    )
    return replace(plain, standing=replace(GOOD, **standing), **changes)


IN_ORDER = [
    candidate(b"z lowest score", score=-9.0),
    candidate(b"y below zero", score=-1.0, deliveries=15, age=9999.0),
    candidate(b"x no topic in common", shares_topics=False, score=5.0, deliveries=15, age=9999.0),
    candidate(b"w lower score", score=0.5, deliveries=15, age=9999.0),
    candidate(b"v fewer deliveries", deliveries=2, age=9999.0),
    candidate(b"u inbound", outbound=False, age=9999.0),
    candidate(b"t shortest time", age=100.0),
    candidate(b"r"),
    candidate(b"s"),
]


@pytest.mark.rule("TRC-03")
def test_who_is_worth_least_goes_first():
    shuffled = list(IN_ORDER)
    for seed in range(5):
        Random(seed).shuffle(shuffled)
        for keep in range(len(IN_ORDER) + 1):
            expected = [each.peer for each in IN_ORDER[: len(IN_ORDER) - keep]]
            assert choose(shuffled, keep=keep, grace=60.0) == expected


@pytest.mark.rule("TRC-03")
def test_spared_peers_stay_though_they_alone_are_too_many():
    spared = [candidate(b"%d" % number, is_spared=True, score=-9.0) for number in range(5)]
    assert choose([*spared, *IN_ORDER[:2]], keep=4, grace=60.0) == [
        each.peer for each in IN_ORDER[:2]
    ]
    assert choose(spared, keep=0, grace=60.0) == []


def test_newcomers_are_neither_closed_nor_push_others_out():
    crowd = [candidate(b"%d" % number, age=59.0, score=-9.0) for number in range(100)]
    assert choose([*crowd, *IN_ORDER], keep=len(IN_ORDER), grace=60.0) == []
    assert choose([*crowd, *IN_ORDER], keep=8, grace=60.0) == [IN_ORDER[0].peer]


def test_all_connections_of_a_peer_count():
    two = candidate(b"two", connections=2, score=-9.0)
    assert choose([two, *IN_ORDER[1:]], keep=8, grace=60.0) == [b"two"]
    assert choose([two, *IN_ORDER[1:]], keep=7, grace=60.0) == [b"two", IN_ORDER[1].peer]


class FakePeer:
    """A connection of a peer that has no key."""

    opened_at, outbound, is_open = 0.0, False, True

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer

    def close(self, _reason: str) -> None:
        self.is_open = False


class World:
    """A host's connections and what is thought of its peers, by their numbers."""

    def __init__(self, connections, timers, **config: object) -> None:
        self.connections, self.timers = connections, timers
        self.spared: dict[bytes, None] = {}
        self.standings: dict[bytes, Standing] = {}
        self.trimming = Trimming(
            connections.by_peer,
            config=HostConfig(**config),
            timers=timers,
            is_spared=lambda peer: peer in self.spared,
            standings=lambda peers: {peer: self.standings.get(peer, Standing()) for peer in peers},
        )

    def open(self, *numbers: int):
        for number in numbers:
            connection = self.connections.make(number)
            self.connections.add(connection)
            self.trimming.opened()
        return connection

    def end_closed(self) -> None:
        """Those that were told to close have said goodbye."""
        for found in list(self.connections.by_peer.values()):
            for connection in [each for each in found if not each.is_open]:
                self.connections.remove(connection)
                self.trimming.closed(connection)

    def closed(self) -> list[int]:
        names = {self.connections.peer(number): number for number in range(40)}
        reasons = {reason for _, reason in self.connections.closed()}
        assert reasons <= {"closed to make room"}
        return [names[peer] for peer, _ in self.connections.closed()]


@pytest.fixture
def world(connections, timers):
    limits = {"max_connections": 10, "trim_above": 6, "trim_to": 4, "trim_grace": 20.0}
    return World(connections, timers, **limits)


def test_above_the_mark_the_youngest_of_equals_are_closed_down_to_the_other_mark(world):
    for number in range(6):
        world.open(number)
        world.timers.wait(30.0)
    assert world.closed() == []
    world.open(6)
    world.timers.wait()
    assert world.closed() == [4, 5]  # 6 has just come, and 0 to 3 have been here for longer
    assert (world.trimming.open, world.trimming.trimmed) == (5, 2)
    world.end_closed()
    assert (world.trimming.open, world.trimming.trimmed) == (5, 2)
    assert world.timers.armed() == []


def test_a_crowd_of_newcomers_is_trimmed_when_its_time_has_come(world):
    world.open(0, 1, 2, 3)
    world.timers.wait(100.0)
    world.open(4, 5, 6, 7)
    world.timers.wait(19.0)
    assert world.closed() == []
    world.timers.wait(TRIM_PAUSE)
    assert world.closed() == [4, 5, 6, 7]
    assert world.timers.armed() == []


@pytest.mark.rule("TRC-03")
def test_mesh_peers_direct_peers_and_protected_ones_are_not_closed(world):
    world.open(*range(7))
    world.standings[world.connections.peer(0)] = Standing(in_mesh=True, score=-5.0)
    world.spared[world.connections.peer(1)] = None
    world.standings[world.connections.peer(1)] = Standing(score=-5.0)
    for number in range(2, 7):
        world.standings[world.connections.peer(number)] = Standing(deliveries=number % 5)
    world.timers.wait(30.0)
    assert sorted(world.closed()) == [2, 5, 6]


def test_between_two_trims_is_a_pause_unless_somebody_finds_no_room(world):
    world.open(*range(7))
    world.timers.wait(20.0)
    assert len(world.closed()) == 3
    world.end_closed()
    began = world.timers.now()
    world.open(*range(10, 13))
    world.timers.wait(0.5)
    world.trimming.trim_when_full()  # which was done a moment ago
    assert world.closed() == []
    world.timers.wait(began + 1.0 - world.timers.now())
    world.spared.update(dict.fromkeys(world.connections.by_peer))
    del world.spared[next(iter(world.spared))]
    world.trimming.trim_when_full()
    assert world.closed() == []  # four are past their grace, as many as may be
    world.timers.wait(40.0)
    assert len(world.closed()) == 1


def test_for_one_that_must_be_let_in_another_is_closed_newcomers_last(world):
    world.open(*range(3))
    world.timers.wait(30.0)
    world.open(4)
    world.standings[world.connections.peer(4)] = Standing(score=-5.0)
    world.standings[world.connections.peer(1)] = Standing(score=-1.0)
    world.spared[world.connections.peer(0)] = None
    assert world.trimming.make_room(world.connections.peer(1))  # for the very one: it stays
    assert world.closed() == [2]
    assert world.trimming.make_room(world.connections.peer(9))
    assert world.trimming.make_room(world.connections.peer(9))
    assert sorted(world.closed()) == [1, 2, 4]
    assert not world.trimming.make_room(world.connections.peer(9))
    assert (world.trimming.open, world.trimming.trimmed) == (1, 3)


def test_a_peer_that_was_closed_rests_for_a_while(world):
    world.open(1)
    assert world.trimming.make_room(b"")
    peer = world.connections.peer(1)
    assert world.trimming.is_resting(peer)
    world.timers.wait(REST)
    assert not world.trimming.is_resting(peer)


def test_of_peers_that_were_closed_only_so_many_are_remembered(world):
    peers = [PeerId(b"peer %d" % number) for number in range(MAX_RESTING + 3)]
    for peer in peers:
        world.connections.add(FakePeer(peer))
        world.trimming.opened()
        assert world.trimming.make_room(b"")
        world.end_closed()
    resting = [world.trimming.is_resting(peer) for peer in peers]
    assert resting == [False] * 3 + [True] * MAX_RESTING


def test_all_connections_of_a_closed_peer_are_closed_once(world):
    first, second = world.open(1), world.open(1)
    assert world.trimming.make_room(b"")
    assert (world.trimming.open, world.trimming.trimmed) == (0, 2)
    assert not world.trimming.make_room(b"")
    assert (first.is_open, second.is_open) == (False, False)
    world.end_closed()
    assert world.trimming.open == 0
