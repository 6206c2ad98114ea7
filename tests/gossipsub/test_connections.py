"""Hosts that meet in a network of memory, with whatever addresses the test gives them: limits,
trimming, the gate, duplicate connections, addresses for P6."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream, SocketAttribute

from gossipsub import (
    Address,
    DialError,
    GossipParams,
    Host,
    HostConfig,
    IpGate,
    PeerScoreParams,
    PrivateKey,
)
from gossipsub.wake import Wake

pytestmark = pytest.mark.anyio

PATIENCE = 20.0


class End(ByteStream):
    """One end of a connection in memory, which takes all that is written."""

    def __init__(self, here: Address, there: Address) -> None:
        self.here, self.there = here, there
        self.other: End
        self.is_closed = False
        self._arrived = bytearray()
        self._is_over = False
        self._wake = Wake()

    @property
    def extra_attributes(self) -> Mapping[object, Callable[[], object]]:
        return {
            SocketAttribute.local_address: lambda: (self.here.host, self.here.port),
            SocketAttribute.remote_address: lambda: (self.there.host, self.there.port),
        }

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await anyio.lowlevel.checkpoint()
        while not self._arrived:
            if self.is_closed:
                raise anyio.ClosedResourceError
            if self._is_over:
                raise anyio.EndOfStream
            await self._wake.wait()
        data = bytes(self._arrived[:max_bytes])
        del self._arrived[:max_bytes]
        return data

    async def send(self, item: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        if self.other.is_closed:
            raise anyio.BrokenResourceError
        self.other._arrived += item
        self.other._wake.set()

    async def send_eof(self) -> None:
        self.other._is_over = True
        self.other._wake.set()

    async def aclose(self) -> None:
        self.is_closed = True
        self._wake.set()
        await self.send_eof()


class Listener:
    def __init__(self, address: Address) -> None:
        self.address = address
        self._arrived: deque[End] = deque()
        self._is_closed = False
        self._wake = Wake()

    def arrive(self, end: End) -> None:
        self._arrived.append(end)
        self._wake.set()

    async def accept(self) -> ByteStream:
        await anyio.lowlevel.checkpoint()
        while not self._arrived:
            if self._is_closed:
                raise anyio.ClosedResourceError
            await self._wake.wait()
        return self._arrived.popleft()

    async def aclose(self) -> None:
        self._is_closed = True
        self._wake.set()


class Internet:
    """Where hosts are, by address; names lead to addresses."""

    def __init__(self) -> None:
        self.listeners: dict[tuple[str, int], Listener] = {}
        self.names: dict[str, str] = {}
        self.connects = 0

    def at(self, host: str) -> Place:
        return Place(self, host)

    def connect(self, source: str, address: Address) -> End:
        self.connects += 1
        host = self.names.get(address.host, address.host)
        listener = self.listeners.get((host, address.port))
        if listener is None:
            raise ConnectionRefusedError(111, "Connection refused")
        there = Address.of_socket(host, address.port)
        here = Address.of_socket(source, 50000 + self.connects % 10000)
        near, far = End(here, there), End(there, here)
        near.other, far.other = far, near
        listener.arrive(far)
        return near


class Place:
    """The network as one host has it."""

    def __init__(self, internet: Internet, host: str) -> None:
        self.internet, self.host = internet, host

    async def connect(self, address: Address) -> ByteStream:
        await anyio.sleep(0)
        return self.internet.connect(self.host, address)

    async def listen(self, address: Address) -> list[Listener]:
        listener = self.internet.listeners[address.host, address.port] = Listener(address)
        return [listener]


@pytest.fixture
def internet() -> Internet:
    return Internet()


@pytest.fixture
def host_at(internet) -> Callable[..., Host]:
    """A host at an address; options as for `Host`, and those of its configuration."""

    def make(ip: str, *, number: int | None = None, **options: object) -> Host:
        known = {name for name in options if name in HostConfig.__dataclass_fields__}
        config = HostConfig(**{"close_timeout": 0.5, **{name: options.pop(name) for name in known}})
        options.setdefault("network", internet.at(ip))
        if number is not None:
            options["key"] = PrivateKey.from_node_number(number)
        return Host(listen=f"/ip4/{ip}/tcp/4001", config=config, **options)

    return make


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.sleep(0.002)


def peers_of(host: Host) -> list[object]:
    return [info.peer for info in host.peers()]


# -- handshakes


async def test_thousands_of_connections_from_one_address_keep_no_other_out(internet, host_at):
    async with host_at("10.0.0.1") as host, host_at("10.0.0.2") as friend:
        where = Address.parse(host.addresses[0])
        silent = []
        for number in range(3000):
            silent.append(internet.connect("10.0.0.66", where))
            if number % 300 == 150:
                await friend.connect(host.addresses[0])
                await friend.disconnect(host.peer_id)
        refused = host.statistics().connections_refused
        await until(lambda: sum(end.other.is_closed for end in silent) == 3000 - 16)
        assert peers_of(host) == []
        refused = host.statistics().connections_refused
        assert refused == {"handshake": 3000 - 16}
        await friend.connect(host.addresses[0])


# -- limits


async def test_one_address_has_only_so_many_connections_and_another_gets_in(host_at):
    async with (
        host_at("10.0.0.1", max_connections_per_ip=2) as host,
        host_at("10.0.0.2") as first,
        host_at("10.0.0.2") as second,
        host_at("10.0.0.2") as third,
        host_at("10.0.0.3") as other,
    ):
        for peer in (first, second, third, other):
            await peer.connect(host.addresses[0])
        await until(lambda: not third.peers())
        await until(lambda: peers_of(host) == [first.peer_id, second.peer_id, other.peer_id])
        host.protect(third.peer_id)
        await third.connect(host.addresses[0])
        await until(lambda: third.peer_id in peers_of(host))
        assert host.unprotect(third.peer_id) is False
        assert host.statistics().connections_refused == {"per ip": 1}


async def test_a_full_host_takes_direct_and_bootstrap_peers_and_says_goodbye_to_others(host_at):
    async with (
        host_at("10.0.0.2") as ordinary,
        host_at("10.0.0.3") as bootstrap,
        host_at("10.0.0.4", number=4) as direct,
        host_at(
            "10.0.0.1",
            max_connections=2,
            trim_above=2,
            bootstrap=bootstrap.addresses,
            direct_peers=f"/ip4/10.0.0.4/tcp/9999/p2p/{direct.peer_id}",
        ) as host,
    ):
        await until(lambda: peers_of(host) == [bootstrap.peer_id])
        await ordinary.connect(host.addresses[0])
        await until(lambda: len(host.peers()) == 2)
        await direct.connect(host.addresses[0])
        await until(lambda: peers_of(host) == [bootstrap.peer_id, direct.peer_id])
        await until(lambda: not ordinary.peers())
        await ordinary.connect(host.addresses[0])
        await until(lambda: not ordinary.peers())
        with pytest.raises(DialError, match=r": 2 connections are open, the limit$"):
            await host.connect(ordinary.addresses[0])
        statistics = host.statistics()
        assert statistics.connections_trimmed == 1
        assert statistics.connections_refused == {"total": 1}


async def test_a_bootstrap_peer_that_comes_by_itself_gets_in(host_at):
    async with (
        host_at("10.0.0.2") as ordinary,
        host_at("10.0.0.3", number=3) as bootstrap,
        host_at(
            "10.0.0.1",
            max_connections=1,
            bootstrap=f"/ip4/10.0.0.3/tcp/9999/p2p/{bootstrap.peer_id}",
            reconnect_delay=100.0,
            reconnect_delay_limit=100.0,
        ) as host,
    ):
        await host.connect(ordinary.addresses[0])
        await bootstrap.connect(host.addresses[0])
        await until(lambda: peers_of(host) == [bootstrap.peer_id])
        await ordinary.connect(host.addresses[0])
        await until(lambda: not ordinary.peers())
        assert peers_of(host) == [bootstrap.peer_id]


@pytest.mark.rule("TRC-03")
async def test_mesh_peers_stay_when_those_of_no_use_are_trimmed(host_at):
    limits = {"trim_above": 3, "trim_to": 2, "trim_grace": 0.001}
    async with (
        host_at("10.0.0.1", **limits) as host,
        host_at("10.0.0.2") as in_mesh,
        host_at("10.0.0.3") as stranger,
        host_at("10.0.0.4") as known,
        host_at("10.0.0.5") as last,
    ):
        topic, theirs = await host.join("news"), await in_mesh.join("news")
        async with topic.subscribe() as messages, theirs.subscribe():
            for peer in (known, in_mesh, stranger):
                await peer.connect(host.addresses[0])
            await until(lambda: in_mesh.peer_id in topic.mesh())
            host.protect(known.peer_id, "known")
            await last.connect(host.addresses[0])
            await until(
                lambda: set(peers_of(host)) <= {in_mesh.peer_id, known.peer_id, last.peer_id}
            )
            await until(lambda: not stranger.peers())
            await theirs.publish(b"still here")
            with anyio.fail_after(PATIENCE):
                assert (await anext(messages)).data == b"still here"
            assert host.statistics().connections_trimmed >= 1
        await host.connect(stranger.addresses[0])  # it was asked for


# -- the gate


async def test_a_gate_refuses_by_address_before_the_handshake(host_at):
    gate = IpGate(deny="10.0.66.0/24")
    async with (
        host_at("10.0.0.1", gate=gate) as host,
        host_at("10.0.0.2") as good,
        host_at("10.0.66.1") as bad,
    ):
        await good.connect(host.addresses[0])
        with pytest.raises(DialError, match="the connection ended during the handshake"):
            await bad.connect(host.addresses[0])
        with pytest.raises(DialError, match=r": the gate refuses it$"):
            await host.connect(bad.addresses[0])
        assert peers_of(host) == [good.peer_id]
        assert host.statistics().connections_refused == {"gate": 1}


async def test_a_gate_is_asked_again_where_a_name_has_led(internet, host_at):
    internet.names = {"good.example": "10.0.0.2", "bad.example": "10.0.66.1"}
    async with (
        host_at("10.0.0.1", gate=IpGate(allow="10.0.0.0/24")) as host,
        host_at("10.0.0.2") as good,
        host_at("10.0.66.1") as bad,
    ):
        with pytest.raises(DialError, match=r": the gate refuses it$"):
            await host.connect("/dns4/bad.example/tcp/4001")
        assert await host.connect("/dns4/good.example/tcp/4001") == good.peer_id
        assert bad.peers() == ()


class NotThisOne:
    """A gate that knows peers."""

    def __init__(self, unwanted: object) -> None:
        self.unwanted = unwanted
        self.asked: list[tuple[object, str, bool]] = []

    def allow_dial(self, address: Address) -> bool:
        return True

    def allow_accept(self, address: Address | None) -> bool:
        return True

    def allow_peer(self, peer: object, address: Address | None, outbound: bool) -> bool:
        self.asked.append((peer, str(address).rpartition("/")[0], outbound))
        return peer != self.unwanted


async def test_a_gate_refuses_a_peer_whichever_way_it_comes(host_at):
    async with host_at("10.0.0.2") as bad, host_at("10.0.0.3") as good:
        gate = NotThisOne(bad.peer_id)
        async with host_at("10.0.0.1", gate=gate) as host:
            with pytest.raises(DialError, match=r": the gate refuses the peer$"):
                await host.connect(bad.addresses[0])
            await until(lambda: not bad.peers())
            await bad.connect(host.addresses[0])
            await until(lambda: not bad.peers())
            await good.connect(host.addresses[0])
            await until(lambda: peers_of(host) == [good.peer_id])
            assert gate.asked == [
                (bad.peer_id, "/ip4/10.0.0.2/tcp", True),
                (bad.peer_id, "/ip4/10.0.0.2/tcp", False),
                (good.peer_id, "/ip4/10.0.0.3/tcp", False),
            ]


# -- several connections to one peer


async def test_a_peer_asked_for_many_times_at_once_is_dialled_once(internet, host_at):
    async with host_at("10.0.0.1") as host, host_at("10.0.0.2") as peer:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(host.connect, peer.addresses[0])
        assert internet.connects == 1
        await host.connect(peer.addresses[0])
        assert internet.connects == 1
        (info,) = host.peers()
        assert info.connections == 1


async def test_a_dial_that_gets_nowhere_ends_when_another_has_reached_the_peer(internet, host_at):
    async with host_at("10.0.0.1") as host, host_at("10.0.0.2") as peer:
        await internet.at("10.0.0.3").listen(Address("ip4", "10.0.0.3", 4001))  # and says nothing
        found = []

        async def connect(ip: str) -> None:
            found.append(await host.connect(f"/ip4/{ip}/tcp/4001/p2p/{peer.peer_id}"))

        with anyio.fail_after(PATIENCE / 2):  # less than a handshake may take
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(connect, "10.0.0.3")
                await until(lambda: internet.connects == 1)
                tasks.start_soon(connect, "10.0.0.2")
        assert found == [peer.peer_id] * 2
        assert host.peers()[0].connections == 1


@pytest.mark.rule("CONN-02")
@pytest.mark.parametrize("first", [0, 1])
async def test_when_both_dial_no_message_is_lost_and_none_comes_twice(host_at, first):
    """In both orders, and while connections beside the one in use are closed."""
    async with (
        host_at("10.0.0.1", number=1, surplus_timeout=0.05) as a,
        host_at("10.0.0.2", number=2, surplus_timeout=0.05) as b,
    ):
        hosts = (a, b) if first == 0 else (b, a)
        topics = {host: await host.join("t") for host in hosts}
        heard: dict[Host, list[bytes]] = {host: [] for host in hosts}

        async def listen(host: Host) -> None:
            async with topics[host].subscribe() as messages:
                async for message in messages:
                    heard[host].append(message.data)

        async with anyio.create_task_group() as tasks:
            for host in hosts:
                tasks.start_soon(listen, host)
            async with anyio.create_task_group() as dials:
                for host, other in (hosts, hosts[::-1]):
                    dials.start_soon(host.connect, other.addresses[0])
            for host in hosts:
                await topics[host].wait_for_peers(1, timeout=PATIENCE)
            said = []
            for number in range(40):
                for host in hosts:
                    said.append(b"%d by %s" % (number, host.peer_id))
                    await topics[host].publish(said[-1])
                await anyio.sleep(0.01)
            await until(lambda: all(len(each) >= len(said) for each in heard.values()))
            tasks.cancel_scope.cancel()
        assert [sorted(each) for each in heard.values()] == [sorted(said)] * 2
        assert [peers_of(host) for host in (a, b)] == [[b.peer_id], [a.peer_id]]


async def test_a_peer_tells_all_its_connections_and_how_far_it_is(internet, host_at):
    async with host_at("10.0.0.1") as host, host_at("10.0.0.2", number=2) as peer:
        await peer.connect(host.addresses[0])
        await until(lambda: host.peers())
        async with host_at("10.0.0.3", number=2) as twin:  # the same peer from another address
            await twin.connect(host.addresses[0])
            await until(lambda: host.peers()[0].connections == 2)
            (info,) = host.peers()
            ends = [address.rpartition("/")[0] for address in info.addresses]
            assert ends == ["/ip4/10.0.0.2/tcp", "/ip4/10.0.0.3/tcp"]
            assert info.address == info.addresses[0]
            assert (info.outbound, info.round_trip) == (False, None)
            assert 0 <= info.connected_for < PATIENCE
            seconds = await host.ping(peer.peer_id)
            assert host.peers()[0].round_trip == seconds > 0
        await until(lambda: host.peers()[0].connections == 1)


async def test_a_keep_alive_tells_the_round_trip(host_at):
    async with host_at("10.0.0.1", keepalive_interval=0.01) as host, host_at("10.0.0.2") as peer:
        await host.connect(peer.addresses[0])
        await until(lambda: host.peers()[0].round_trip is not None)
        assert 0 < host.peers()[0].round_trip < PATIENCE


# -- P6


@pytest.mark.rule("SCORE-24")
async def test_a_peer_counts_at_each_of_its_addresses_while_it_is_there(host_at):
    score = PeerScoreParams(ip_colocation_factor_weight=-1.0, ip_colocation_factor_threshold=1)
    params = GossipParams(score=score)
    async with (
        host_at("10.0.0.1", params=params) as host,
        host_at("10.0.0.2", number=2) as peer,
        host_at("10.0.0.3", number=3) as neighbour,
    ):

        def scores() -> dict[object, float]:
            return {known: each.score for known, each in host.scores().items()}

        for each in (peer, neighbour):
            await each.connect(host.addresses[0])
        await until(lambda: scores() == {peer.peer_id: 0.0, neighbour.peer_id: 0.0})
        async with host_at("10.0.0.3", number=2) as twin:
            await twin.connect(host.addresses[0])
            await until(lambda: scores() == {peer.peer_id: -1.0, neighbour.peer_id: -1.0})
        await until(lambda: scores() == {peer.peer_id: 0.0, neighbour.peer_id: 0.0})
