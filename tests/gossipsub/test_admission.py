"""Who may connect, and who is told no."""

from __future__ import annotations

import pytest

from gossipsub.config import HostConfig
from gossipsub.transport.address import Address
from gossipsub.transport.admission import Admission
from gossipsub.transport.trimming import Standing

ME = 1


class Gate:
    """Says no to what the test names."""

    def __init__(self) -> None:
        self.dials: list[object] = []
        self.refuses: list[object] = []

    def allow_dial(self, address: Address) -> bool:
        self.dials.append(address)
        return "dial" not in self.refuses

    def allow_accept(self, address: Address | None) -> bool:
        return address not in self.refuses

    def allow_peer(self, peer, address: Address | None, outbound: bool) -> bool:
        return (peer, address, outbound) not in self.refuses


class World:
    def __init__(self, connections, timers, **config: object) -> None:
        self.connections, self.timers = connections, timers
        self.gate = Gate()
        self.blocked: list[bytes] = []
        self.direct: list[bytes] = []
        self.standings: dict[bytes, Standing] = {}
        self.admission = Admission(
            connections.by_peer,
            me=connections.peer(ME),
            config=HostConfig(**config),
            timers=timers,
            gate=self.gate,
            is_blocked=lambda peer: peer in self.blocked,
            is_direct=lambda peer: peer in self.direct,
            standings=lambda peers: {peer: self.standings.get(peer, Standing()) for peer in peers},
        )

    def come(self, number: int, ip: str = "192.0.2.1", *, outbound: bool = False) -> str | None:
        """A connection stands; why it is refused, or else it is opened."""
        connection = self.connections.make(number, ip=ip, outbound=outbound)
        refusal = self.admission.refuses(connection)
        if refusal is None:
            self.connections.add(connection)
            self.admission.opened(connection)
        return refusal

    def go(self, number: int) -> None:
        connection = self.connections.by_peer[self.connections.peer(number)][0]
        self.connections.remove(connection)
        self.admission.closed(connection)

    def dial(self, number: int, *, asked: bool = False) -> str | None:
        address = Address("ip4", "192.0.2.9", 4001, self.connections.peer(number))
        return self.admission.refuses_dial(address, asked=asked)


@pytest.fixture
def make(connections, timers):
    return lambda **config: World(connections, timers, **config)


def test_an_address_has_only_so_many_inbound_connections(make):
    world = make(max_connections_per_ip=2)
    told = "too many connections from its address are open"
    assert [world.come(number) for number in (2, 3, 4)] == [None, None, told]
    assert world.come(4, outbound=True) is None  # our own choice
    assert world.come(5, ip="192.0.2.2") is None
    assert [world.come(number, ip="127.0.0.1") for number in (6, 7, 8)] == [None] * 3
    world.go(4)
    assert world.come(9) == told  # the one that has gone was not counted
    world.go(2)
    assert world.come(9) is None
    assert world.admission.refused == {"per ip": 2}


def test_a_peer_has_only_so_many_connections_whoever_it_is(make):
    world = make(max_connections_per_peer=2)
    world.direct = [world.connections.peer(2)]
    told = "2 connections to the peer are open, the limit"
    assert [world.come(2), world.come(2, outbound=True), world.come(2)] == [None, None, told]
    assert world.come(3) is None
    assert world.admission.refused == {"per peer": 1}


def test_direct_and_protected_peers_get_in_and_others_are_closed_for_them(make):
    world = make(max_connections=3, max_connections_per_ip=3)
    assert [world.come(number) for number in (2, 3, 4)] == [None] * 3
    full = "3 connections are open, the limit"
    assert world.come(5, ip="192.0.2.2") == full
    assert world.dial(5) == full
    world.direct = [world.connections.peer(5)]
    world.admission.protection.protect(world.connections.peer(6), "mine")
    assert [world.dial(5), world.dial(6)] == [None, None]
    assert world.connections.closed() == []  # nobody goes before one has really come
    assert [world.come(5), world.come(6)] == [None, None]
    assert len(world.connections.closed()) == 2
    assert world.dial(2, asked=True) == full
    world.admission.protection.protect(world.connections.peer(7), "mine")
    for number in (2, 3, 4):
        world.standings[world.connections.peer(number)] = Standing(in_mesh=True)
    assert world.come(7) == full  # all others are spared
    assert world.admission.refused == {"total": 2}
    world.admission.protection.unprotect(world.connections.peer(6), "mine")
    assert world.come(7) is None
    assert world.admission.trimming.trimmed == 3


def test_when_full_those_that_have_been_here_long_enough_are_trimmed_before_anybody_is_refused(
    make,
):
    world = make(max_connections=4, trim_above=4, trim_to=2, trim_grace=10.0)
    assert [world.come(number) for number in (2, 3, 4, 5)] == [None] * 4
    full = "4 connections are open, the limit"
    assert world.come(6) == full
    world.timers.wait(10.0)
    assert world.come(6) is None
    assert len(world.connections.closed()) == 2
    assert world.come(7) is None
    assert world.come(8) == full
    assert world.admission.refused == {"total": 2}


def test_a_trimmed_peer_is_not_dialled_for_a_while_unless_it_is_asked_for_or_protected(make):
    world = make(max_connections=1)
    peer = world.connections.peer(2)
    assert world.come(2) is None
    world.direct = [world.connections.peer(3)]
    assert world.come(3) is None
    world.go(2)
    world.go(3)
    assert world.dial(2) == "the peer was disconnected to make room"
    assert world.dial(2, asked=True) is None
    world.admission.protection.protect(peer, "bootstrap")
    assert world.dial(2) is None
    world.admission.protection.unprotect(peer, "bootstrap")
    world.timers.wait(300.0)
    assert world.dial(2) is None


def test_neither_this_host_nor_a_blocked_peer_is_let_in(make):
    world = make()
    world.blocked = [world.connections.peer(2)]
    world.direct = list(world.blocked)
    assert [world.come(ME), world.come(2)] == [
        "it leads to this host itself",
        "the peer is blocked",
    ]
    assert [world.dial(ME), world.dial(2)] == ["it is this host itself", "the peer is blocked"]
    assert world.admission.refused == {"self": 1, "blocked": 1}
    assert world.gate.dials == []


def test_the_gate_is_asked_about_everybody(make):
    world = make()
    peer, here = world.connections.peer(2), Address("ip4", "192.0.2.1", 4001)
    world.direct = [peer]
    world.gate.refuses = ["dial", here, (peer, here, True)]
    assert world.dial(2) == "the gate refuses it"
    assert world.gate.dials == [Address("ip4", "192.0.2.9", 4001, peer)]
    assert not world.admission.allows_accept(here)
    assert world.admission.allows_accept(None)
    assert world.come(2, outbound=True) == "the gate refuses the peer"
    assert world.come(2) is None
    assert world.admission.refused == {"gate": 2}
