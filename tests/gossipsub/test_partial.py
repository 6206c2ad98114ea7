"""Partial messages between hosts on loopback."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest

from gossipsub import (
    ExtensionParams,
    GossipParams,
    Host,
    HostConfig,
    LocalProtocolError,
    PartExchange,
    PartialMessage,
    PartialMode,
    TopicParams,
)
from gossipsub.conformance.scripted_peer import dial
from gossipsub.wire.rpc import Control, Extensions, PartialMessagesExtension, Rpc, SubOpts

pytestmark = pytest.mark.anyio


def params(mode: PartialMode | None = PartialMode.REQUEST, *, heartbeat: float = 0.1):
    return GossipParams(
        extensions=ExtensionParams(partial_messages=True, partial_group_heartbeats=100),
        topics={"t": TopicParams(partial_messages=mode)},
        heartbeat_interval=heartbeat,
    )


async def until(condition, *, timeout=15.0):
    with anyio.fail_after(timeout):
        while not condition():
            await anyio.sleep(0.005)


class Handler:
    """Writes down what it hears."""

    def __init__(self, fail: bool = False) -> None:
        self.heard: list[tuple[object, ...]] = []
        self.fail = fail

    def __repr__(self) -> str:
        return "<the handler>"

    def received(self, peer, group_id, message, metadata):
        self.heard.append(("received", peer, group_id, message, metadata))
        if self.fail:
            raise ZeroDivisionError

    def gossip(self, group_id, peers):
        self.heard.append(("gossip", group_id, peers))
        if self.fail:
            raise ZeroDivisionError


@asynccontextmanager
async def host_and_peer(config: HostConfig | None = None, **options):
    """A host in topic t, and a scripted peer that requests parts of its messages."""
    async with Host(params=params(**options), config=config) as host:
        topic = await host.join("t")
        async with topic.subscribe(), dial(host.addresses[0]) as w:
            await w.serve_identify()
            await w.open_pubsub()
            options = (SubOpts("t", True, True, True),)
            control = Control(extensions=Extensions(partial_messages=True))
            await w.send_rpc(Rpc(options, control=control))
            await topic.wait_for_peers(1, timeout=10)
            await until(topic.mesh)
            yield topic, w


def partial(message=None, metadata=None, group=b"group"):
    return PartialMessagesExtension("t", group, message, metadata)


async def partial_for(w):
    return (await w.receive_rpc_with(lambda rpc: rpc.partial, timeout=15)).partial


@pytest.mark.rule("EXT-01", "PART-01")
async def test_the_first_frame_announces_extension_and_flags():
    async with host_and_peer() as (_, w):
        first = await w.receive_rpc(timeout=15)
        assert first.control == Control(extensions=Extensions(partial_messages=True))
        assert first.subscriptions == (SubOpts("t", True, True, True),)


async def test_a_handler_hears_what_peers_send_and_may_answer_at_once():
    async with host_and_peer() as (topic, w):
        handler = Handler()
        topic.set_partial_handler(handler)
        (peer,) = topic.peers()
        answers = []

        def received(*heard):
            answers.append(heard)
            answer = PartialMessage(b"answer", b"\x02")
            assert topic.publish_partial(b"group", lambda *_: answer) == (peer,)
            assert topic.send_partial(peer, b"other", PartialMessage(metadata=b"\x03"))

        handler.received = received
        await w.send_rpc(Rpc(partial=partial(b"parts", b"\x01")))
        assert await partial_for(w) == partial(b"answer", b"\x02")
        assert await partial_for(w) == partial(None, b"\x03", b"other")
        assert answers == [(peer, b"group", b"parts", b"\x01")]


async def test_publishing_asks_for_each_peer_and_says_who_was_told():
    async with host_and_peer() as (topic, w):
        (peer,) = topic.peers()
        asked = []

        def nothing(*arguments):
            asked.append(arguments)

        assert topic.publish_partial(b"group", nothing) == ()
        assert asked == [(peer, True)]
        empty = PartialMessage()
        assert topic.publish_partial(b"group", lambda *_: empty) == ()
        metadata = PartialMessage(metadata=b"\x01")
        assert topic.publish_partial(b"group", lambda *_: metadata) == (peer,)
        assert await partial_for(w) == partial(None, b"\x01")


async def test_gossip_names_peers_that_came_after_the_publication():
    async with Host(params=params()) as host:
        topic = await host.join("t")
        handler = Handler()
        topic.set_partial_handler(handler)
        async with topic.subscribe():
            assert topic.publish_partial(b"group", lambda *_: None) == ()
            async with dial(host.addresses[0]) as w:
                await w.serve_identify()
                await w.open_pubsub()
                control = Control(extensions=Extensions(partial_messages=True))
                await w.send_rpc(Rpc((SubOpts("t", True, True, True),), control=control))
                await until(lambda: handler.heard)
                assert handler.heard == [("gossip", b"group", topic.peers())]


async def test_a_handler_that_fails_is_logged_by_name_and_stops_nothing(caplog):
    async with host_and_peer() as (topic, w):
        handler = Handler(fail=True)
        topic.set_partial_handler(handler)
        await w.send_rpc(Rpc(partial=partial(metadata=b"\x01")))
        await w.send_rpc(Rpc(partial=partial(metadata=b"\x02")))
        await until(lambda: len(handler.heard) == 2)
        (peer,) = topic.peers()
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["partial message handler failed handler=<the handler>"] * 2
    assert "ZeroDivisionError" in caplog.text
    assert [heard[1] for heard in handler.heard] == [peer, peer]
    caplog.clear()


async def test_a_handler_that_publishes_is_not_called_within_its_own_call():
    async with Host(params=params()) as host:
        topic = await host.join("t")
        depth, deepest, groups = 0, 0, []

        class Nested(Handler):
            def gossip(self, group_id, peers):
                nonlocal depth, deepest
                depth += 1
                deepest = max(deepest, depth)
                groups.append(group_id)
                told = topic.publish_partial(group_id, lambda *_: PartialMessage(metadata=b"m"))
                assert told == peers
                depth -= 1

        topic.set_partial_handler(Nested())
        async with topic.subscribe():
            wanted = [b"%d" % number for number in range(50)]
            for group in wanted:
                topic.publish_partial(group, lambda *_: None)
            async with dial(host.addresses[0]) as w:
                await w.serve_identify()
                await w.open_pubsub()
                control = Control(extensions=Extensions(partial_messages=True))
                await w.send_rpc(Rpc((SubOpts("t", True, True, True),), control=control))
                await until(lambda: len(groups) >= 50)
                assert [(await partial_for(w)).group_id for _ in wanted] == wanted
        assert (groups, deepest) == (wanted, 1)


async def test_without_a_handler_what_comes_is_lost():
    async with host_and_peer() as (topic, w):
        handler = Handler()
        await w.send_rpc(Rpc(partial=partial(metadata=b"\x01")))
        topic.set_partial_handler(handler)
        topic.set_partial_handler(None)
        await w.send_rpc(Rpc(partial=partial(metadata=b"\x02")))
        await w.send_rpc(Rpc((SubOpts("t", False),)))
        await until(lambda: not topic.peers())
        assert handler.heard == []


async def test_what_cannot_leave_is_refused():
    config = HostConfig(max_rpc_bytes=1000, outbound_queue_bytes=1000)
    async with host_and_peer(config) as (topic, _):
        (peer,) = topic.peers()
        large = PartialMessage(b"x" * 990)
        reason = "^996 bytes for one peer, an RPC has at most 1000$"
        with pytest.raises(LocalProtocolError, match=reason):
            topic.publish_partial(b"group", lambda *_: large)
        with pytest.raises(LocalProtocolError, match=reason):
            topic.send_partial(peer, b"group", large)
        with pytest.raises(ZeroDivisionError):
            topic.publish_partial(b"group", lambda *_: 1 / 0)
    for act in (
        lambda: topic.set_partial_handler(None),
        lambda: topic.publish_partial(b"group", lambda *_: None),
        lambda: topic.send_partial(peer, b"group", large),
    ):
        with pytest.raises(LocalProtocolError, match=r"^the topic was closed: t$"):
            act()


async def test_without_partial_messages_in_the_topic_nothing_is_published():
    async with Host() as host:
        topic = await host.join("t")
        with pytest.raises(
            LocalProtocolError, match=r"^partial messages are off in this topic: t$"
        ):
            topic.publish_partial(b"group", lambda *_: None)


@pytest.mark.rule("PART-04")
async def test_three_hosts_in_a_row_complete_a_group():
    parts = {index: bytes([index]) * 1024 for index in range(8)}
    whole = tuple(parts.values())
    complete: list[tuple[int, bytes, tuple[bytes, ...]]] = []
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(Host(params=params())) for _ in range(3)]
        topics = [await host.join("t") for host in hosts]
        exchanges = []
        for number, topic in enumerate(topics):
            exchanges.append(
                PartExchange(
                    topic,
                    parts=8,
                    part_bytes=1024,
                    complete=lambda *done, n=number: complete.append((n, *done)),
                )
            )
            await stack.enter_async_context(topic.subscribe())
        await hosts[1].connect(hosts[0].addresses[0])
        await hosts[1].connect(hosts[2].addresses[0])
        for host_topic, count in zip(topics, (1, 2, 1), strict=True):
            await host_topic.wait_for_peers(count, timeout=15)
        for number, exchange in enumerate(exchanges):
            exchange.add(b"group", {i: part for i, part in parts.items() if i % 3 == number})
        await until(lambda: len(complete) == 3)
    assert sorted(complete) == [(number, b"group", whole) for number in range(3)]
