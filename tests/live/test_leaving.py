"""Leaving a topic right before the host: PRUNE and withdrawal still reach the peers."""

from __future__ import annotations

import anyio
import pytest

from gossipsub import Host
from gossipsub.conformance.driver import start_peer
from gossipsub.conformance.scripted_peer import ScriptedPeer, dial
from gossipsub.wire.rpc import Rpc, SubOpts

pytestmark = pytest.mark.anyio


async def end_subscription(host, topic, messages):
    messages.close()


async def close_topic(host, topic, messages):
    messages.close()
    topic.close()


async def leave_it_to_the_host(host, topic, messages):
    pass


async def hang_up(host, topic, messages):
    messages.close()
    await host.disconnect(host.peers()[0].peer)


@pytest.mark.rule("MESH-03", "SUB-02")
@pytest.mark.parametrize("leave", [end_subscription, close_topic, leave_it_to_the_host, hang_up])
async def test_a_mesh_peer_is_pruned_and_told_before_the_goodbye(leave):
    told: list[Rpc] = []

    async def neighbour(host: Host, *, task_status) -> None:
        async with dial(host.addresses[0]) as w:
            await w.serve_identify()
            await w.open_pubsub()
            await w.send_rpc(Rpc(subscriptions=[SubOpts("news")]))
            await w.receive_rpc_with(lambda rpc: rpc.control and rpc.control.graft)
            task_status.started()
            await listen_to_the_end(w)

    async def listen_to_the_end(w: ScriptedPeer) -> None:
        assert await w.wait_goaway() == 0
        stream = await w.wait_pubsub()
        assert stream.reset_code is None
        while not (told and told[-1].subscriptions):
            told.append(await w.receive_rpc())

    async with anyio.create_task_group() as tasks, Host() as host:
        topic = await host.join("news")
        messages = await topic.subscribe().__aenter__()
        await tasks.start(neighbour, host)
        await topic.wait_for_peers(1, timeout=10, grafted=True)
        await leave(host, topic, messages)
    pruned = [prune for rpc in told if rpc.control for prune in rpc.control.prune]
    assert [(prune.topic, prune.backoff) for prune in pruned] == [("news", 10)]
    assert told[-1].subscriptions == (SubOpts("news", False),)


@pytest.mark.usefixtures("go_peer_available")
@pytest.mark.rule("MESH-03")
async def test_a_go_peer_hears_that_a_host_leaves_before_it_is_gone():
    fast = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}
    async with start_peer("go", seed=1, params=fast) as go:
        await go.command("subscribe", topic="news")
        async with Host(bootstrap=go.addresses[0]) as host:
            topic = await host.join("news")
            async with topic.subscribe():
                await topic.wait_for_peers(1, timeout=20, grafted=True)
                me = str(host.peer_id)
                await go.wait_answer("mesh", lambda said: me in said["peers"], topic="news")
            topic.close()
        await go.wait_event("peer_disconnected", timeout=10)
        left = await go.wait_event("topic_peer_leave", timeout=10)
        assert (left["topic"], left["peer"]) == ("news", me)
