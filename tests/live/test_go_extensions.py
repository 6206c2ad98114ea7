"""Extensions and partial messages between our host and go-libp2p peers."""

from __future__ import annotations

import base64
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest

from gossipsub import (
    ExtensionParams,
    GossipParams,
    Host,
    PartExchange,
    PartialMode,
    TopicParams,
)
from gossipsub.conformance.driver import start_peer
from gossipsub.conformance.exchange import in_mesh

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(900),  # the first test may have to build the go peer
    pytest.mark.usefixtures("go_peer_available"),
]

TOPIC = "t"
PATIENCE = 30.0
BOTH = ExtensionParams(partial_messages=True, test_extension=True, partial_group_heartbeats=60)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The driver's; the go peers are processes of their own."""
    return "asyncio"


def params(mode: PartialMode | None, heartbeat: float = 0.2) -> GossipParams:
    return GossipParams(
        extensions=BOTH,
        topics={TOPIC: TopicParams(partial_messages=mode)},
        heartbeat_interval=heartbeat,
    )


def parts(group: bytes, bitmap: int) -> dict[int, bytes]:
    """Parts of the public experiments: numbers that count up through all eight."""
    first = int.from_bytes(group)
    return {
        index: b"".join((first + 128 * index + word).to_bytes(8) for word in range(128))
        for index in range(8)
        if bitmap >> index & 1
    }


def go_peer(mode: str):
    """With the library's own heartbeat of a second: the first comes soon."""
    arguments = ["--partial", mode, "--test-extension"]
    fast = {"heartbeatMs": 200, "heartbeatInitialDelayMs": 10}
    return start_peer("go", params=fast, arguments=arguments)


class Party:
    """A host of ours, and what it completed."""

    def __init__(self, host, topic) -> None:
        self.host, self.topic = host, topic
        self.complete: dict[bytes, tuple[bytes, ...]] = {}
        self.exchange = PartExchange(
            topic, parts=8, part_bytes=1024, complete=self.complete.__setitem__
        )

    async def completes(self, group: bytes) -> None:
        with anyio.fail_after(PATIENCE):
            while group not in self.complete:
                await anyio.sleep(0.01)
        assert self.complete[group] == tuple(parts(group, 0xFF).values())


@asynccontextmanager
async def party(mode: PartialMode = PartialMode.REQUEST):
    async with Host(params=params(mode)) as host:
        topic = await host.join(TOPIC)
        async with topic.subscribe():
            yield Party(host, topic)


async def add(peer, group: bytes, bitmap: int) -> None:
    text = base64.b64encode(group).decode()
    await peer.command("partial_add", topic=TOPIC, group_b64=text, parts=bitmap)


async def completes(peer, group: bytes) -> None:
    event = await peer.wait_event("partial_complete", timeout=PATIENCE)
    assert event["group_b64"] == base64.b64encode(group).decode()


@pytest.mark.rule("PART-04", "EXT-01", "PART-01")
@pytest.mark.parametrize("row", ["go ours go", "ours go go"])
async def test_a_group_dealt_among_ours_and_two_go_peers_is_completed_by_all(row):
    group = (7).to_bytes(8)
    async with AsyncExitStack() as stack:
        gos = [await stack.enter_async_context(go_peer("request")) for _ in range(2)]
        ours = await stack.enter_async_context(party())
        for go in gos:
            await go.command("subscribe", topic=TOPIC)
        await ours.host.connect(gos[0].addresses[0])
        if row == "go ours go":
            await ours.host.connect(gos[1].addresses[0])
        else:
            await gos[0].command("connect", addr=gos[1].addresses[0])
            # Go tells those that come into its mesh later nothing of what it published before.
            await in_mesh(*gos, topic=TOPIC, timeout=PATIENCE)
        await ours.topic.wait_for_peers(row.count("go") - (row == "ours go go"), timeout=PATIENCE)
        for number, go in enumerate(gos):
            await add(go, group, 0b01001001 << number)
        ours.exchange.add(group, parts(group, 0b00100100))
        await ours.completes(group)
        for go in gos:
            await completes(go, group)


@pytest.mark.rule("PART-04")
async def test_go_publishes_parts_without_being_subscribed():
    group = (5).to_bytes(8)
    async with go_peer("support") as go, party() as ours:
        await ours.host.connect(go.addresses[0])
        with anyio.fail_after(PATIENCE):
            while not (await go.command("topic_peers", topic=TOPIC))["peers"]:
                await anyio.sleep(0.02)
        await add(go, group, 0xFF)
        await ours.completes(group)


@pytest.mark.rule("PART-02")
async def test_full_messages_do_not_go_to_a_go_peer_that_requests_parts():
    async with go_peer("request") as go, party(PartialMode.SUPPORT) as ours:
        await go.command("subscribe", topic=TOPIC)
        await ours.host.connect(go.addresses[0])
        await ours.topic.wait_for_peers(1, timeout=PATIENCE)
        assert (await ours.topic.publish(b"full")).queued_to == ()


@pytest.mark.rule("PART-02")
async def test_full_messages_go_to_a_go_peer_that_only_sends_parts_and_come_from_it():
    async with go_peer("support") as go, Host(params=params(PartialMode.SUPPORT)) as host:
        topic = await host.join(TOPIC)
        async with topic.subscribe() as messages:
            await go.command("subscribe", topic=TOPIC)
            await host.connect(go.addresses[0])
            await topic.wait_for_peers(1, timeout=PATIENCE)
            await topic.publish(b"from ours")
            event = await go.wait_event("message", timeout=PATIENCE)
            assert event["data"] == b"from ours"
            await go.command("publish", topic=TOPIC, data_b64=base64.b64encode(b"go").decode())
            with anyio.fail_after(PATIENCE):
                assert [(await anext(messages)).data for _ in range(2)] == [b"from ours", b"go"]
