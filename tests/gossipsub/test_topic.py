"""A topic as its user holds it, between two hosts on loopback."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from gossipsub import (
    GossipParams,
    Host,
    HostConfig,
    LocalProtocolError,
    Overflow,
    SubscriptionOverflow,
    UnsentReason,
    Verdict,
)
from gossipsub.peer_events import PeerEventKind
from gossipsub.router.message_id import content_id
from gossipsub.router.policy import SignaturePolicy

pytestmark = pytest.mark.anyio

UNSIGNED = GossipParams(signature_policy=SignaturePolicy.STRICT_NO_SIGN, message_id=content_id)


@asynccontextmanager
async def two_hosts(params: GossipParams | None = None, config: HostConfig | None = None):
    async with Host(params=params, config=config) as a, Host(params=params, config=config) as b:
        await a.connect(b.addresses[0])
        yield a, b


async def next_of(messages):
    with anyio.fail_after(5):
        return await anext(messages)


# -- joining and leaving


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "a topic's name is a non-empty text: ''"),
        (None, "a topic's name is a non-empty text: None"),
        (b"news", "a topic's name is a non-empty text: b'news'"),
        ("x\ud800", "a topic's name is Unicode text: 'x\\ud800'"),
        ("x" * 1025, "a topic's name has at most 1024 characters: "),
    ],
)
async def test_a_name_no_peer_could_understand_is_refused(name, reason):
    async with Host() as host:
        for act in (host.join(name), set_validator(host, name)):
            with pytest.raises(LocalProtocolError) as refused:
                await act
            assert str(refused.value).startswith(reason)
        await host.join("x" * 1024)


async def set_validator(host, name):
    host.set_validator(name, lambda message: True)


@pytest.mark.rule("API-01")
async def test_a_topic_has_one_handle_which_is_given_back_when_nobody_reads():
    async with Host() as host:
        topic = await host.join("news")
        with pytest.raises(LocalProtocolError) as refused:
            await host.join("news")
        assert str(refused.value) == "the topic is joined already: news"
        async with topic.subscribe():
            with pytest.raises(LocalProtocolError) as refused:
                topic.close()
            assert str(refused.value) == "close the subscriptions of news first"
        topic.close()
        topic.close()
        again = await host.join("news")
        async with again.subscribe() as messages:
            await again.publish(b"x")
            assert (await next_of(messages)).data == b"x"


async def test_a_handle_given_back_is_of_no_use():
    async with Host() as host:
        topic = await host.join("news")
        reader = topic.subscribe()
        topic.close()
        for act in (
            topic.publish(b"x"),
            topic.wait_for_peers(1, timeout=1),
            reader.__aenter__(),
            topic.subscribe().__aenter__(),
        ):
            with pytest.raises(LocalProtocolError) as refused:
                await act
            assert str(refused.value) == "the topic was closed: news"


@pytest.mark.rule("SUB-03")
async def test_the_first_subscription_announces_and_the_last_one_withdraws():
    async with two_hosts() as (a, b), b.peer_events() as events:
        news, marks = await a.join("news"), await a.join("mark")

        async def heard() -> list[tuple[PeerEventKind, str]]:
            """What B heard of A's topics until now: A's next announcement comes behind it."""
            told = []
            async with marks.subscribe():
                while ("mark", PeerEventKind.TOPIC_PEER_JOIN) not in told:
                    event = await next_of(events)
                    if event.topic is not None:
                        told.append((event.topic, event.kind))
            told.remove(("mark", PeerEventKind.TOPIC_PEER_JOIN))
            event = await next_of(events)
            assert (event.topic, event.kind) == ("mark", PeerEventKind.TOPIC_PEER_LEAVE)
            return told

        first, second = news.subscribe(), news.subscribe()
        assert await heard() == []
        await first.__aenter__()
        assert await heard() == [("news", PeerEventKind.TOPIC_PEER_JOIN)]
        await second.__aenter__()
        first.close()
        assert await heard() == []
        second.close()
        assert await heard() == [("news", PeerEventKind.TOPIC_PEER_LEAVE)]


@pytest.mark.rule("SUB-07")
async def test_an_application_watches_peers_of_its_topics_come_and_go():
    async def next_of_topic(events):
        while True:
            event = await next_of(events)
            if event.topic is not None:
                return event

    async with two_hosts() as (a, b), b.peer_events() as events:
        topic = await a.join("news")
        for _ in range(2):
            async with topic.subscribe(), topic.subscribe():
                joined = await next_of_topic(events)
            left = await next_of_topic(events)
            assert (joined.kind, joined.peer, joined.topic) == (
                PeerEventKind.TOPIC_PEER_JOIN,
                a.peer_id,
                "news",
            )
            assert (left.kind, left.peer, left.topic) == (
                PeerEventKind.TOPIC_PEER_LEAVE,
                a.peer_id,
                "news",
            )


# -- publishing


async def test_a_message_reaches_both_hosts_and_says_where_it_comes_from():
    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        async with here.subscribe() as own, there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=5)
            result = await here.publish(b"hello")
            assert (result.queued_to, result.dropped_by) == ((b.peer_id,), ())
            mine, received = await next_of(own), await next_of(theirs)
        assert received == mine
        assert (received.topic, received.data) == ("news", b"hello")
        assert (received.sender, received.received_from) == (a.peer_id, a.peer_id)
        assert received.message_id == result.message_id == a.peer_id + received.seqno


async def test_a_topic_can_be_published_to_without_reading_it():
    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        async with there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=5)
            await here.publish(b"hello")
            assert (await next_of(theirs)).data == b"hello"


async def test_publishing_to_nobody_is_no_error():
    async with Host() as host:
        result = await (await host.join("news")).publish(b"")
        assert (result.queued_to, result.dropped_by) == ((), ())
        assert (result.reached_nobody, result.reason) == (True, UnsentReason.NO_PEERS)


@pytest.mark.parametrize("data", ["text", None, bytearray(b"x"), 5])
async def test_only_bytes_are_published(data):
    async with Host() as host:
        topic = await host.join("news")
        with pytest.raises(LocalProtocolError) as refused:
            await topic.publish(data)
        assert str(refused.value) == f"data must be bytes: {type(data).__name__}"


async def test_the_largest_message_arrives_and_one_byte_more_is_refused():
    config = HostConfig(max_rpc_bytes=2000)
    async with two_hosts(config=config) as (a, b):
        here, there = await a.join("news"), await b.join("news")
        async with here.subscribe() as own, there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=5)
            with pytest.raises(LocalProtocolError) as refused:
                await here.publish(bytes(2000))
            found = re.fullmatch(
                r"the message takes (\d+) bytes on the wire, the limit is 2000", str(refused.value)
            )
            size = 2000 - (int(found[1]) - 2000)
            with pytest.raises(LocalProtocolError):
                await here.publish(bytes(size + 1))
            await here.publish(bytes(size))
            assert len((await next_of(theirs)).data) == size
            assert len((await next_of(own)).data) == size
            assert len(own) == 0


@pytest.mark.rule("MID-06")
async def test_an_id_published_twice_is_sent_once_and_the_result_says_so():
    async with two_hosts(UNSIGNED) as (a, b):
        here, there = await a.join("news"), await b.join("news")
        async with there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=5)
            first, again = await here.publish(b"same"), await here.publish(b"same")
            assert (first.queued_to, first.reason) == ((b.peer_id,), None)
            assert (again.queued_to, again.reason) == ((), UnsentReason.DUPLICATE)
            assert (first.reached_nobody, again.reached_nobody) == (False, True)
            await here.publish(b"other")
            assert [(await next_of(theirs)).data for _ in range(2)] == [b"same", b"other"]
        assert b.statistics().duplicates == 0


def bad_id(message):
    if message.data == b"bad":
        raise KeyError("mine")
    return "text" if message.data == b"text" else content_id(message)


@pytest.mark.rule("VAL-18")
@pytest.mark.parametrize("with_validator", [False, True])
async def test_a_message_for_which_the_application_finds_no_id_is_refused(with_validator):
    async with two_hosts(replace(UNSIGNED, message_id=bad_id)) as (a, b):
        here, there = await a.join("news"), await b.join("news")
        if with_validator:
            a.set_validator("news", lambda message: True)
        async with there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=5)
            with pytest.raises(LocalProtocolError) as refused:
                await here.publish(b"bad")
            assert str(refused.value) == "the message has no id: 'mine'"
            with pytest.raises(LocalProtocolError) as refused:
                await here.publish(b"text")
            assert str(refused.value) == "a message id must be bytes: 'text'"
            await here.publish(b"good")
            assert (await next_of(theirs)).data == b"good"


# -- own messages and their validator


@pytest.mark.rule("VAL-11")
@pytest.mark.parametrize("said", [False, Verdict.IGNORE, None])
async def test_what_the_own_validator_refuses_is_an_error_and_reaches_nobody(said):
    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        a.set_validator("news", lambda message: message.data == b"good" or said)
        async with here.subscribe() as own, there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=5)
            with pytest.raises(LocalProtocolError) as refused:
                await here.publish(b"bad")
            verdict = "REJECT" if said is False else "IGNORE"
            why = " (it returned no verdict)" if said is None else ""
            assert str(refused.value).endswith(f"<lambda> says {verdict}{why}: news")
            await here.publish(b"good")
            assert (await next_of(own)).data == b"good"
            assert (await next_of(theirs)).data == b"good"


async def test_messages_leave_in_the_order_of_their_numbers_however_long_validators_think():
    answers = {b"slow": anyio.Event(), b"slower": anyio.Event()}

    async def think(message):
        await answers[message.data].wait()
        return True

    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        quick = await a.join("quick")
        a.set_validator("news", think)
        async with there.subscribe() as theirs, anyio.create_task_group() as tasks:
            await here.wait_for_peers(1, timeout=5)
            tasks.start_soon(here.publish, b"slower")
            tasks.start_soon(here.publish, b"slow")
            await anyio.sleep(0.01)
            await quick.publish(b"x")
            answers[b"slow"].set()
            first = await next_of(theirs)
            answers[b"slower"].set()
            second = await next_of(theirs)
        assert (first.data, second.data) == (b"slow", b"slower")
        assert first.seqno < second.seqno


@pytest.mark.rule("API-07")
async def test_a_publication_cancelled_while_its_validator_thinks_is_never_sent():
    async def never(message):
        if message.data != b"good":
            await anyio.sleep_forever()
        return True

    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        a.set_validator("news", never)
        async with there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=5)
            with anyio.move_on_after(0.01):
                await here.publish(b"never")
            await here.publish(b"good")
            assert (await next_of(theirs)).data == b"good"
            assert len(theirs) == 0


async def test_a_topic_closed_while_the_validator_thinks_publishes_no_more():
    answer = anyio.Event()

    async def think(message):
        await answer.wait()
        return True

    refused = []

    async def publish(topic):
        with pytest.raises(LocalProtocolError) as caught:
            await topic.publish(b"x")
        refused.append(str(caught.value))

    async with Host() as host, anyio.create_task_group() as tasks:
        topic = await host.join("news")
        host.set_validator("news", think)
        tasks.start_soon(publish, topic)
        await anyio.sleep(0.01)
        topic.close()
        answer.set()
    assert refused == ["the topic was closed: news"]


# -- waiting for peers


async def test_waiting_for_peers_ends_when_they_are_there():
    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        await here.wait_for_peers(0, timeout=0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: here.wait_for_peers(1, timeout=5))
            await anyio.sleep(0.01)
            await there.subscribe().__aenter__()
        assert here.peers() == (b.peer_id,)


async def test_waiting_in_vain_says_what_was_waited_for():
    async with Host() as host:
        topic = await host.join("news")
        with pytest.raises(TimeoutError) as late:
            await topic.wait_for_peers(2, timeout=0.01)
        assert str(late.value) == "0 of 2 peers in news after 0.01 s"


async def test_waiting_for_the_mesh_ends_when_peers_are_in_it():
    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        async with there.subscribe():
            await here.wait_for_peers(1, timeout=10)
            with pytest.raises(TimeoutError) as late:  # nobody reads here, so there is no mesh
                await here.wait_for_peers(1, timeout=0.01, grafted=True)
            assert str(late.value) == "0 of 1 peers in the mesh of news after 0.01 s"
            async with anyio.create_task_group() as tasks:
                for topic in (here, there):
                    tasks.start_soon(
                        lambda each: each.wait_for_peers(1, timeout=20, grafted=True), topic
                    )
                await anyio.lowlevel.checkpoint()
                await here.subscribe().__aenter__()
            assert (here.mesh(), there.mesh()) == ((b.peer_id,), (a.peer_id,))


async def test_waiting_for_a_mesh_that_cannot_be_is_refused():
    async with Host() as host:
        topic = await host.join("news", fanout_only=True)
        with pytest.raises(LocalProtocolError) as refused:
            await topic.wait_for_peers(1, timeout=1, grafted=True)
        assert str(refused.value) == "a fanout-only topic has no mesh: news"


@pytest.mark.parametrize("grafted", [False, True])
@pytest.mark.parametrize("end", ["host", "topic"])
async def test_the_end_of_the_host_or_topic_ends_the_wait(grafted, end):
    refused = []

    async def wait(topic):
        with pytest.raises(LocalProtocolError) as caught:
            await topic.wait_for_peers(1, timeout=60, grafted=grafted)
        refused.append(str(caught.value))

    async with anyio.create_task_group() as tasks, Host() as host:
        topic = await host.join("news")
        tasks.start_soon(wait, topic)
        await anyio.wait_all_tasks_blocked()
        if end == "topic":
            topic.close()
    assert refused == ["the topic was closed: news"]


@pytest.mark.rule("API-07")
async def test_a_cancelled_wait_is_over_and_the_next_one_works():
    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        with anyio.move_on_after(0.01) as scope:
            await here.wait_for_peers(1, timeout=60)
        assert scope.cancelled_caught
        async with there.subscribe():
            await here.wait_for_peers(1, timeout=5)


async def test_the_hosts_configuration_is_what_subscriptions_begin_with():
    config = HostConfig(
        subscription_buffer=3, subscription_buffer_bytes=2, subscription_overflow=Overflow.ERROR
    )
    async with Host(config=config) as host:
        topic = await host.join("news")
        async with (
            topic.subscribe() as usual,
            topic.subscribe(buffer_bytes=100, overflow="drop_oldest") as special,
        ):
            for data in (b"1", b"2", b"3", b"4"):
                await topic.publish(data)
            assert [(await next_of(usual)).data for _ in range(2)] == [b"1", b"2"]
            with pytest.raises(SubscriptionOverflow):
                await next_of(usual)
            assert [(await next_of(special)).data for _ in range(3)] == [b"2", b"3", b"4"]
            assert (usual.dropped, special.dropped) == (2, 1)


async def test_readers_end_with_the_host_after_what_is_buffered():
    async with Host() as host:
        topic = await host.join("news")
        messages = await topic.subscribe().__aenter__()
        await topic.publish(b"last")
    assert [message.data async for message in messages] == [b"last"]
    topic.close()
