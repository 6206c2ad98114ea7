"""Peer exchange on the wire: what a host hands on, and whom it dials because others say so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from gossipsub import GossipParams, Host
from gossipsub.conformance.scripted_listener import ScriptedListener, listen
from gossipsub.conformance.scripted_peer import PUBSUB, ScriptedPeer, dial
from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.transport.address import Address
from gossipsub.wire.rpc import Control, PeerInfo, Prune, Rpc, SubOpts

pytestmark = pytest.mark.anyio

CALM = {"heartbeat_interval": 60, "heartbeat_initial_delay": 60}
PATIENCE = 10.0


async def until(condition, *, timeout=PATIENCE):
    with anyio.fail_after(timeout):
        while not condition():
            await anyio.sleep(0.005)


def sealed(key: PrivateKey, *addresses: str) -> bytes:
    encoded = [Address.parse(text).encode() for text in addresses]
    return PeerRecord(key.peer_id(), 1, encoded).seal(key)


@asynccontextmanager
async def subscribed(host: Host, *, seed: int, record: bytes | None) -> AsyncIterator[ScriptedPeer]:
    """W in topic t, which says in identify where it is."""
    async with dial(host.addresses[0], seed=seed) as w:
        await w.serve_identify(said=replace(w.describe(PUBSUB), signed_peer_record=record))
        await w.wait_pubsub()
        await w.open_pubsub()
        await w.send_rpc(Rpc(subscriptions=[SubOpts("t")]))
        yield w


@pytest.mark.rule("PX-05", "PX-06")
@pytest.mark.parametrize("public_only", [False, True])
async def test_records_known_from_identify_are_handed_on(config, public_only):
    records = {
        1: sealed(key_of_seed(1), "/ip4/127.0.0.1/tcp/4001"),
        2: sealed(key_of_seed(2), "/ip4/127.0.0.1/tcp/1", "/ip4/9.9.9.9/tcp/1"),
        3: None,
        4: sealed(key_of_seed(5), "/ip4/9.9.9.9/tcp/1"),  # of somebody else
    }
    listed = (2,) if public_only else (1, 2)
    host = Host(
        config=config(exchange_public_only=public_only),
        params=GossipParams(**CALM, peer_exchange=True),
    )
    async with host, AsyncExitStack() as stack:
        topic = await host.join("t")
        async with topic.subscribe():
            others = {}
            for seed, record in records.items():
                w = await stack.enter_async_context(subscribed(host, seed=seed, record=record))
                others[w.peer_id] = record if seed in listed else None
            w = await stack.enter_async_context(subscribed(host, seed=9, record=None))
            await until(lambda: len(topic.mesh()) == 5)
        rpc = await w.receive_rpc_with(
            lambda rpc: rpc.control is not None and rpc.control.prune, timeout=PATIENCE
        )
        (prune,) = rpc.control.prune
        assert {info.peer_id: info.signed_peer_record for info in prune.peers} == others


@pytest.mark.rule("PX-07", "PX-08")
async def test_of_those_named_some_are_dialled_and_no_one_by_a_record_that_is_not_its_own(config):
    params = GossipParams(**CALM, exchange_peers=6)
    accepted = []

    async def answer(listener: ScriptedListener) -> None:
        async with listener.accept(timeout=60) as w:
            accepted.append(w.peer_id)
            await w.serve_identify()
            await w.wait_ended(timeout=60)

    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(Host(config=config(), params=params))
        topic = await host.join("t")
        await stack.enter_async_context(topic.subscribe())
        seeds = range(20, 34)
        listeners = [await stack.enter_async_context(listen(seed=seed)) for seed in seeds]
        # Entered later, so that it has ended before they close: accept() must not see that.
        tasks = await stack.enter_async_context(anyio.create_task_group())
        infos = []
        for listener in listeners:
            record = sealed(listener.key, listener.address.partition("/p2p/")[0])
            infos.append(PeerInfo(listener.key.peer_id(), record))
            tasks.start_soon(answer, listener)
        # Somebody who promises two peers where in truth others are.
        liars = [PeerInfo(key_of_seed(50 + n).peer_id()) for n in range(2)]
        for liar, info in zip(liars, infos, strict=False):
            liar.signed_peer_record = info.signed_peer_record
        w = await stack.enter_async_context(subscribed(host, seed=1, record=None))
        await until(lambda: w.peer_id in topic.peers())

        await w.send_rpc(Rpc(control=Control(prune=[Prune("t", liars)])))
        # Fourteen, of which six are taken at random.
        await w.send_rpc(Rpc(control=Control(prune=[Prune("t", infos)])))
        await until(lambda: len(host.peers()) == 1 + len(accepted) == 1 + 6)
        dialled = {info.peer for info in host.peers() if info.outbound}
        assert set(accepted) == dialled < {info.peer_id for info in infos}
        known = [info for info in infos if info.peer_id in dialled]
        await until(lambda: all(info.pubsub_protocol for info in host.peers()))
        await w.send_rpc(Rpc(control=Control(prune=[Prune("t", known)])))
        unknown = next(info for info in infos if info.peer_id not in dialled)
        await w.send_rpc(Rpc(control=Control(prune=[Prune("t", [unknown])])))
        await until(lambda: len(host.peers()) == 1 + len(accepted) == 1 + 7)
        assert len(set(accepted)) == 7  # those known were not dialled again
        assert not {liar.peer_id for liar in liars} & {info.peer for info in host.peers()}
        tasks.cancel_scope.cancel()
