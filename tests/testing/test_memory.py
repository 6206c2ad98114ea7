"""A network in memory: who reaches whom, and how a connection behaves."""

from __future__ import annotations

import errno

import anyio
import pytest
from anyio.abc import SocketAttribute

from gossipsub import DialError, Host, HostConfig
from gossipsub.testing.memory import MemoryNetwork, Path
from gossipsub.transport.address import Address

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

STEADY = Path(latency=0.1, jitter=0)


def address(text: str) -> Address:
    return Address.parse(text)


async def pair(network: MemoryNetwork, text: str = "/ip4/10.0.0.2/tcp/7"):
    """What alice dials, and what bob accepts."""
    alice, bob = network.machine("alice"), network.machine("bob")
    (listener,) = await bob.listen(address("/ip4/0.0.0.0/tcp/7"))
    dialled = await alice.connect(address(text))
    return dialled, await listener.accept()


async def test_both_ends_know_both_addresses_as_a_sockets_do():
    dialled, accepted = await pair(MemoryNetwork())
    local = dialled.extra(SocketAttribute.local_address)
    assert local[0] == "10.0.0.1"
    assert dialled.extra(SocketAttribute.remote_address) == ("10.0.0.2", 7)
    assert dialled.extra(SocketAttribute.remote_port) == 7
    assert accepted.extra(SocketAttribute.local_address) == ("10.0.0.2", 7)
    assert accepted.extra(SocketAttribute.remote_address) == local
    assert accepted.extra(SocketAttribute.remote_port) == local[1]


@pytest.mark.parametrize(
    ("listens", "at", "dials"),
    [
        ("/ip4/127.0.0.1/tcp/0", "/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1"),
        ("/ip4/0.0.0.0/tcp/0", "/ip4/10.0.0.1/tcp/1", "/dns4/server/tcp/1"),
        ("/ip4/10.0.0.1/tcp/80", "/ip4/10.0.0.1/tcp/80", "/dns/server/tcp/80"),
        ("/ip6/::/tcp/0", "/ip6/fd00::1/tcp/1", "/dns6/server/tcp/1"),
        ("/ip6/::1/tcp/9", "/ip6/fd00::1/tcp/9", "/ip6/fd00::1/tcp/9"),
    ],
)
async def test_a_machine_is_reached_by_address_and_name(listens, at, dials):
    network = MemoryNetwork()
    server, client = network.machine("server"), network.machine()
    (listener,) = await server.listen(address(listens))
    assert str(listener.address) == at
    stream = await client.connect(address(dials))
    await stream.send(b"hello")
    assert await (await listener.accept()).receive() == b"hello"


async def test_loopback_leads_to_the_machine_itself():
    network = MemoryNetwork()
    machine, other = network.machine(), network.machine()
    (listener,) = await machine.listen(address("/ip4/127.0.0.1/tcp/5"))
    await machine.connect(address("/ip4/127.0.0.1/tcp/5"))
    accepted = await listener.accept()
    assert accepted.extra(SocketAttribute.remote_address)[0] == machine.ip4
    with pytest.raises(OSError, match="refused"):
        await other.connect(address("/ip4/127.0.0.1/tcp/5"))


async def test_the_lowest_free_port_is_given():
    machine = MemoryNetwork().machine()
    (first,) = await machine.listen(address("/ip4/0.0.0.0/tcp/0"))
    (second,) = await machine.listen(address("/ip4/0.0.0.0/tcp/0"))
    await first.aclose()
    (third,) = await machine.listen(address("/ip4/0.0.0.0/tcp/0"))
    assert [each.address.port for each in (first, second, third)] == [1, 2, 1]


@pytest.mark.parametrize(
    ("text", "number"),
    [("/ip4/0.0.0.0/tcp/7", errno.EADDRINUSE), ("/ip4/10.9.9.9/tcp/8", errno.EADDRNOTAVAIL)],
)
async def test_listening_is_refused_as_by_a_system(text, number):
    machine = MemoryNetwork().machine()
    await machine.listen(address("/ip4/127.0.0.1/tcp/7"))
    with pytest.raises(OSError) as refused:  # noqa: PT011
        await machine.listen(address(text))
    assert refused.value.errno == number


async def test_dialling_fails_as_with_a_system():
    network = MemoryNetwork()
    alice, bob = network.machine(), network.machine()
    (listener,) = await bob.listen(address("/ip4/0.0.0.0/tcp/7"))
    await listener.aclose()
    with pytest.raises(ConnectionRefusedError):
        await alice.connect(address("/ip4/10.0.0.2/tcp/7"))
    with pytest.raises(OSError, match="No route"):
        await alice.connect(address("/ip4/10.9.9.9/tcp/7"))
    with pytest.raises(anyio.ClosedResourceError):
        await listener.accept()


async def test_connections_nobody_accepts_are_refused_beyond_a_number_and_end_with_the_listener():
    network = MemoryNetwork()
    alice, bob = network.machine(), network.machine()
    (listener,) = await bob.listen(address("/ip4/0.0.0.0/tcp/7"))
    waiting = [await alice.connect(address("/ip4/10.0.0.2/tcp/7")) for _ in range(128)]
    with pytest.raises(ConnectionRefusedError):
        await alice.connect(address("/ip4/10.0.0.2/tcp/7"))
    await listener.aclose()
    with pytest.raises(anyio.EndOfStream):
        await waiting[0].receive()


async def test_bytes_take_the_latency_of_the_path_and_then_come_together():
    dialled, accepted = await pair(MemoryNetwork(STEADY))
    began = anyio.current_time()
    await dialled.send(b"one")
    await anyio.sleep(0.04)
    await dialled.send(b"two")
    assert await accepted.receive() == b"one"
    assert anyio.current_time() - began == pytest.approx(0.1)
    assert await accepted.receive() == b"two"
    assert anyio.current_time() - began == pytest.approx(0.14)
    await dialled.send(b"three")
    await dialled.send(b"four")
    await anyio.sleep(1)
    assert await accepted.receive(4) == b"thre"
    assert await accepted.receive() == b"efour"


async def test_a_path_of_their_own_is_that_of_two_machines():
    network = MemoryNetwork(STEADY)
    dialled, accepted = await pair(network)
    network.set_path(*network.machines, Path(latency=2, jitter=0, bandwidth=100))
    began = anyio.current_time()
    await dialled.send(bytes(50))
    await anyio.sleep(0.1)
    await dialled.send(bytes(100))
    assert len(await accepted.receive()) == 50
    assert anyio.current_time() - began == pytest.approx(2.5)
    assert len(await accepted.receive()) == 100
    assert anyio.current_time() - began == pytest.approx(3.5)


async def test_pieces_do_not_overtake_each_other_whatever_the_jitter():
    dialled, accepted = await pair(MemoryNetwork(Path(latency=0, jitter=1)))
    for number in range(50):
        await dialled.send(bytes([number]))
        await anyio.sleep(0.001)
    received = b""
    while len(received) < 50:
        received += await accepted.receive(1)
    assert received == bytes(range(50))


async def test_what_is_written_at_one_instant_arrives_at_one_however_it_was_cut():
    arrivals = []
    for pieces in ([b"once"], [b"on", b"ce"], [b"o", b"n", b"c", b"e"]):
        dialled, accepted = await pair(MemoryNetwork(Path(latency=1, jitter=1, bandwidth=10)))
        began = anyio.current_time()
        for _ in range(3):
            for piece in pieces:
                await dialled.send(piece)
            assert await accepted.receive() == b"once"
            arrivals.append(anyio.current_time() - began)
    assert arrivals[3:6] == pytest.approx(arrivals[:3])
    assert arrivals[6:] == pytest.approx(arrivals[:3])
    assert arrivals[0] > 1.4


async def test_no_piece_arrives_before_one_that_was_sent_earlier():
    dialled, accepted = await pair(MemoryNetwork(Path(latency=0, jitter=1)))
    arrivals = []
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            while len(arrivals) < 50:
                arrivals.extend([anyio.current_time()] * len(await accepted.receive()))

        tasks.start_soon(read)
        for _ in range(50):
            await dialled.send(b"x")
            await anyio.sleep(0.01)
    assert arrivals == sorted(arrivals)
    # Most have caught up with one ahead of them, which took longer.
    assert len(set(arrivals)) < 25


async def test_a_writer_waits_for_its_reader():
    dialled, accepted = await pair(MemoryNetwork(buffer_bytes=1000))
    await dialled.send(bytes(999))
    await dialled.send(bytes(5000))  # one write may go beyond
    with anyio.move_on_after(60) as waiting:
        await dialled.send(b"more")
    assert waiting.cancelled_caught
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dialled.send, b"more")
        received = b""
        while len(received) < 6003:
            received += await accepted.receive(700)
    assert received[-4:] == b"more"


async def test_an_end_closed_is_seen_after_all_that_was_sent():
    dialled, accepted = await pair(MemoryNetwork())
    await dialled.send(b"last words")
    await dialled.aclose()
    assert await accepted.receive() == b"last words"
    for _ in range(2):
        with pytest.raises(anyio.EndOfStream):
            await accepted.receive()
    with pytest.raises(anyio.BrokenResourceError):
        await accepted.send(b"to nobody")
    with pytest.raises(anyio.ClosedResourceError):
        await dialled.send(b"closed")
    with pytest.raises(anyio.ClosedResourceError):
        await dialled.receive()


async def test_one_direction_ends_and_the_other_goes_on():
    dialled, accepted = await pair(MemoryNetwork())
    await dialled.send_eof()
    with pytest.raises(anyio.EndOfStream):
        await accepted.receive()
    await accepted.send(b"still here")
    assert await dialled.receive() == b"still here"
    with pytest.raises(anyio.ClosedResourceError):
        await dialled.send(b"no more")


async def test_closing_ends_a_read_and_a_write_that_wait():
    dialled, _ = await pair(MemoryNetwork(buffer_bytes=1))
    await dialled.send(b"full")
    ended = []

    async def ends(act, *arguments):
        with pytest.raises(anyio.ClosedResourceError):
            await act(*arguments)
        ended.append(act)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ends, dialled.receive)
        tasks.start_soon(ends, dialled.send, b"more")
        await anyio.sleep(1)
        await dialled.aclose()
    assert len(ended) == 2


async def test_a_cut_resets_both_ends_and_they_may_connect_anew():
    network = MemoryNetwork()
    dialled, accepted = await pair(network)
    alice, bob = network.machines
    third = network.machine()
    await dialled.send(b"lost")
    assert (network.cut(bob, third), network.cut(third), network.cut(alice, bob)) == (0, 0, 1)
    for stream in (dialled, accepted):
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"more")
    assert network.cut(alice) == 0
    await alice.connect(address("/ip4/10.0.0.2/tcp/7"))
    assert network.cut(alice) == 1


async def test_a_partition_stalls_what_stands_and_what_is_dialled_until_it_has_healed():
    network = MemoryNetwork()
    dialled, accepted = await pair(network)
    alice, bob = network.machines
    await dialled.send(b"under way")
    network.partition([alice])
    with anyio.move_on_after(60) as waiting:
        await accepted.receive()
    assert waiting.cancelled_caught
    with anyio.move_on_after(60) as dialling:
        await alice.connect(address("/dns4/bob/tcp/7"))
    assert dialling.cancelled_caught
    received = []

    async def read() -> None:
        received.append(await accepted.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        tasks.start_soon(alice.connect, address("/dns4/bob/tcp/7"))
        await anyio.sleep(5)
        assert received == []
        network.heal()
    assert received == [b"under way"]
    network.partition([alice, bob])
    await dialled.send(b"in one group")
    assert await accepted.receive() == b"in one group"


async def test_whoever_dials_into_a_partition_has_not_arrived_there():
    network = MemoryNetwork()
    alice, bob = network.machine(), network.machine()
    (listener,) = await bob.listen(address("/ip4/0.0.0.0/tcp/7"))
    network.partition([alice])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alice.connect, address("/ip4/10.0.0.2/tcp/7"))
        with anyio.move_on_after(60) as waiting:
            await listener.accept()
        assert waiting.cancelled_caught
        network.heal()
        await listener.accept()


async def test_a_partition_that_comes_while_bytes_are_under_way_holds_them_back():
    network = MemoryNetwork(STEADY)
    dialled, accepted = await pair(network)
    await dialled.send(b"under way")
    with anyio.move_on_after(60) as waiting:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(accepted.receive)
            await anyio.sleep(0.05)
            network.partition([network.machines[0]])
    assert waiting.cancelled_caught


async def test_connections_are_forgotten_when_both_ends_are_closed():
    network = MemoryNetwork()
    dialled, accepted = await pair(network)
    await dialled.aclose()
    await accepted.aclose()
    assert network.cut(network.machines[0]) == 0


def test_wrong_values_are_refused_at_once():
    network = MemoryNetwork()
    one = network.machine("one", ip="192.0.2.1")
    assert (one.ip4, one.ip6) == ("192.0.2.1", "fd00::1")
    assert network.machine(ip="2001:db8::1").ip6 == "2001:db8::1"
    for given in ({"name": "one"}, {"ip": "192.0.2.1"}, {"ip": "no address"}):
        with pytest.raises(ValueError, match=r"one|no address"):
            network.machine(**given)
    with pytest.raises(ValueError, match="two groups"):
        network.partition([one], [one])
    with pytest.raises(ValueError, match="buffer_bytes"):
        MemoryNetwork(buffer_bytes=0)
    for wrong in ({"latency": -1}, {"jitter": -1}, {"bandwidth": 0}, {"latency": float("nan")}):
        with pytest.raises(ValueError, match=r"negative|bandwidth"):
            Path(**wrong)


async def test_hosts_see_each_others_addresses():
    network = MemoryNetwork()
    async with (
        Host(network=network.machine("berlin")) as one,
        Host(network=network.machine(), listen="/ip6/::/tcp/4001") as two,
    ):
        assert one.addresses == (f"/ip4/10.0.0.1/tcp/1/p2p/{one.peer_id}",)
        assert two.addresses == (f"/ip6/fd00::2/tcp/4001/p2p/{two.peer_id}",)
        await one.connect(two.addresses[0])
        await anyio.sleep(1)
        assert [info.address for info in one.peers()] == ["/ip6/fd00::2/tcp/4001"]
        assert [info.address for info in two.peers()] == ["/ip6/fd00::1/tcp/49152"]
        with pytest.raises(DialError, match="refused"):
            await one.connect("/ip4/10.0.0.2/tcp/4001")
        await two.disconnect(one.peer_id)
        assert await two.connect("/dns4/berlin/tcp/1") == one.peer_id


async def test_hosts_lose_each_other_in_a_partition_and_meet_again():
    network = MemoryNetwork()
    config = HostConfig(keepalive_interval=5, keepalive_timeout=5)
    async with Host(network=network.machine(), config=config) as one:
        machine = network.machine()
        async with Host(network=machine, config=config, bootstrap=one.addresses) as two:
            topic = await two.join("news")
            async with (await one.join("news")).subscribe() as messages:
                await topic.wait_for_peers(1, timeout=5)
                network.partition([machine])
                await anyio.sleep(11)
                assert (one.peers(), two.peers()) == ((), ())
                with pytest.raises(DialError, match="in time"):
                    await two.connect(one.addresses[0])
                network.heal()
                await topic.wait_for_peers(1, timeout=60)
                await topic.publish(b"again")
                assert (await anext(messages)).data == b"again"
