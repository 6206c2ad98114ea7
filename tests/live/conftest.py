"""Live hosts on loopback: short deadlines, a pair that must keep delivering, a silent log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest

from gossipsub import GossipParams, Host, HostConfig, Topic
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Rpc, SubOpts

SHORT = {
    "dial_timeout": 2.0,
    "upgrade_timeout": 0.4,
    "negotiation_timeout": 0.4,
    "identify_timeout": 0.4,
    "write_timeout": 0.4,
    "stalled_stream_timeout": 0.4,
    "close_timeout": 0.4,
}
"""Deadlines of a host under attack; keep-alive stays at its 30 s unless a test shortens it."""


def short_config(**changes: float) -> HostConfig:
    return HostConfig(**{**SHORT, **changes})


@dataclass
class Pair:
    """Two hosts in the topic "good": `host` is the one to attack, `friend` keeps talking to it."""

    host: Host
    friend: Host
    delivered: int = 0

    async def delivers(self, more: int = 3, *, timeout: float = 10.0) -> None:
        """What the friend publishes from now on still comes through."""
        wanted = self.delivered + more
        with anyio.fail_after(timeout):
            while self.delivered < wanted:
                await anyio.sleep(0.002)

    @property
    def address(self) -> str:
        return self.host.addresses[0]


@asynccontextmanager
async def _pair(config: HostConfig | None, params: GossipParams | None) -> AsyncIterator[Pair]:
    config = config or short_config()
    async with Host(config=config, params=params) as host, Host() as friend:
        pair = Pair(host, friend)
        here, there = await host.join("good"), await friend.join("good")
        async with here.subscribe() as messages, there.subscribe(), anyio.create_task_group() as tg:
            await friend.connect(pair.address)
            await there.wait_for_peers(1, timeout=5)

            async def talk() -> None:
                number = 0
                while True:
                    number += 1
                    await there.publish(number.to_bytes(4, "big"))
                    await anyio.sleep(0.003)

            async def count() -> None:
                async for message in messages:
                    pair.delivered += 1
                    assert int.from_bytes(message.data, "big") == pair.delivered

            tg.start_soon(talk)
            tg.start_soon(count)
            await pair.delivers(1)
            yield pair
            await pair.delivers()
            tg.cancel_scope.cancel()


@pytest.fixture(name="short_config")
def short_config_fixture() -> Callable[..., HostConfig]:
    """A HostConfig with short deadlines, for tests that wait for one."""
    return short_config


@pytest.fixture
def config() -> Callable[..., HostConfig]:
    """A HostConfig with the usual deadlines, for tests that meet none."""
    return HostConfig


@pytest.fixture
def good_pair() -> Callable[..., AbstractAsyncContextManager[Pair]]:
    """`async with good_pair() as pair`: at the end the friend's messages must still arrive,
    without a gap since the beginning."""

    def make(
        *, config: HostConfig | None = None, params: GossipParams | None = None
    ) -> AbstractAsyncContextManager[Pair]:
        return _pair(config, params)

    return make


@pytest.fixture
def subscribe() -> Callable[..., Awaitable[Topic]]:
    """`await subscribe(host, w, "news")`: W opens its pubsub stream and subscribes; gives the
    host's topic, once the host knows."""

    async def make(host: Host, w: ScriptedPeer, topic: str = "news") -> Topic:
        joined = await host.join(topic)
        await w.open_pubsub()
        await w.send_rpc(Rpc(subscriptions=[SubOpts(topic)]))
        with anyio.fail_after(10):
            while w.peer_id not in joined.peers():
                await anyio.sleep(0.001)
        return joined

    return make


@pytest.fixture(autouse=True)
def silent_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A peer can never cause more than DEBUG, and never a traceback."""
    caplog.set_level(logging.DEBUG, logger="gossipsub")
    yield
    loud = [
        record
        for phase in ("setup", "call")
        for record in caplog.get_records(phase)
        if record.levelno >= logging.WARNING or record.exc_info
    ]
    assert [record.getMessage() for record in loud] == []
