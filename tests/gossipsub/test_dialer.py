"""A peer at several addresses: which are tried, and what a failure says."""

from __future__ import annotations

import anyio
import pytest

from gossipsub.config import HostConfig
from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address
from gossipsub.transport.connections import DialError
from gossipsub.transport.dialer import MOST_TRIED, Dialer

pytestmark = pytest.mark.anyio

PEER = key_of_seed(1).peer_id()


def at(port: int) -> Address:
    return Address("ip4", "127.0.0.1", port, PEER)


NAME = Address("dnsaddr", "x.y", 0, PEER)


class FakeConnections:
    """Port 1 answers, port 2 never does, nobody is at any other."""

    def __init__(self) -> None:
        self.connected: list[PeerId] = []
        self.dialled: list[int] = []

    def get(self, peer: PeerId) -> PeerId | None:
        return peer if peer in self.connected else None

    async def dial(self, address: Address, *, asked: bool = False) -> PeerId:
        self.dialled.append(address.port)
        if address.port == 2:
            await anyio.sleep_forever()
        if address.port != 1:
            raise DialError(f"{address.port}: nobody there")
        return PEER


class Names:
    def __init__(self, *ports: int) -> None:
        self.texts = [f"dnsaddr={at(port)}" for port in ports]

    async def text_records(self, name):
        if not self.texts:
            await anyio.sleep_forever()
        return self.texts


def dialer(connections: FakeConnections, *behind_name: int, **config: float) -> Dialer:
    return Dialer(connections, resolver=Names(*behind_name), config=HostConfig(**config))


async def test_addresses_are_tried_in_turn_each_once_until_one_answers():
    connections = FakeConnections()
    found = await dialer(connections).dial(map(at, (3, 3, 4, 1, 5)))
    assert (found, connections.dialled) == (PEER, [3, 4, 1])


async def test_one_that_does_not_answer_holds_up_the_next_only_a_moment():
    connections = FakeConnections()
    with anyio.fail_after(10):
        assert await dialer(connections).dial([at(2), at(1)]) == PEER
    assert connections.dialled == [2, 1]


async def test_a_connected_peer_is_not_dialled():
    connections = FakeConnections()
    connections.connected = [PEER]
    assert await dialer(connections).dial([at(1)]) == PEER
    assert await dialer(connections).dial([], peer=PEER) == PEER
    assert connections.dialled == []


async def test_where_nobody_is_the_first_failure_is_told():
    connections = FakeConnections()
    with pytest.raises(DialError, match=r"^3: nobody there$"):
        await dialer(connections).dial(map(at, range(3, 100)))
    assert connections.dialled == list(range(3, 3 + MOST_TRIED))
    with pytest.raises(DialError, match=f"^no address of {PEER} is known$"):
        await dialer(connections).dial([], peer=PEER)


async def test_all_that_a_name_stands_for_are_tried():
    connections = FakeConnections()
    assert await dialer(connections, 3, 4, 1).dial([NAME]) == PEER
    assert connections.dialled == [3, 4, 1]
    with pytest.raises(DialError, match=r"^4: nobody there$"):
        await dialer(connections, 4).dial([NAME])


async def test_a_name_that_is_not_resolved_holds_up_other_addresses_only_a_moment():
    connections = FakeConnections()
    with anyio.fail_after(10):
        assert await dialer(connections).dial([NAME, at(1)]) == PEER
    with pytest.raises(DialError, match=f"^{NAME}: the name was not resolved in time$"):
        await dialer(connections, dial_timeout=0.01).dial([NAME])
    other = Names()
    other.texts = ["dnsaddr=/ip4/1.2.3.4/tcp/5"]
    with pytest.raises(DialError, match=f"^{NAME}: no address of TCP is behind {NAME}$"):
        await Dialer(connections, resolver=other, config=HostConfig()).dial([NAME])
