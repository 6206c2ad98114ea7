"""Options of publishing and subscribing, between two hosts on loopback."""

from __future__ import annotations

import logging
import math
from contextlib import asynccontextmanager
from itertools import pairwise

import anyio
import pytest

from gossipsub import (
    GossipParams,
    Host,
    LocalProtocolError,
    MeshParams,
    PeerScoreParams,
    UnsentReason,
)
from gossipsub.pubsub.publisher import TURN_MESSAGES

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def two_hosts():
    async with Host() as a, Host() as b:
        await a.connect(b.addresses[0])
        yield a, b


async def take(messages, count):
    with anyio.fail_after(10):
        return [(await anext(messages)).data for _ in range(count)]


@pytest.mark.rule("API-05")
async def test_what_is_published_locally_stays_in_the_host():
    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        async with here.subscribe() as own, there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=10)
            result = await here.publish(b"secret", local_only=True)
            assert (result.queued_to, result.dropped_by) == ((), ())
            assert result.reason is UnsentReason.LOCAL_ONLY
            await here.publish(b"open")
            assert await take(own, 2) == [b"secret", b"open"]
            assert await take(theirs, 1) == [b"open"]


@pytest.mark.rule("CACHE-10")
async def test_a_message_may_be_kept_out_of_the_cache():
    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        async with there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=10)
            result = await here.publish(b"once", cache=False)
            assert result.queued_to == (b.peer_id,)
            assert await take(theirs, 1) == [b"once"]


@pytest.mark.rule("API-06")
async def test_publishing_may_wait_until_peers_are_there():
    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        results = []

        async def publish():
            results.append(await here.publish(b"patient", wait_for=1, timeout=20))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish)
            await anyio.lowlevel.checkpoint()
            assert results == []
            async with there.subscribe() as theirs:
                assert await take(theirs, 1) == [b"patient"]
        assert results[0].queued_to == (b.peer_id,)


@pytest.mark.rule("API-06")
async def test_publishing_waits_no_longer_than_told_and_sends_nothing_then():
    async with Host() as host:
        topic = await host.join("news")
        async with topic.subscribe() as own:
            with pytest.raises(TimeoutError, match=r"^0 of 2 peers in news after 0.01 s$"):
                await topic.publish(b"late", wait_for=2, timeout=0.01)
            with anyio.move_on_after(0.01) as scope:
                await topic.publish(b"cancelled", wait_for=1, timeout=math.inf)
            assert scope.cancelled_caught
            await topic.publish(b"now")
            assert await take(own, 1) == [b"now"]
        assert host.statistics().published == 1


@pytest.mark.rule("API-08")
async def test_a_batch_arrives_in_its_order_and_tells_of_each_message():
    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        async with there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=10)
            batch = [b"%d" % number for number in range(50)]
            results = await here.publish_batch(batch)
            assert [result.queued_to for result in results] == [(b.peer_id,)] * 50
            assert len({result.message_id for result in results}) == 50
            assert await take(theirs, 50) == batch
        assert await here.publish_batch([]) == ()
        assert a.statistics().published == 50


async def test_of_a_batch_with_one_bad_message_nothing_is_published():
    async with Host() as host:
        topic = await host.join("news")
        host.set_validator("news", lambda message: message.data != b"bad")
        with pytest.raises(LocalProtocolError, match=r"^data must be bytes: str$"):
            await topic.publish_batch([b"good", "text"])
        with pytest.raises(
            LocalProtocolError, match=r"^the validator \S+<lambda> says REJECT: news$"
        ):
            await topic.publish_batch([b"good", b"bad"])
        assert host.statistics().published == 0


async def test_a_batch_overtaken_while_the_validator_thinks_leaves_with_later_numbers():
    answer = anyio.Event()

    async def think(message):
        if message.data == b"slow":
            await answer.wait()
        return True

    async with Host() as host:
        topic = await host.join("news")
        host.set_validator("news", think)
        async with topic.subscribe() as own, anyio.create_task_group() as tasks:
            tasks.start_soon(topic.publish_batch, [b"slow", b"second"])
            await anyio.lowlevel.checkpoint()
            await topic.publish(b"quick")
            answer.set()
            with anyio.fail_after(10):
                heard = [await anext(own) for _ in range(3)]
        assert [message.data for message in heard] == [b"quick", b"slow", b"second"]
        assert [message.seqno for message in heard] == sorted(message.seqno for message in heard)


async def test_publishing_without_end_lets_others_run():
    async with Host() as host:
        topic = await host.join("news")
        turns = []

        async def count():
            while True:
                turns.append(host.statistics().published)
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            for _ in range(10 * TURN_MESSAGES):
                await topic.publish(b"x")
            tasks.cancel_scope.cancel()
        # trio lets tasks of one round run in any order: one may be last, and then first.
        later = [after - before for before, after in pairwise(turns)]
        assert max(later) <= 2 * TURN_MESSAGES
        assert turns[-1] >= 8 * TURN_MESSAGES


async def test_publishing_without_end_can_be_cancelled():
    async with Host() as host:
        topic = await host.join("news")
        with anyio.fail_after(20), anyio.move_on_after(0.05) as scope:
            while True:
                await topic.publish(b"x")
        assert scope.cancelled_caught


@pytest.mark.rule("FAN-07")
async def test_a_fanout_only_topic_is_published_to_and_never_joined():
    async with two_hosts() as (a, b):
        here, there = await a.join("news", fanout_only=True), await b.join("news")
        other = await a.join("other")
        async with here.subscribe() as own, there.subscribe() as theirs, other.subscribe():
            await here.wait_for_peers(1, timeout=10)
            elsewhere = await b.join("other")
            await elsewhere.wait_for_peers(1, timeout=10)
            # What was subscribed to later is known; the fanout-only topic was never announced.
            assert (there.peers(), here.mesh(), here.has_enough_peers(1)) == ((), (), True)
            assert (await there.publish(b"foreign")).queued_to == ()
            assert (await here.publish(b"mine")).queued_to == (b.peer_id,)
            assert await take(theirs, 2) == [b"foreign", b"mine"]
            assert await take(own, 1) == [b"mine"]
            assert len(own) == 0


@pytest.mark.rule("API-04")
async def test_what_a_subscription_filters_out_fills_no_buffer(caplog):
    def choose(message):
        if message.data == b"bug":
            raise KeyError("mine")
        return message.data.startswith(b"a")

    async with Host() as host:
        topic = await host.join("news")
        with pytest.raises(LocalProtocolError, match=r"^a message filter is a function: 'a'$"):
            topic.subscribe(message_filter="a")
        async with (
            topic.subscribe(buffer=2, message_filter=choose) as some,
            topic.subscribe(message_filter=lambda message: message.sender != host.peer_id) as none,
            topic.subscribe() as every,
        ):
            with caplog.at_level(logging.ERROR, "gossipsub"):
                for data in (b"b1", b"a1", b"bug", b"b2", b"a2"):
                    await topic.publish(data)
            assert await take(every, 5) == [b"b1", b"a1", b"bug", b"b2", b"a2"]
            assert await take(some, 2) == [b"a1", b"a2"]
            assert some.statistics().dropped == len(none) == 0
    assert [record.getMessage() for record in caplog.records] == [
        "a message filter failed topic=news"
    ]


NO_FLOOD = GossipParams(flood_publish=False, mesh=MeshParams(d=0, d_low=0, d_high=0, d_out=0))
SUSPICIOUS = GossipParams(
    score=PeerScoreParams(app_specific_score=lambda peer: -60.0, app_specific_weight=1.0)
)
EXCLUSIVE = GossipParams(peer_filter=lambda peer, topic: False)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (NO_FLOOD, UnsentReason.NOT_IN_MESH),
        (SUSPICIOUS, UnsentReason.LOW_SCORES),
        (EXCLUSIVE, UnsentReason.NOT_WANTED),
    ],
)
async def test_a_publication_that_went_to_no_subscriber_says_why(params, reason):
    async with Host(params=params) as a, Host() as b:
        await b.connect(a.addresses[0])  # whoever dials is let into the mesh
        here, there = await a.join("news"), await b.join("news")
        async with here.subscribe(), there.subscribe():
            await here.wait_for_peers(1, timeout=10)
            result = await here.publish(b"x")
            assert (result.queued_to, result.dropped_by, result.reason) == ((), (), reason)
