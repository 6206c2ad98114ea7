"""Open hosts that are connected in memory."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import replace

import anyio
import pytest

from gossipsub import GossipParams, Host, HostConfig, MeshParams
from gossipsub.testing.memory import MemoryNetwork, Path
from gossipsub.testing.mesh import mesh_of
from gossipsub.testing.virtual_time import run_in_virtual_time

pytestmark = pytest.mark.anyio

BY_DATA = GossipParams(message_id=lambda message: message.topic.encode() + message.data)


async def test_hosts_are_grafted_and_a_message_reaches_all(virtual_time):
    async with mesh_of(5, topic="news") as mesh:
        assert len(mesh) == 5
        assert [len(topic.mesh()) for topic in mesh.topics] == [4] * 5
        await mesh.topics[3].publish(b"hello")
        for subscription in mesh.subscriptions:
            message = await anext(subscription)
            assert (message.data, message.sender) == (b"hello", mesh[3].peer_id)


async def test_it_stands_soon_in_real_time_too():
    async with mesh_of(5, topic="news") as mesh:
        await mesh.topics[0].publish(b"hello")
        with anyio.fail_after(10):
            assert (await anext(mesh.subscriptions[4])).data == b"hello"


async def test_an_application_joins_by_itself_and_waits_until_its_mesh_stands(virtual_time):
    async with mesh_of(4) as mesh:
        assert mesh.topics == mesh.subscriptions == ()
        with pytest.raises(TimeoutError, match="the mesh of orders does not stand after 5 s"):
            await mesh.wait_until_grafted("orders", timeout=5)
        topics = [await host.join("orders") for host in mesh[:3]]
        async with topics[0].subscribe(), topics[1].subscribe(), topics[2].relay():
            await mesh.wait_until_grafted("orders")
            assert [len(topic.mesh()) for topic in topics] == [2, 2, 2]
            await mesh.wait_until_grafted("orders", timeout=0)  # it stands already


async def test_a_mesh_stands_when_all_have_been_grafted_that_are_known(virtual_time):
    async with mesh_of(3) as mesh:
        mesh.partition(mesh[:1])
        topics = [await host.join("orders") for host in mesh]
        async with topics[0].subscribe(), topics[1].subscribe(), topics[2].subscribe():
            await anyio.sleep(1)
            mesh.heal()
            await mesh.wait_until_grafted("orders")
            assert [len(topic.mesh()) for topic in topics] == [2, 2, 2]


async def test_whom_a_host_has_grafted_has_grafted_it(virtual_time):
    network = MemoryNetwork(Path(latency=0.3))
    async with mesh_of(8, links=7, network=network) as mesh, AsyncExitStack() as stack:
        await anyio.sleep(10)
        topics = [await host.join("orders") for host in mesh]
        for topic in topics:
            await stack.enter_async_context(topic.subscribe())
        await mesh.wait_until_grafted("orders")
        meshes = {host.peer_id: topic.mesh() for host, topic in zip(mesh, topics, strict=True)}
        assert all(len(peers) >= 5 for peers in meshes.values())
        assert all(me in meshes[peer] for me, peers in meshes.items() for peer in peers)


async def test_a_late_host_is_waited_for(virtual_time):
    async with (
        mesh_of(3, topic="news") as mesh,
        Host(network=mesh.network.machine(), bootstrap=mesh[0].addresses) as late,
        (await late.join("news")).subscribe() as messages,
    ):
        topic = mesh.topics[2]
        await anyio.sleep(3)
        await mesh.wait_until_grafted("news")
        await topic.publish(b"welcome")
        assert (await anext(messages)).data == b"welcome"


async def test_of_many_hosts_each_dials_a_few(virtual_time):
    degrees = MeshParams(d=3, d_low=2, d_high=4, d_score=2, d_out=1)
    async with mesh_of(20, topic="news", links=3, params=GossipParams(mesh=degrees)) as mesh:
        assert sum(info.outbound for host in mesh for info in host.peers()) == 3 * 20 - 6
        assert all(1 <= len(topic.mesh()) <= 5 for topic in mesh.topics)
        await mesh.topics[0].publish(b"hello")
        for subscription in mesh.subscriptions:
            assert (await anext(subscription)).data == b"hello"


async def test_each_host_can_have_arguments_of_its_own(virtual_time):
    config = HostConfig(close_timeout=0.5)
    given = []

    def options(number: int) -> dict[str, object]:
        given.append(number)
        return {"agent_version": f"test/{number}"}

    async with mesh_of(2, options=options, config=config) as mesh:
        await anyio.sleep(1)
        assert [info.agent_version for info in mesh[0].peers()] == ["test/1"]
        assert (await mesh[0].snapshot()).config["close_timeout"] == 0.5
    assert given == [0, 1]


async def test_a_partition_separates_hosts_until_it_is_healed(virtual_time):
    config = HostConfig(keepalive_interval=5, keepalive_timeout=5)
    async with mesh_of(4, topic="news", config=config) as mesh:
        mesh.partition(mesh[:2])
        await mesh.topics[0].publish(b"here")
        assert (await anext(mesh.subscriptions[1])).data == b"here"
        with anyio.move_on_after(2) as waiting:
            await anext(mesh.subscriptions[2])
        assert waiting.cancelled_caught
        mesh.heal()
        assert (await anext(mesh.subscriptions[2])).data == b"here"


async def test_machines_of_hosts_can_be_cut_and_slowed_down(virtual_time):
    async with mesh_of(2, topic="news") as mesh:
        one, other = map(mesh.machine_of, mesh)
        mesh.network.set_path(one, other, Path(latency=4, jitter=0))
        began = anyio.current_time()
        await mesh.topics[0].publish(b"slow")
        await anext(mesh.subscriptions[1])
        assert anyio.current_time() - began == pytest.approx(4)
        assert mesh.network.cut(one, other) == 1
        await anyio.sleep(1)
        assert mesh[0].peers() == ()


async def test_two_meshes_can_share_a_network(virtual_time):
    network = MemoryNetwork()
    async with mesh_of(2, network=network) as one, mesh_of(2, network=network, seed=1) as other:
        assert len({host.peer_id for host in (*one, *other)}) == 4
        await one[0].connect(other[0].addresses[0])


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 2, "links": 0}])
async def test_there_is_no_mesh_of_nothing(wrong):
    with pytest.raises(ValueError, match="hosts"):
        async with mesh_of(**wrong):
            pass


async def an_eventful_minute(seed: int, told: list[object]) -> None:
    """Messages, a partition, hosts that come and go; `told` gets every trace with its time."""

    def options(number: int) -> dict[str, object]:
        def trace(event: object) -> None:
            told.append((number, anyio.current_time(), replace(event, timestamp=0)))

        return {"trace": trace}

    degrees = MeshParams(d=3, d_low=2, d_high=4, d_score=2, d_out=1)
    params = replace(BY_DATA, mesh=degrees)
    config = HostConfig(keepalive_interval=5, keepalive_timeout=3)
    async with mesh_of(
        8, topic="news", links=3, seed=seed, params=params, config=config, options=options
    ) as mesh:
        for number in range(20):
            await mesh.topics[number % 8].publish(b"%d" % number)
            await anyio.sleep(0.37)
        mesh.partition(mesh[:3])
        await mesh.topics[7].publish_batch([b"a", b"b", b"c", b"d"])
        await anyio.sleep(10)
        mesh.heal()
        await mesh[0].disconnect(mesh[1].peer_id)
        await anyio.sleep(30)


def hosts_apart(told: list[object]) -> list[list[object]]:
    """Hosts do not hear of each other within one instant, so theirs is the order that counts."""
    return [[entry for entry in told if entry[0] == number] for number in range(8)]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_seed_gives_the_same_traces_at_the_same_times(backend):
    runs = []
    for seed in (1, 1, 2):
        runs.append([])
        run_in_virtual_time(an_eventful_minute, seed, runs[-1], backend=backend)
    first, again, other = map(hosts_apart, runs)
    assert sum(map(len, first)) > 1000
    assert first == again
    assert first != other


def test_a_minute_of_twenty_idle_hosts_takes_about_a_second():
    async def main() -> float:
        async with mesh_of(20, topic="news"):
            began = time.process_time()
            await anyio.sleep(60)
            return time.process_time() - began

    assert run_in_virtual_time(main) < 5  # 0.2 s on the machine this was written on
