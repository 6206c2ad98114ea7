"""Peers dialled on the router's behalf: in what number, where, and whom not."""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import pytest

from gossipsub.config import HostConfig
from gossipsub.crypto.envelope import SignedEnvelope
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_record import DOMAIN, PAYLOAD_TYPE, PeerRecord
from gossipsub.router.effects import Connect
from gossipsub.transport.address import Address, AddressError
from gossipsub.transport.connections import DialError
from gossipsub.transport.dialer import Dialer
from gossipsub.transport.dialing import Dialing
from gossipsub.transport.peerstore import Peerstore

pytestmark = pytest.mark.anyio

SOURCE = b"the peer that names others"
HERE = Address.parse("/ip4/127.0.0.1/tcp/1")


def key(number: int) -> PrivateKey:
    return PrivateKey.from_node_number(number)


def peer(number: int) -> bytes:
    return bytes(key(number).peer_id())


def record(number: int, *texts: str) -> bytes:
    addresses = [
        Address.parse(text).encode() for text in texts or (f"/ip4/127.0.0.1/tcp/{number}",)
    ]
    return PeerRecord(key(number).peer_id(), 1, addresses).seal(key(number))


def named(number: int, *texts: str) -> Connect:
    return Connect(peer(number), record(number, *texts), SOURCE)


@dataclass
class Connected:
    remote_address: Address | None


class NoNames:
    async def text_records(self, name):
        raise OSError(f"no TXT records of {name}")


class FakeConnections:
    """Dials end when they are told to."""

    def __init__(self, *, source: Address | None = HERE) -> None:
        self.known = {SOURCE: Connected(source)}
        self.dialled: list[Address] = []
        self.under_way: dict[Address, anyio.Event] = {}
        self.fails = False

    def get(self, wanted: bytes) -> Connected | None:
        return self.known.get(wanted)

    async def dial(self, address: Address, *, asked: bool = False) -> None:
        self.dialled.append(address)
        self.under_way[address] = anyio.Event()
        try:
            if not self.fails:
                await self.under_way[address].wait()
        finally:
            del self.under_way[address]
        if self.fails:
            raise DialError("nobody there")

    @property
    def ports(self) -> list[int]:
        return [address.port for address in self.dialled]

    def end(self, count: int = 1) -> None:
        for event in list(self.under_way.values())[:count]:
            event.set()


@asynccontextmanager
async def dialing(connections: FakeConnections, **config):
    made_config = HostConfig(**config)
    async with anyio.create_task_group() as tasks:
        made = Dialing(
            Dialer(connections, resolver=NoNames(), config=made_config),
            connections,
            peerstore=Peerstore(max_peers=100, lifetime=3600),
            config=made_config,
            rng=random.Random(1),
        )
        made.tasks = tasks
        yield made
        tasks.cancel_scope.cancel()


async def settle():
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


@pytest.mark.rule("PX-07")
async def test_eight_are_dialled_at_one_time_and_128_wait_in_order():
    connections = FakeConnections()
    async with dialing(connections) as made:
        for number in range(1, 151):
            made.connect_wanted(named(number))
        await settle()
        assert sorted(connections.ports) == list(range(1, 9))
        # Nothing ran before all were named: those that are dialled had waited as well.
        assert made.dropped == 150 - 128
        connections.end(3)
        await settle()
        assert sorted(connections.ports) == list(range(1, 12))
        assert len(connections.under_way) == 8
        while connections.under_way:
            connections.end(8)
            await settle()
        assert sorted(connections.ports) == list(range(1, 129))
        made.connect_wanted(named(200))
        await settle()
        assert connections.ports[-1] == 200


async def test_a_peer_is_not_dialled_twice_at_one_time():
    connections = FakeConnections()
    async with dialing(connections, exchange_dials=1, exchange_queue=2) as made:
        made.connect_wanted(named(1))
        await settle()
        for number in (1, 2, 2, 1):
            made.connect_wanted(named(number))
        connections.end()
        await settle()
        connections.end()
        await settle()
        assert connections.ports == [1, 2]
        assert made.dropped == 0
        made.connect_wanted(named(1))
        await settle()
        assert connections.ports == [1, 2, 1]


@pytest.mark.rule("PX-07")
async def test_a_dial_ends_when_its_time_is_over():
    assert HostConfig().exchange_dial_timeout == 30.0
    connections = FakeConnections()
    async with dialing(connections, exchange_dials=1, exchange_dial_timeout=0.05) as made:
        made.connect_wanted(named(1, "/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"))
        made.connect_wanted(named(3))
        with anyio.fail_after(5):
            while connections.ports != [1, 3]:  # the second address has no time left
                await anyio.sleep(0.005)


async def test_the_addresses_of_a_record_are_tried_in_turn_and_name_the_peer():
    connections = FakeConnections()
    connections.fails = True
    async with dialing(connections) as made:
        made.connect_wanted(named(1, "/ip4/127.0.0.1/tcp/7", "/ip4/127.0.0.1/tcp/8"))
        await settle()
    assert connections.dialled == [
        Address("ip4", "127.0.0.1", port, key(1).peer_id()) for port in (7, 8)
    ]


async def test_the_address_of_another_peer_in_a_record_is_left_out():
    connections = FakeConnections()
    connections.fails = True
    own, other = key(1).peer_id(), key(2).peer_id()
    async with dialing(connections) as made:
        made.connect_wanted(
            named(1, f"/ip4/127.0.0.1/tcp/7/p2p/{other}", f"/ip4/127.0.0.1/tcp/8/p2p/{own}")
        )
        await settle()
    assert connections.ports == [8]


def _of_another_type() -> bytes:
    payload = PeerRecord(key(1).peer_id(), 1, [HERE.encode()]).encode()
    return SignedEnvelope.seal(
        key(1), domain=DOMAIN, payload_type=b"\x03\x02", payload=payload
    ).encode()


def _signed_by_another() -> bytes:
    payload = PeerRecord(key(1).peer_id(), 1, [HERE.encode()]).encode()
    return SignedEnvelope.seal(
        key(2), domain=DOMAIN, payload_type=PAYLOAD_TYPE, payload=payload
    ).encode()


DEFECTS = {
    "empty": b"",
    "broken": record(1)[:-1],
    "changed": record(1)[:-1] + bytes([record(1)[-1] ^ 1]),
    "no peer record": _of_another_type(),
    "about another peer": record(2),
    "signed by another peer": _signed_by_another(),
    "without an address": PeerRecord(key(1).peer_id(), 1).seal(key(1)),
}


@pytest.mark.rule("PX-08")
@pytest.mark.parametrize("defective", DEFECTS.values(), ids=DEFECTS)
async def test_a_record_that_is_not_the_peers_own_leads_to_no_dial(defective):
    connections = FakeConnections()
    async with dialing(connections) as made:
        made.connect_wanted(Connect(peer(1), defective, SOURCE))
        made.connect_wanted(named(3))
        await settle()
    assert connections.ports == [3]


async def test_a_peer_named_without_a_record_is_left():
    connections = FakeConnections()
    async with dialing(connections, exchange_queue=1) as made:
        made.connect_wanted(Connect(peer(1), None, SOURCE))
        made.connect_wanted(named(2))
        await settle()
        assert connections.ports == [2]
        assert made.dropped == 0


@pytest.mark.parametrize(
    ("source", "ports"),
    [("/ip4/127.0.0.1/tcp/1", [2, 1]), ("/ip4/8.8.8.8/tcp/1", [1]), (None, [1])],
)
async def test_what_is_dialled_depends_on_where_the_one_who_names_it_is(source, ports):
    connections = FakeConnections(source=None if source is None else Address.parse(source))
    connections.fails = True
    async with dialing(connections) as made:
        made.connect_wanted(named(1, "/ip4/9.9.9.9/tcp/1", "/ip4/127.0.0.1/tcp/2"))
        connections.known.clear()  # where it was counts, not that it is gone
        await settle()
    assert connections.ports == ports


async def test_private_addresses_are_dialled_for_strangers_where_the_config_says_so():
    for private, ports in ((False, []), (True, [2])):
        connections = FakeConnections(source=Address.parse("/ip4/8.8.8.8/tcp/1"))
        async with dialing(connections, exchange_private_dials=private) as made:
            made.connect_wanted(named(1, "/ip4/10.0.0.1/tcp/2"))
            await settle()
            assert connections.ports == ports


# Found by discovery


def found(number: int, port: int | None = None) -> Address:
    return Address("ip4", "127.0.0.1", port or number, key(number).peer_id())


async def test_peers_found_wait_in_the_same_line_as_those_named_in_exchange():
    connections = FakeConnections()
    async with dialing(connections, exchange_dials=1, exchange_queue=2) as made:
        made.connect_found(found(1))
        await settle()
        made.connect_wanted(named(2))
        for number in (1, 2, 3, 4):
            made.connect_found(found(number))
        assert made.dropped == 1
        connections.end()
        await settle()
        connections.end()
        await settle()
        assert connections.ports == [1, 2, 3]


async def test_all_addresses_found_of_a_waiting_peer_are_tried_but_not_without_end():
    connections = FakeConnections()
    connections.fails = True
    async with dialing(connections, exchange_dials=1) as made:
        for port in (*range(100, 120), 100):
            made.connect_found(found(1, port))
        for _ in range(10):
            await settle()
        assert connections.ports == list(range(100, 116))


async def test_a_connected_peer_that_is_found_is_not_dialled():
    connections = FakeConnections()
    connections.known[peer(1)] = Connected(HERE)
    async with dialing(connections) as made:
        made.connect_found(found(1))
        made.connect_found(found(2))
        await settle()
        assert connections.ports == [2]


# Whom not to dial again yet


async def test_a_peer_that_cannot_be_reached_is_left_alone_for_a_while_whoever_names_it():
    connections = FakeConnections()
    connections.fails = True
    async with dialing(connections, redial_delay=0.2) as made:
        made.connect_found(found(1))
        await settle()
        for _ in range(3):
            made.connect_found(found(1))
            made.connect_wanted(named(1))
            made.connect_found(found(2))
            await settle()
        assert connections.ports == [1, 2]
        with anyio.fail_after(10):
            while connections.ports != [1, 2, 1]:
                made.connect_found(found(1))
                await anyio.sleep(0.01)


async def test_a_record_that_cannot_be_used_is_not_held_against_the_peer():
    connections = FakeConnections()
    async with dialing(connections) as made:
        made.connect_wanted(Connect(peer(1), record(2), SOURCE))
        made.connect_wanted(named(3, "/ip4/0.0.0.0/tcp/3"))
        await settle()
        made.connect_wanted(named(1))
        made.connect_found(found(3))
        await settle()
        assert sorted(connections.ports) == [1, 3]


async def test_an_old_record_does_not_hide_where_a_peer_is_now():
    connections = FakeConnections()
    connections.fails = True
    old, new = (
        PeerRecord(key(1).peer_id(), seq, [Address.parse(text).encode()]).seal(key(1))
        for seq, text in ((1, "/ip4/127.0.0.1/tcp/1"), (2, "/ip4/127.0.0.1/tcp/2"))
    )
    async with dialing(connections, redial_delay=0.001, redial_delay_limit=0.001) as made:
        for sealed in (new, old):
            await anyio.sleep(0.01)
            made.connect_wanted(Connect(peer(1), sealed, SOURCE))
            await settle()
        assert connections.ports == [2, 1, 2]


async def test_a_connection_that_did_not_last_counts_as_a_failure():
    connections = FakeConnections()
    async with dialing(connections, redial_delay_limit=0.05) as made:
        made.connection_opened(peer(1))
        made.peer_disconnected(peer(1))
        made.connect_found(found(1))
        made.connect_found(found(2))
        await settle()
        assert connections.ports == [2]


async def test_a_peer_known_from_another_day_is_dialled_where_it_was_reached():
    connections = FakeConnections()
    store = Peerstore(max_peers=10, lifetime=3600)
    store.reached(found(1), now=time.time())
    config = HostConfig()
    async with anyio.create_task_group() as tasks:
        made = Dialing(
            Dialer(connections, resolver=NoNames(), config=config),
            connections,
            peerstore=store,
            config=config,
            rng=random.Random(1),
        )
        made.tasks = tasks
        made.connect_known(key(1).peer_id())
        made.connect_known(key(2).peer_id())
        await settle()
        assert connections.dialled == [found(1)]
        tasks.cancel_scope.cancel()


async def test_an_address_found_says_whose_it_is():
    async with dialing(FakeConnections()) as made:
        with pytest.raises(AddressError) as refused:
            made.connect_found(HERE)
        assert str(refused.value) == f"an address found ends in /p2p/PEER: {HERE}"
