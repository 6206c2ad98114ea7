"""Ready-made validators in a host: what they refuse, and what still reaches it."""

from __future__ import annotations

import itertools

import anyio
import pytest

from gossipsub import GossipParams, Host, LocalProtocolError, Verdict
from gossipsub.conformance.scripted_peer import dial
from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.crypto.message_signing import sign_message
from gossipsub.validators import (
    AuthorAllowList,
    IncreasingSequenceNumbers,
    MaxSize,
    RatePerAuthor,
    RatePerPeer,
    all_of,
)
from gossipsub.wire.rpc import Message, Rpc, SubOpts

pytestmark = pytest.mark.anyio

AUTHOR = key_of_seed(77)


def signed(number: int) -> Message:
    return sign_message(Message("news", b"%d" % number, seqno=number.to_bytes(8, "big")), AUTHOR)


async def until(condition, *, timeout=10.0):
    with anyio.fail_after(timeout):
        while not condition():
            await anyio.sleep(0.002)


async def next_of(messages):
    with anyio.fail_after(10):
        return (await anext(messages)).data


async def meet(w) -> None:
    await w.serve_identify()
    await w.open_pubsub()
    await w.send_rpc(Rpc(subscriptions=[SubOpts("news")]))
    await w.wait_pubsub()


@pytest.mark.rule("VAL-14")
async def test_a_replay_is_ignored_although_the_seen_cache_has_forgotten_the_message():
    params = GossipParams(seen_ttl=0.02)
    async with Host(params=params) as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        host.set_validator("news", IncreasingSequenceNumbers())
        async with topic.subscribe() as messages:
            await meet(w)
            await w.send_rpc(Rpc(publish=[signed(number) for number in (1, 2, 2, 1, 3)]))
            assert [await next_of(messages) for _ in range(3)] == [b"1", b"2", b"3"]
            with anyio.fail_after(10):
                while not host.statistics().rejections:
                    await w.send_rpc(Rpc(publish=[signed(3)]))
                    await anyio.sleep(0.01)
            assert set(host.statistics().rejections) == {"validation ignored"}
            await w.send_rpc(Rpc(publish=[signed(4)]))
            assert await next_of(messages) == b"4"
            assert host.statistics().delivered == 4


async def test_own_messages_have_the_numbers_that_others_ask_for():
    async with Host() as host:
        topic = await host.join("news")
        validator = IncreasingSequenceNumbers()
        host.set_validator("news", validator)
        async with topic.subscribe() as messages, anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(topic.publish, b"%d" % number)
            assert {await next_of(messages) for _ in range(20)} == {b"%d" % n for n in range(20)}


async def test_a_neighbour_beyond_its_rate_cannot_silence_what_others_bring():
    async with (
        Host() as host,
        dial(host.addresses[0], seed=1) as greedy,
        dial(host.addresses[0], seed=2) as honest,
    ):
        topic = await host.join("news")
        ticks = itertools.repeat(0.0)
        host.set_validator("news", all_of(MaxSize(100), RatePerPeer(1, 3, clock=ticks.__next__)))
        async with topic.subscribe() as messages:
            await meet(greedy)
            await meet(honest)
            await greedy.send_rpc(Rpc(publish=[signed(number) for number in range(5)]))
            assert [await next_of(messages) for _ in range(3)] == [b"0", b"1", b"2"]
            await until(lambda: host.statistics().rejections == {"validation throttled": 2})
            await honest.send_rpc(Rpc(publish=[signed(number) for number in range(5)]))
            assert [await next_of(messages) for _ in range(2)] == [b"3", b"4"]


async def test_publishing_what_others_would_refuse_is_an_error():
    async with Host() as host:
        topic = await host.join("news")
        allowed = AuthorAllowList([])
        host.set_validator("news", all_of(allowed, RatePerAuthor(1, 2, clock=lambda: 0.0)))
        with pytest.raises(LocalProtocolError, match=Verdict.REJECT.name):
            await topic.publish(b"1")
        allowed.add(host.peer_id)
        await topic.publish(b"2")
        await topic.publish(b"3")
        with pytest.raises(LocalProtocolError, match=Verdict.IGNORE.name):
            await topic.publish(b"4")
