"""What a host answers to IWANT, as a peer with rust's limits sees it."""

from __future__ import annotations

import anyio
import pytest

from gossipsub import GossipParams, Host
from gossipsub.conformance.scripted_peer import dial
from gossipsub.router.params import MeshParams
from gossipsub.wire.rpc import Control, IWant, Rpc
from gossipsub.wire.rpc_codec import encode_rpc

pytestmark = pytest.mark.anyio

QUIET = GossipParams(
    heartbeat_interval=60,
    heartbeat_initial_delay=60,
    flood_publish=False,
    mesh=MeshParams(d=0, d_low=0, d_high=0, d_out=0),
)
"""Nothing is sent that was not asked for."""
RUST_LIMIT = 65536


async def answers(w, wanted: list[bytes], count: int) -> list[Rpc]:
    """Ask for messages, and take RPCs until `count` messages came."""
    await w.send_rpc(Rpc(control=Control(iwant=[IWant(wanted)])))
    rpcs: list[Rpc] = []
    while sum(len(rpc.publish) for rpc in rpcs) < count:
        rpcs.append(await w.receive_rpc_with(lambda rpc: bool(rpc.publish), timeout=5))
    return rpcs


@pytest.mark.rule("T21")
async def test_messages_leave_together_only_up_to_what_rust_accepts(config):
    async with Host(config=config(), params=QUIET) as host, dial(host.addresses[0]) as w:
        topic = await host.join("t")
        results = [await topic.publish(bytes([n]) * 30_000) for n in range(5)]
        await w.serve_identify()
        await w.open_pubsub()
        with anyio.fail_after(10):
            rpcs = await answers(w, [result.message_id for result in results], 5)
    assert sorted(len(rpc.publish) for rpc in rpcs) == [1, 2, 2]
    assert max(len(encode_rpc(rpc)) for rpc in rpcs) <= RUST_LIMIT
    data = [message.data for rpc in rpcs for message in rpc.publish]
    assert sorted(data) == [bytes([n]) * 30_000 for n in range(5)]


@pytest.mark.rule("T21")
async def test_a_message_larger_than_that_leaves_alone(config):
    async with Host(config=config(), params=QUIET) as host, dial(host.addresses[0]) as w:
        topic = await host.join("t")
        results = [await topic.publish(bytes([n]) * size) for n, size in enumerate((9, 200_000, 7))]
        await w.serve_identify()
        await w.open_pubsub()
        with anyio.fail_after(10):
            rpcs = await answers(w, [result.message_id for result in results], 3)
    lengths = sorted(sorted(len(m.data or b"") for m in rpc.publish) for rpc in rpcs)
    assert lengths == [[7, 9], [200_000]]
