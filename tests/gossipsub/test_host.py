"""A host as the application opens, uses and closes it."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from gossipsub import (
    AddressError,
    DialError,
    GossipParams,
    Host,
    HostConfig,
    LocalProtocolError,
    PeerScoreParams,
    PingFailed,
    PrivateKey,
    TopicScoreParams,
    Verdict,
)
from gossipsub.conformance.scripted_listener import listen
from gossipsub.conformance.scripted_peer import dial
from gossipsub.conformance.scripted_wire import reach
from gossipsub.peer_events import PeerEvent, PeerEventKind
from gossipsub.transport import network
from gossipsub.transport.address import Address
from gossipsub.wire.errors import GossipSubError
from gossipsub.wire.rpc import Rpc, SubOpts

pytestmark = pytest.mark.anyio

NOBODY = "/ip4/127.0.0.1/tcp/1"
PEER = PrivateKey.from_seed(bytes(31) + b"\x01").peer_id()


async def until(condition, *, timeout=5.0):
    with anyio.fail_after(timeout):
        while not condition():
            await anyio.sleep(0.002)


async def next_of(messages):
    with anyio.fail_after(5):
        return await anext(messages)


# -- wrong values

WRONG = {
    "listen": ({"listen": "127.0.0.1:4001"}, AddressError, "begins with '/'"),
    "listen_of_another": (
        {"listen": f"{NOBODY}/p2p/{PEER}"},
        AddressError,
        "the address of another peer, this one is ",
    ),
    "listen_list": ({"listen": ["/ip4/127.0.0.1/udp/1"]}, AddressError, "only TCP is spoken"),
    "bootstrap": ({"bootstrap": [NOBODY]}, AddressError, "ends in /p2p/PEER"),
    "direct_peers": ({"direct_peers": NOBODY}, AddressError, "direct peer's address ends in /p2p"),
    "direct_to_itself": (
        {
            "direct_peers": [f"{NOBODY}/p2p/{PEER}"],
            "key": PrivateKey.from_seed(bytes(31) + b"\x01"),
        },
        AddressError,
        "no direct peer of itself",
    ),
    "bootstrap_text": ({"bootstrap": NOBODY}, AddressError, "ends in /p2p/PEER"),
    "params": ({"params": HostConfig()}, LocalProtocolError, "^params is a GossipParams: HostCo"),
    "config": ({"config": {}}, LocalProtocolError, "^config is a HostConfig: {}$"),
    "key": ({"key": bytes(32)}, LocalProtocolError, "key is a PrivateKey or a path: bytes"),
    "agent_not_text": ({"agent_version": 5}, LocalProtocolError, "agent version is a text: 5"),
    "agent_surrogate": ({"agent_version": "\ud800"}, LocalProtocolError, "not Unicode text"),
    "agent_too_long": ({"agent_version": "x" * 5000}, LocalProtocolError, "at most 4096"),
    "protocol_empty": (
        {"params": GossipParams(protocols=("",))},
        LocalProtocolError,
        "cannot name a protocol",
    ),
    "protocol_too_long": (
        {"params": GossipParams(protocols=("/x" * 200,))},
        LocalProtocolError,
        "at most 256 bytes",
    ),
}


@pytest.mark.parametrize(("values", "error", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_before_anything_is_opened(values, error, reason):
    with pytest.raises(error, match=reason):
        Host(**values)


def test_a_single_bootstrap_peer_needs_no_list():
    Host(bootstrap=f"{NOBODY}/p2p/{PEER}")


async def test_a_port_that_is_taken_is_refused_and_nothing_stays_open():
    async with Host() as host:
        taken = host.addresses[0].partition("/p2p/")[0]
        with pytest.raises(AddressError, match=f"cannot listen on {taken}: Address already in use"):
            async with Host(listen=["/ip4/127.0.0.1/tcp/0", taken]):
                pytest.fail("opened")


@pytest.mark.parametrize("error", [OSError(5, "no such name"), UnicodeError("no such name")])
async def test_a_name_that_cannot_be_listened_on_is_refused(error, monkeypatch):
    async def resolve(host, port, **kind):
        raise error

    monkeypatch.setattr("anyio._core._sockets.getaddrinfo", resolve)
    with pytest.raises(AddressError) as refused:
        async with Host(listen="/dns4/nowhere.example/tcp/0"):
            pytest.fail("opened")
    assert str(refused.value) == "cannot listen on /dns4/nowhere.example/tcp/0: no such name"


# -- opening and closing


async def test_a_host_is_used_while_it_is_open_and_opened_once():
    host = Host()
    with pytest.raises(LocalProtocolError) as refused:
        host.peers()
    assert str(refused.value) == "open the host first: async with Host(…) as host"
    async with host:
        assert host.peers() == ()
        with pytest.raises(LocalProtocolError) as refused:
            await host.__aenter__()
        assert str(refused.value) == "a host is opened once; make another"
    with pytest.raises(LocalProtocolError) as refused:
        await host.connect(NOBODY)
    assert str(refused.value) == "the host is closed"
    assert await host.__aexit__(None, None, None) is None


@pytest.mark.rule("API-09")
async def test_a_host_that_was_closed_leaves_no_task_no_socket_and_can_be_started_again():
    key = PrivateKey.generate()
    listen_on = "/ip4/127.0.0.1/tcp/0"
    async with Host() as friend:
        for _ in range(3):
            async with Host(key=key, listen=listen_on) as host:
                listen_on = host.addresses[0].partition("/p2p/")[0]
                here, there = await host.join("t"), await friend.join("t")
                async with there.subscribe() as messages:
                    await friend.connect(host.addresses[0])
                    await here.wait_for_peers(1, timeout=5)
                    await here.publish(b"x")
                    assert (await next_of(messages)).sender == key.peer_id()
                there.close()
            await until(lambda: friend.peers() == ())
            with pytest.raises(DialError, match="Connection refused"):
                await friend.connect(host.addresses[0])


@pytest.mark.rule("SIGN-04", "T22")
async def test_sequence_numbers_grow_across_a_restart():
    key = PrivateKey.generate()
    seqnos = []
    async with Host() as friend:
        topic = await friend.join("t")
        async with topic.subscribe() as messages:
            for _ in range(2):
                async with Host(key=key) as host:
                    await host.connect(friend.addresses[0])
                    here = await host.join("t")
                    await here.wait_for_peers(1, timeout=5)
                    for _ in range(1000):
                        await here.publish(b"x")
                    seqnos += [(await next_of(messages)).seqno for _ in range(1000)]
    assert {len(seqno) for seqno in seqnos} == {8}
    numbers = [int.from_bytes(seqno, "big") for seqno in seqnos]
    assert all(one < next_one for one, next_one in itertools.pairwise(numbers))
    assert abs(numbers[0] - numbers[-1]) < 600 * 10**9
    assert numbers[0] > 1_700_000_000 * 10**9


def group(*errors):
    return ExceptionGroup("mine", [KeyError("a"), OSError("b")])


@pytest.mark.parametrize("make", [KeyError, KeyboardInterrupt, SystemExit, group, GossipSubError])
async def test_what_the_body_raises_comes_out_as_it_is(make):
    error = make("mine")
    async with Host() as friend:
        caught = None
        try:
            async with Host() as host:
                await host.connect(friend.addresses[0])
                raise error
        except BaseException as came_out:
            caught = came_out
        assert caught is error
        await until(lambda: friend.peers() == ())


async def test_a_cancelled_body_closes_the_host_and_ends_the_scope():
    async with Host() as friend:
        with anyio.move_on_after(0.05) as scope:
            async with Host() as host:
                await host.connect(friend.addresses[0])
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        await until(lambda: friend.peers() == ())


async def test_a_scope_within_the_body_ends_there():
    async with Host() as host:
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert host.peers() == ()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_cancelled_in_asyncios_own_way_closes_the_host():
    async def serve():
        async with Host() as host:
            await host.connect(friend.addresses[0])
            await asyncio.sleep(60)

    async with Host() as friend:
        task = asyncio.get_running_loop().create_task(serve())
        await until(lambda: friend.peers() != ())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        await until(lambda: friend.peers() == ())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_second_cancellation_cuts_the_goodbye_short_and_leaves_no_task():
    before = asyncio.all_tasks()

    async def serve():
        async with Host(config=HostConfig(close_timeout=30, write_timeout=30)) as host:
            await host.connect(listener.address)
            topic = await host.join("t")
            await topic.wait_for_peers(1, timeout=5)
            for _ in range(50):
                await topic.publish(bytes(500_000))
            await asyncio.sleep(60)

    async with listen() as listener:
        task = asyncio.get_running_loop().create_task(serve())
        async with listener.accept() as w:
            await w.serve_identify()
            await w.open_pubsub()
            await w.send_rpc(Rpc(subscriptions=[SubOpts("t")]))
            await (await w.wait_pubsub()).grant(1 << 30)
            await w.receive_rpc()
            w.stop_reading()
            await anyio.sleep(0.1)
            task.cancel()
            await anyio.sleep(0.1)
            assert not task.done()
            task.cancel()
            with anyio.fail_after(5):
                await asyncio.wait([task])
            assert task.cancelled()
            await until(lambda: len(asyncio.all_tasks()) <= len(before) + 2)
    assert asyncio.all_tasks() == before


SCRIPT = """
import sys, anyio, gossipsub

async def main():
    calm = gossipsub.GossipParams(heartbeat_interval=60, heartbeat_initial_delay=60)
    async with gossipsub.Host(params=calm) as host, gossipsub.Host(params=calm) as friend:
        await host.connect(friend.addresses[0])
        topic = await host.join("t")
        async with topic.subscribe() as messages:
            # trio raises the interrupt in whichever task it finds running: in none of ours.
            await anyio.sleep(0.3)
            print("up", flush=True)
            async for message in messages:
                pass

try:
    anyio.run(main, backend=sys.argv[1])
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_control_c_closes_the_host_and_is_told_to_the_application(anyio_backend):
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(SCRIPT), anyio_backend],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "up\n"
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)


INTERRUPTED_INSIDE = """
import anyio, gossipsub

def interrupt(message):
    raise KeyboardInterrupt  # as trio does where the signal comes while this task runs

async def main():
    async with gossipsub.Host() as host, gossipsub.Host(bootstrap=host.addresses) as friend:
        host.set_validator("t", interrupt)
        here, there = await host.join("t"), await friend.join("t")
        async with here.subscribe() as messages:
            await there.publish(b"x", wait_for=1, timeout=20)
            async for message in messages:
                pass

try:
    anyio.run(main, backend="trio")
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_control_c_in_a_task_of_the_host_is_told_to_the_application_as_it_is():
    done = subprocess.run(  # asyncio never raises it in a task
        [sys.executable, "-W", "error", "-c", INTERRUPTED_INSIDE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


async def test_closing_ends_dials_under_way():
    errors = []

    async def connect(host, address):
        with pytest.raises(DialError) as failed:
            await host.connect(address)
        errors.append(str(failed.value))

    async with listen() as listener, anyio.create_task_group() as tasks:
        with anyio.fail_after(5):
            async with Host() as host:
                tasks.start_soon(connect, host, listener.address)
                async with listener.accept_wire() as wire:
                    await host.__aexit__(None, None, None)
                    await wire.wait_closed(timeout=1)
                    await until(lambda: errors != [])
    assert errors == [f"{listener.address}: the host is closing"]


@pytest.mark.rule("API-07")
async def test_a_cancelled_dial_closes_its_socket_and_a_later_one_works():
    async with listen() as listener, Host() as host, anyio.create_task_group() as tasks:
        dialling = anyio.CancelScope()

        async def connect():
            with dialling:
                await host.connect(listener.address)

        tasks.start_soon(connect)
        async with listener.accept_wire() as wire:
            await wire.read_exactly(5)
            dialling.cancel()
            await wire.wait_closed(timeout=1)
        tasks.start_soon(host.connect, listener.address)
        async with listener.accept() as peer:
            await until(lambda: [info.peer for info in host.peers()] == [peer.peer_id])


# -- peers


async def test_peers_are_told_when_they_come_and_when_they_go():
    async with Host() as host, host.peer_events() as events, Host() as friend:
        assert await host.connect(friend.addresses[0]) == friend.peer_id
        assert await host.connect(friend.addresses[0]) == friend.peer_id
        assert await next_of(events) == PeerEvent(PeerEventKind.PEER_CONNECTED, friend.peer_id)
        await host.disconnect(str(friend.peer_id))
        assert await next_of(events) == PeerEvent(PeerEventKind.PEER_DISCONNECTED, friend.peer_id)
        assert host.peers() == ()
        await host.disconnect(friend.peer_id)
        with pytest.raises(DialError) as refused:
            await host.ping(friend.peer_id)
        assert str(refused.value) == f"not connected: {friend.peer_id}"


async def test_a_peer_is_described_once_it_is_identified():
    async with Host() as host, Host(agent_version="friend/1") as friend:
        await host.connect(friend.addresses[0])
        topic = await friend.join("news")
        await (await host.join("news")).subscribe().__aenter__()
        async with topic.subscribe():
            await until(lambda: host.peers()[0].topics == ("news",))
        (info,) = host.peers()
        assert (info.peer, info.outbound, info.agent_version) == (friend.peer_id, True, "friend/1")
        assert f"{info.address}/p2p/{info.peer}" == friend.addresses[0]
        assert set(info.protocols) >= {*GossipParams().protocols, "/ipfs/ping/1.0.0"}
        assert info.pubsub_protocol == GossipParams().protocols[0]
        (info,) = friend.peers()
        assert (info.peer, info.outbound) == (host.peer_id, False)


async def test_a_ping_takes_a_moment():
    async with Host() as host, Host() as friend:
        await host.connect(friend.addresses[0])
        assert 0 < await host.ping(str(friend.peer_id)) < 5
        with pytest.raises(PingFailed):
            await host.ping(friend.peer_id, timeout=0)
        assert 0 < await host.ping(friend.peer_id) < 5


async def test_a_dial_that_fails_says_where_and_why():
    async with Host(listen=[]) as host:
        with pytest.raises(DialError) as failed:
            await host.connect(NOBODY)
        assert str(failed.value) == "/ip4/127.0.0.1/tcp/1: Connection refused"


NAME_ERRORS = [
    (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
    (UnicodeError("label too long"), "label too long"),
    (TimeoutError("slow"), "no answer in time"),
]


@pytest.mark.parametrize(("error", "reason"), NAME_ERRORS)
async def test_a_name_that_cannot_be_resolved_is_a_failed_dial(error, reason, monkeypatch):
    async def resolve(host, port, **kind):
        raise error

    monkeypatch.setattr(anyio, "getaddrinfo", resolve)
    async with Host(listen=[]) as host:
        with pytest.raises(DialError) as failed:
            await host.connect("/dns4/nowhere.example/tcp/1")
    assert str(failed.value) == f"/dns4/nowhere.example/tcp/1: {reason}"


async def test_a_name_is_dialled_at_whichever_of_its_addresses_somebody_listens(monkeypatch):
    async def resolve(host, port, **kind):
        ends = [("::1", port, 0, 0), ("127.0.0.3", port), ("127.0.0.1", port)]
        return [(0, 0, 0, "", end) for end in ends]

    async with Host() as friend, Host(listen=[]) as host:
        monkeypatch.setattr(anyio, "getaddrinfo", resolve)
        address = friend.addresses[0].replace("/ip4/127.0.0.1", "/dns/somewhere.example")
        assert await host.connect(address) == friend.peer_id


async def test_an_address_that_answers_nothing_holds_up_the_next_only_a_moment(monkeypatch):
    async def resolve(host, port, **kind):
        return [(0, 0, 0, "", (end, port)) for end in ("192.0.2.1", "127.0.0.1")]

    connected = []

    def noting(real):
        async def connect(host, *arguments):
            connected.append(host)
            if host == "192.0.2.1":
                await anyio.sleep_forever()
            return await real(host, *arguments)

        return connect

    async with Host() as friend, Host(listen=[]) as host:
        monkeypatch.setattr(anyio, "getaddrinfo", resolve)
        monkeypatch.setattr(anyio, "connect_tcp", noting(anyio.connect_tcp))
        monkeypatch.setattr(network, "connect", noting(network.connect))
        address = friend.addresses[0].replace("/ip4/127.0.0.1", "/dns4/somewhere.example")
        began = anyio.current_time()
        await host.connect(address)
        assert anyio.current_time() - began < 5
    assert connected == ["192.0.2.1", "127.0.0.1"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs two loopback addresses")
async def test_listening_on_a_name_serves_every_address_of_it(monkeypatch):
    async def resolve(host, port, **kind):
        ends = [("127.0.0.1", port), ("127.0.0.2", port)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", end) for end in ends]

    monkeypatch.setattr("anyio._core._sockets.getaddrinfo", resolve)
    async with Host(listen="/dns/here.example/tcp/0") as host:
        monkeypatch.undo()
        (address,) = host.addresses
        assert address.startswith("/dns/here.example/tcp/")
        port = Address.parse(address).port
        for ip in ("127.0.0.1", "127.0.0.2"):
            async with reach(f"/ip4/{ip}/tcp/{port}") as wire:
                await wire.write_lines("/multistream/1.0.0", "/noise")
                assert await wire.read_prefixed() == b"/multistream/1.0.0\n"


# -- what identify says


async def identified_addresses(host: Host) -> list[Address]:
    async with dial(host.addresses[0]) as w:
        return [Address.decode(each) for each in (await w.ask_identify()).listen_addresses]


async def test_a_wildcard_is_told_as_the_address_the_peer_dialled():
    async with Host(listen="/ip4/0.0.0.0/tcp/0") as host:
        port = Address.parse(host.addresses[0]).port
        assert await identified_addresses(host) == [Address("ip4", "127.0.0.1", port)]


async def test_a_wildcard_of_the_other_family_is_left_out():
    try:
        async with Host(listen=["/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0"]) as host:
            v4, v6 = (Address.parse(each) for each in host.addresses)
            assert (v4.host, v6.host) == ("127.0.0.1", "::1")
            assert await identified_addresses(host) == [v4.with_peer(None)]
    except AddressError:
        pytest.skip("no IPv6 here")


async def test_more_addresses_than_a_message_holds_are_cut_and_pubsub_works():
    async with Host(listen=["/ip4/127.0.0.1/tcp/0"] * 250) as host, Host() as friend:
        addresses = await identified_addresses(host)
        told = [f"{address.with_peer(host.peer_id)}" for address in addresses]
        assert tuple(told) == host.addresses[:200]
        await friend.connect(host.addresses[0])
        here, there = await host.join("t"), await friend.join("t")
        async with here.subscribe() as messages:
            await there.wait_for_peers(1, timeout=5)
            await there.publish(b"x")
            assert (await next_of(messages)).data == b"x"


# -- bootstrap


QUICK = HostConfig(reconnect_delay=0.05, reconnect_delay_limit=1.0)


async def test_a_bootstrap_peer_is_dialled_again_when_it_is_lost_and_when_it_comes_late():
    key = PrivateKey.generate()
    async with Host(key=key) as friend:
        address = friend.addresses[0]
    where = address.partition("/p2p/")[0]
    async with Host(bootstrap=[address], config=QUICK) as host:
        for _ in range(2):
            await anyio.sleep(0.05)
            async with Host(key=key, listen=where):
                await until(lambda: [info.peer for info in host.peers()] == [key.peer_id()])
            await until(lambda: host.peers() == ())


async def test_a_bootstrap_peer_that_hangs_up_at_once_is_not_dialled_in_a_rush():
    dialled = []

    async def hang_up(listener):
        while True:
            async with listener.accept():
                dialled.append(anyio.current_time())

    async with listen() as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(hang_up, listener)
        async with Host(bootstrap=[listener.address], config=QUICK):
            await until(lambda: len(dialled) == 4)
        tasks.cancel_scope.cancel()
    pauses = [later - earlier for earlier, later in itertools.pairwise(dialled)]
    assert all(pause >= least for pause, least in zip(pauses, (0.04, 0.08, 0.16), strict=True)), (
        pauses
    )


async def test_a_bootstrap_address_of_the_host_itself_does_no_harm():
    key = PrivateKey.generate()
    own = f"/ip4/127.0.0.1/tcp/4001/p2p/{key.peer_id()}"
    async with Host(key=key, bootstrap=[own], config=QUICK) as host:
        await anyio.sleep(0.1)
        assert host.peers() == ()


# -- validators, between hosts


@asynccontextmanager
async def chain(length: int):
    """Hosts of which each knows only its neighbours, all subscribed to "t"."""
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(Host()) for _ in range(length)]
        readers = []
        for host in hosts:
            topic = await host.join("t")
            readers.append(await stack.enter_async_context(topic.subscribe()))
        for one, next_one in itertools.pairwise(hosts):
            await one.connect(next_one.addresses[0])
        topics = [host._node.pubsub.topics["t"] for host in hosts]
        for number, topic in enumerate(topics):
            neighbours = 1 if number in (0, length - 1) else 2
            await until(lambda topic=topic, n=neighbours: len(topic.mesh()) == n)
        yield hosts, topics, readers


@pytest.mark.rule("VAL-04")
async def test_a_validator_decides_what_is_delivered_and_forwarded():
    said = {b"accept": True, b"reject": False, b"ignore": Verdict.IGNORE, b"odd": "yes"}
    async with chain(3) as (hosts, topics, readers):
        hosts[1].set_validator("t", lambda message: said.get(message.data, True))
        for data in (*said, b"last"):
            await topics[0].publish(data)
        assert [(await next_of(readers[2])).data for _ in range(2)] == [b"accept", b"last"]
        assert [(await next_of(readers[1])).data for _ in range(2)] == [b"accept", b"last"]
        assert hosts[1].statistics().rejections == {
            "validation failed": 1,
            "validation ignored": 2,
        }
        assert [info.peer for info in hosts[1].peers()] == [hosts[0].peer_id, hosts[2].peer_id]


async def test_scores_tell_what_each_peer_has_earned():
    scored = GossipParams(
        score=PeerScoreParams(topics={"t": TopicScoreParams(invalid_message_deliveries_weight=-2)})
    )
    async with Host() as sender, Host(params=scored) as judge:
        mine, theirs = await sender.join("t"), await judge.join("t")
        judge.set_validator("t", lambda message: False)
        assert judge.scores() == {}
        await sender.connect(judge.addresses[0])
        async with theirs.subscribe():
            await mine.wait_for_peers(1, timeout=5)
            await mine.publish(b"invalid")
            await until(lambda: judge.scores()[sender.peer_id].score == -2)
        assert judge.scores()[sender.peer_id].topics["t"].invalid_message_deliveries == 1
        assert sender.scores() == {}  # it scores nobody
        explanation = judge.explain_score(str(sender.peer_id))
        assert explanation is not None
        assert [event.component for event in explanation.events] == ["P4"]
        assert sender.explain_score(judge.peer_id) is None
    with pytest.raises(LocalProtocolError, match="the host is closed"):
        judge.scores()
