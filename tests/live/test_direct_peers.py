"""Direct peers over real connections."""

from __future__ import annotations

import anyio
import pytest

from gossipsub import AddressError, GossipParams, Host
from gossipsub.conformance.scripted_listener import listen
from gossipsub.wire.rpc import Control, Graft, Prune, Rpc, SubOpts

pytestmark = pytest.mark.anyio

PATIENCE = 10.0
QUICK = GossipParams(
    heartbeat_interval=0.1,
    heartbeat_initial_delay=0.1,
    direct_connect_delay=0.05,
    direct_connect_ticks=3,
)


async def until(condition, *, timeout=PATIENCE):
    with anyio.fail_after(timeout):
        while not condition():
            await anyio.sleep(0.005)


@pytest.mark.rule("DIR-01", "DIR-02", "DIR-04")
async def test_a_direct_peer_is_dialled_gets_all_messages_and_is_dialled_again(config):
    async with (
        listen() as listener,
        Host(config=config(), params=QUICK, direct_peers=listener.address) as host,
    ):
        topic = await host.join("t")
        async with topic.subscribe():
            for number in range(2):
                async with listener.accept(timeout=PATIENCE) as w:
                    await w.serve_identify()
                    await w.open_pubsub()
                    await w.send_rpc(Rpc(subscriptions=[SubOpts("t")]))
                    await until(lambda: topic.peers() == (listener.key.peer_id(),))
                    await topic.publish(b"%d" % number)
                    rpc = await w.receive_rpc_with(lambda rpc: rpc.publish, timeout=PATIENCE)
                    assert rpc.publish[0].data == b"%d" % number
                    await w.send_rpc(Rpc(control=Control(graft=[Graft("t")])))
                    rpc = await w.receive_rpc_with(
                        lambda rpc: rpc.control and rpc.control.prune, timeout=PATIENCE
                    )
                    assert rpc.control == Control(prune=(Prune("t", (), 60),))
                    assert topic.mesh() == ()
                await until(lambda: host.peers() == ())


@pytest.mark.rule("DIR-06")
async def test_direct_peers_are_added_and_removed_at_run_time(config):
    calm = GossipParams(heartbeat_interval=0.1)
    async with (
        Host(config=config(), params=calm) as host,
        Host(config=config(), params=calm) as friend,
    ):
        here, there = await host.join("t"), await friend.join("t")
        async with here.subscribe(), there.subscribe() as messages:
            assert host.add_direct_peer(friend.addresses[0]) == friend.peer_id
            friend.add_direct_peer(host.addresses[0])
            await until(lambda: there.peers() == (host.peer_id,) and here.peers() != ())
            await here.publish(b"outside of the mesh")
            with anyio.fail_after(PATIENCE):
                assert (await anext(messages)).data == b"outside of the mesh"
            assert (here.mesh(), there.mesh()) == ((), ())
            host.remove_direct_peer(friend.peer_id)
            friend.remove_direct_peer(str(host.peer_id))
            await until(lambda: here.mesh() != () and there.mesh() != ())
            assert len(host.peers()) >= 1


async def test_a_direct_peer_must_be_named_and_another(config):
    async with Host(config=config(), direct_peers=()) as host:
        with pytest.raises(AddressError, match="ends in /p2p/PEER"):
            host.add_direct_peer("/ip4/127.0.0.1/tcp/1")
        with pytest.raises(AddressError, match="no direct peer of itself"):
            host.add_direct_peer(host.addresses[0])
        host.remove_direct_peer(host.peer_id)
