"""Relays: taking part in a topic without reading it."""

from __future__ import annotations

import anyio
import pytest

from gossipsub import Host, LocalProtocolError
from gossipsub.peer_events import PeerEventKind

pytestmark = pytest.mark.anyio


async def next_of(messages):
    with anyio.fail_after(10):
        return await anext(messages)


@pytest.mark.rule("API-02")
async def test_a_relay_passes_messages_on_between_hosts_that_do_not_know_each_other():
    async with Host() as a, Host() as middle, Host() as c:
        await a.connect(middle.addresses[0])
        await c.connect(middle.addresses[0])
        here, between, there = [await host.join("news") for host in (a, middle, c)]
        async with between.relay(), there.subscribe() as messages:
            await here.wait_for_peers(1, timeout=10)
            await between.wait_for_peers(1, timeout=10)
            await here.publish(b"hello")
            message = await next_of(messages)
            assert (message.data, message.sender) == (b"hello", a.peer_id)
            assert message.received_from == middle.peer_id
        assert middle.statistics().delivered == 0


@pytest.mark.rule("SUB-03", "API-02")
async def test_subscriptions_and_relays_of_a_topic_are_announced_as_one():
    async with Host() as a, Host() as b:
        events = a.peer_events()
        async with events:
            await a.connect(b.addresses[0])
            here, there = await a.join("news"), await b.join("news")

            async def heard():
                while True:
                    event = await next_of(events)
                    if event.topic is not None:
                        return event.kind

            async with there.relay():
                assert await heard() is PeerEventKind.TOPIC_PEER_JOIN
                async with here.subscribe():
                    await there.wait_for_peers(1, timeout=10)
                    async with there.subscribe() as messages, there.relay():
                        await here.publish(b"read")
                        assert (await next_of(messages)).data == b"read"
                    # Nobody reads any more, but messages are still taken.
                    assert (await here.publish(b"relayed")).queued_to == (b.peer_id,)
            assert await heard() is PeerEventKind.TOPIC_PEER_LEAVE
            assert len(events) == 0
        assert b.statistics().delivered == 1


@pytest.mark.rule("API-01")
async def test_a_topic_with_an_open_relay_cannot_be_closed():
    async with Host() as host:
        topic = await host.join("news")
        async with topic.relay():
            with pytest.raises(LocalProtocolError, match=r"^close the relays of news first$"):
                topic.close()
        topic.close()
        with pytest.raises(LocalProtocolError, match=r"^the topic was closed: news$"):
            async with topic.relay():
                pass


@pytest.mark.rule("FAN-07")
async def test_a_fanout_only_topic_cannot_be_relayed():
    async with Host() as host:
        topic = await host.join("news", fanout_only=True)
        with pytest.raises(LocalProtocolError, match=r"^a fanout-only topic relays nothing: news$"):
            async with topic.relay():
                pass
        topic.close()


async def test_a_relay_may_outlive_its_host():
    async with Host() as host:
        topic = await host.join("news")
        relay = topic.relay()
        await relay.__aenter__()
    await relay.__aexit__(None, None, None)
