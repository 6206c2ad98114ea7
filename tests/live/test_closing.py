"""Closing a host takes no longer than it may, whatever its peers do or do not do."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import asynccontextmanager

import anyio
import pytest

from gossipsub import DialError, Host, HostConfig
from gossipsub.conformance.driver import start_peer
from gossipsub.conformance.scripted_listener import listen
from gossipsub.conformance.scripted_peer import dial
from gossipsub.conformance.scripted_wire import reach
from gossipsub.transport.network import TcpNetwork
from gossipsub.wire.rpc import Rpc, SubOpts

pytestmark = pytest.mark.anyio

CONFIG = HostConfig(close_timeout=1.0, outbound_queue_bytes=64 << 20)
"""All other deadlines are ten seconds and more."""
AT_MOST = 6.0


class LongWay(TcpNetwork):
    """Nobody there, and nobody who says so."""

    async def connect(self, address):
        if address.port == 9:
            await anyio.sleep_forever()
        return await super().connect(address)


async def _silent(host, topic, ready):
    """Connected, and never says a word."""
    async with reach(host.addresses[0]) as wire:
        await wire.read_line()
        ready()
        await anyio.sleep_forever()


async def _deaf(host, topic, ready):
    """Subscribed, and reads no more while much is sent to it."""
    async with dial(host.addresses[0]) as w:
        await w.serve_identify()
        await w.open_pubsub()
        await w.send_rpc(Rpc(subscriptions=[SubOpts("news")]))
        await topic.wait_for_peers(1, timeout=20)
        await (await w.wait_pubsub()).grant(1 << 30)
        w.stop_reading()
        for _ in range(150):
            await topic.publish(bytes(100_000))
        ready()
        await anyio.sleep_forever()


async def _never_done(host, topic, ready):
    """Takes our dial, and then nothing more."""
    async with listen() as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(_dial, host, listener.address)
        async with listener.accept_wire() as wire:
            await wire.read_line()
            ready()
            await anyio.sleep_forever()


async def _nowhere(host, topic, ready):
    """An address that answers nothing, as a dial and as a direct peer."""
    peer = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
    host.add_direct_peer(f"/ip4/127.0.0.1/tcp/9/p2p/{peer}")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_dial, host, "/ip4/127.0.0.1/tcp/9")
        await anyio.lowlevel.checkpoint()
        ready()


async def _dial(host, address):
    with pytest.raises(DialError, match="the host is closing"):
        await host.connect(address)


@asynccontextmanager
async def closing_in_time():
    host = Host(config=CONFIG, network=LongWay())
    began = None
    async with host:
        topic = await host.join("news")
        async with topic.subscribe():
            yield host, topic
            began = anyio.current_time()
    assert anyio.current_time() - began < AT_MOST


@pytest.mark.rule("API-09")
@pytest.mark.parametrize("peer", [_silent, _deaf, _never_done, _nowhere])
async def test_a_host_closes_in_time_though_a_peer_is(peer):
    async with anyio.create_task_group() as tasks:
        async with closing_in_time() as (host, topic):
            is_ready = anyio.Event()
            tasks.start_soon(peer, host, topic, is_ready.set)
            with anyio.fail_after(20):
                await is_ready.wait()
        tasks.cancel_scope.cancel()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.usefixtures("go_peer_available")
@pytest.mark.rule("API-09")
async def test_a_host_closes_in_time_though_its_go_peer_was_stopped():
    async with start_peer("go", seed=1) as go:
        await go.command("subscribe", topic="news")
        try:
            async with closing_in_time() as (host, topic):
                await host.connect(go.addresses[0])
                await topic.wait_for_peers(1, timeout=20, grafted=True)
                os.kill(go.ready["pid"], signal.SIGSTOP)
                for _ in range(80):
                    await topic.publish(bytes(100_000))
        finally:
            os.kill(go.ready["pid"], signal.SIGCONT)
