"""Bootstrap and direct peers: dialled with all that is known of them, and again when lost."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from gossipsub.config import HostConfig
from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address
from gossipsub.transport.connections import DialError
from gossipsub.transport.dialer import Dialer
from gossipsub.transport.keeping import MOST_BEHIND_NAMES, Keeping

pytestmark = pytest.mark.anyio

ME = key_of_seed(99).peer_id()


def peer(number: int) -> PeerId:
    return key_of_seed(number).peer_id()


def at(port: int, number: int = 1) -> Address:
    return Address("ip4", "127.0.0.1", port, peer(number))


class Connection:
    def __init__(self) -> None:
        self.ended = anyio.Event()


class FakeConnections:
    """Somebody is at the ports in `open`."""

    def __init__(self, *listening: int) -> None:
        self.open = listening
        self.dialled: list[int] = []
        self.known: dict[bytes, Connection] = {}

    def get(self, wanted: bytes) -> Connection | None:
        return self.known.get(wanted)

    async def dial(self, address: Address, *, asked: bool = False) -> PeerId:
        self.dialled.append(address.port)
        await anyio.lowlevel.checkpoint()
        if address.port not in self.open or address.peer is None:
            raise DialError(f"{address.port}: nobody there")
        self.known[address.peer] = Connection()
        return address.peer

    def lose(self, lost: bytes) -> None:
        self.known.pop(lost).ended.set()


class Names:
    """Fails as often as it is told, then knows all names."""

    def __init__(self, *texts: str, failures: int = 0) -> None:
        self.texts = texts
        self.failures = failures

    async def text_records(self, name):
        if self.failures:
            self.failures -= 1
            raise OSError("nobody answers")
        return self.texts


@asynccontextmanager
async def keeping(connections, *, names=None, known=None, protected=None, **config):
    made_config = HostConfig(**{"reconnect_delay": 0.01, "reconnect_delay_limit": 0.02, **config})
    async with anyio.create_task_group() as tasks:
        made = Keeping(
            Dialer(connections, resolver=names or Names(), config=made_config),
            connections,
            me=ME,
            known_addresses=lambda peer: (known or {}).get(peer, ()),
            protect=([] if protected is None else protected).append,
            config=made_config,
            rng=random.Random(1),
        )
        made.tasks = tasks
        yield made
        tasks.cancel_scope.cancel()


async def until(condition):
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.002)


async def settle():
    for _ in range(50):
        await anyio.lowlevel.checkpoint()


async def test_a_peer_at_several_addresses_is_one_peer_and_dialled_again_when_lost():
    connections = FakeConnections(3)
    async with keeping(connections) as made:
        made.keep([at(2), at(3), at(4)])
        made.keep([at(3)])
        for _ in range(3):
            await until(lambda: peer(1) in connections.known)
            connections.lose(peer(1))
        await until(lambda: len(connections.dialled) >= 8)
    assert connections.dialled[:8] == [2, 3] * 4


async def test_addresses_known_from_elsewhere_are_tried_as_well():
    connections = FakeConnections(9)
    async with keeping(connections, known={peer(1): [at(8), at(9)]}) as made:
        made.keep([at(2)])
        await until(lambda: connections.known)
    assert connections.dialled == [2, 8, 9]


async def test_this_host_itself_is_not_dialled():
    connections = FakeConnections()
    async with keeping(connections) as made:
        made.keep([at(1).with_peer(ME), at(2)])
        await until(lambda: len(connections.dialled) >= 3)
    assert set(connections.dialled) == {2}


async def test_a_direct_peer_is_dialled_when_the_router_wants_it_and_then_kept():
    connections = FakeConnections(2)
    async with keeping(connections) as made:
        made.add_direct([at(1), at(2)])
        await settle()
        assert connections.dialled == []
        made.want(peer(1))
        made.want(peer(1))
        await until(lambda: connections.known)
        connections.lose(peer(1))
        await until(lambda: connections.known)
        made.remove_direct(peer(1))
        made.remove_direct(peer(1))
        connections.lose(peer(1))
        dialled = list(connections.dialled)
        await settle()
        await anyio.sleep(0.05)
        assert connections.dialled == dialled == [1, 2] * 2


@pytest.mark.rule("DIR-01")
async def test_the_router_that_misses_a_direct_peer_is_not_kept_waiting():
    connections = FakeConnections()
    async with keeping(connections, reconnect_delay=3600, reconnect_delay_limit=3600) as made:
        made.add_direct([at(1)])
        for count in range(1, 4):
            made.want(peer(1))
            await until(lambda count=count: len(connections.dialled) == count)
            await settle()


async def test_a_direct_peer_known_by_its_id_alone_is_dialled_once_it_is_known_where():
    connections = FakeConnections(5)
    known = {}
    async with keeping(connections, known=known) as made:
        made.want(peer(1))
        await settle()
        assert connections.dialled == []
        known[peer(1)] = [at(5)]
        await until(lambda: connections.known)


async def test_a_bootstrap_peer_stays_one_when_it_is_no_direct_peer_any_more():
    connections = FakeConnections(1)
    async with keeping(connections) as made:
        made.keep([at(1)])
        made.add_direct([at(1)])
        await until(lambda: connections.known)
        made.remove_direct(peer(1))
        connections.lose(peer(1))
        await until(lambda: connections.known)


async def test_a_name_is_looked_up_until_it_is_found_and_leads_to_all_its_peers():
    connections = FakeConnections(1, 2)
    texts = (f"dnsaddr={at(1, 1)}", f"dnsaddr={at(2, 2)}", "dnsaddr=/ip4/127.0.0.1/tcp/3")
    names = Names(*texts, f"dnsaddr={at(4).with_peer(ME)}", failures=3)
    async with keeping(connections, names=names) as made:
        made.keep([Address("dnsaddr", "x.y", 0)])
        await until(lambda: set(connections.known) == {peer(1), peer(2)})
        connections.lose(peer(2))
        await until(lambda: set(connections.known) == {peer(1), peer(2)})
    assert sorted(connections.dialled) == [1, 2, 2]


async def test_bootstrap_peers_are_protected_those_behind_names_too_and_others_not():
    connections = FakeConnections()
    names, protected = Names(f"dnsaddr={at(3, 3)}"), []
    async with keeping(connections, names=names, protected=protected) as made:
        made.keep([at(1), Address("dnsaddr", "x.y", 0)])
        made.add_direct([at(2, 2)])
        made.want(peer(2))
        await until(lambda: len(protected) == 2)
    assert protected == [peer(1), peer(3)]


async def test_a_name_with_a_peer_is_looked_up_each_time_the_peer_is_dialled():
    connections = FakeConnections(1)
    names = Names(f"dnsaddr={at(1)}", failures=2)
    async with keeping(connections, names=names) as made:
        made.keep([Address("dnsaddr", "x.y", 0, peer(1))])
        await until(lambda: connections.known)


class EverMore:
    """Names twenty peers a time, others each time."""

    def __init__(self) -> None:
        self.count = 0

    async def text_records(self, name):
        self.count += 20
        return [f"dnsaddr={at(n, n)}" for n in range(self.count - 19, self.count + 1)]


async def test_names_that_lead_to_ever_more_peers_fill_no_memory():
    connections = FakeConnections()
    never = {"reconnect_delay": 3600, "reconnect_delay_limit": 3600}
    async with keeping(connections, names=EverMore(), **never) as made:
        for n in range(6):
            made.keep([Address("dnsaddr", f"n{n}.y", 0)])
            await settle()
    assert sorted(connections.dialled) == list(range(1, MOST_BEHIND_NAMES + 1))
