"""What a host does with a peer's RPCs and for a peer's queue, seen by a scripted peer."""

from __future__ import annotations

import anyio
import pytest

import gossipsub.pubsub.streams
from gossipsub import (
    GossipParams,
    Host,
    HostConfig,
    LocalProtocolError,
    MeshParams,
    TopicParams,
    UnsentReason,
)
from gossipsub.conformance.scripted_peer import dial
from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.crypto.message_signing import sign_message
from gossipsub.pubsub.holding import HeldStreams
from gossipsub.router.features import features_of
from gossipsub.router.message_id import content_id, origin_id
from gossipsub.router.params import SignaturePolicy
from gossipsub.wire.framing import encode_frame
from gossipsub.wire.rpc import Message, Rpc, SubOpts
from gossipsub.wire.rpc_codec import encode_rpc

pytestmark = pytest.mark.anyio

AUTHOR = key_of_seed(77)


def signed(number: int, size: int = 0) -> Message:
    data = b"%d" % number + bytes(size)
    return sign_message(Message("news", data, seqno=number.to_bytes(8, "big")), AUTHOR)


async def until(condition, *, timeout=5.0):
    with anyio.fail_after(timeout):
        while not condition():
            await anyio.sleep(0.002)


async def next_of(messages):
    with anyio.fail_after(5):
        return await anext(messages)


async def meet(w, *topics: str) -> None:
    await w.serve_identify()
    await w.open_pubsub()
    await w.send_rpc(Rpc(subscriptions=[SubOpts(topic) for topic in topics]))
    await w.wait_pubsub()


@pytest.mark.rule("VAL-09")
async def test_what_finds_the_validation_queue_full_is_dropped_and_taken_when_it_comes_again():
    config = HostConfig(validation_queue=1, validation_workers=1)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        async with topic.subscribe() as messages:
            await meet(w)
            await w.send_rpc(Rpc(publish=[signed(1), signed(2), signed(3)]))
            assert (await next_of(messages)).data == b"1"
            assert host.statistics().rejections == {"validation queue full": 2}
            for number in (2, 3):
                await w.send_rpc(Rpc(publish=[signed(number)]))
                assert (await next_of(messages)).data == b"%d" % number
            assert host.statistics().delivered == 3


async def test_what_comes_while_messages_wait_for_validation_waits_in_its_stream():
    config = HostConfig(validation_queue=8, validation_workers=1)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        async with topic.subscribe() as messages:
            await meet(w)
            for number in range(300):
                await w.send_rpc(Rpc(publish=[signed(number)]))
            assert [(await next_of(messages)).data for _ in range(300)] == [
                b"%d" % number for number in range(300)
            ]
            assert host.statistics().rejections == {}


async def test_a_peer_that_floods_waits_alone_and_loses_nothing_by_it():
    """Others are heard meanwhile, messages and all; so is its own ping."""
    answer = anyio.Event()

    async def waits(message):
        await answer.wait()
        return True

    config = HostConfig(validation_queue=8, validation_workers=1)
    async with (
        Host(config=config) as host,
        dial(host.addresses[0], seed=1) as flooder,
        dial(host.addresses[0], seed=2) as calm,
    ):
        topic = await host.join("news")
        host.set_validator("news", waits, inline=True)
        async with topic.subscribe() as messages:
            await meet(flooder)
            await meet(calm)
            for number in range(300):
                await flooder.send_rpc(Rpc(publish=[signed(number)]))
            await flooder.send_rpc(Rpc(subscriptions=[SubOpts("news")]))
            await flooder.ping(1)
            await calm.send_rpc(Rpc(publish=[signed(1000)]))
            await calm.send_rpc(Rpc(subscriptions=[SubOpts("news")]))
            await until(lambda: topic.peers() == (calm.peer_id,))
            waiting = host.validation_statistics()["news"].waiting
            assert 0 < waiting == host.statistics().validation_waiting <= 8
            answer.set()
            heard = [(await next_of(messages)).data for _ in range(301)]
            own = [data for data in heard if data != b"1000"]
            assert own == [b"%d" % number for number in range(300)]
            await until(lambda: len(topic.peers()) == 2)
            assert host.statistics().rejections == {}


async def test_an_overload_is_counted_and_told():
    config = HostConfig(validation_queue=4)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        async with topic.subscribe(), host.overload_events() as events:
            await meet(w)
            await w.send_rpc(Rpc(publish=[signed(number) for number in range(10)]))
            event = await next_of(events)
            assert (event.is_over, event.seconds) == (False, 0.0)
            statistics = host.statistics()
            assert statistics.validation_queue_full == 6
            assert statistics.rejections == {"validation queue full": 6}
            assert host.validation_statistics()["news"].queue_full == 6
            assert len(events) == 0
    with pytest.raises(LocalProtocolError):
        host.validation_statistics()


async def test_default_validators_judge_the_messages_of_every_topic():
    async with Host() as host, dial(host.addresses[0]) as w:
        news = await host.join("news")

        async def times_out(message):
            if message.data == b"3":
                await anyio.sleep_forever()
            return True

        def odd_only(message):
            return int(message.data) % 2 == 1

        host.add_default_validator(odd_only)
        host.add_default_validator(times_out, timeout=0.02)
        async with news.subscribe() as messages:
            await meet(w)
            await w.send_rpc(Rpc(publish=[signed(number) for number in range(1, 6)]))
            assert {(await next_of(messages)).data for _ in range(2)} == {b"1", b"5"}
            await until(lambda: host.statistics().validation_timeouts == 1)
            with pytest.raises(LocalProtocolError, match=r"odd_only says REJECT: news$"):
                await news.publish(b"2")
            host.remove_default_validator(odd_only)
            await news.publish(b"2")
            assert (await next_of(messages)).data == b"2"
        rejections = host.statistics().rejections
        assert rejections == {"validation failed": 2, "validation ignored": 1}


async def test_a_validator_outlives_its_topics_handle():
    async with Host() as host:
        host.set_validator("news", lambda message: False)
        for _ in range(2):
            topic = await host.join("news")
            with pytest.raises(LocalProtocolError, match=r"says REJECT: news$"):
                await topic.publish(b"x")
            topic.close()


async def test_without_worker_threads_everything_is_the_same():
    config = HostConfig(validation_workers=0)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        async with topic.subscribe() as messages:
            await meet(w)
            await w.send_rpc(Rpc(publish=[signed(number) for number in range(100)]))
            heard = [(await next_of(messages)).data for _ in range(100)]
            assert heard == [b"%d" % number for number in range(100)]


async def test_a_stream_that_waited_goes_on_in_turns_and_loses_nothing(monkeypatch):
    turns = []
    postpone = HeldStreams.postpone
    monkeypatch.setattr(gossipsub.pubsub.streams, "TURN_BYTES", 1000)
    monkeypatch.setattr(
        HeldStreams, "postpone", lambda held, inbound: turns.append(1) or postpone(held, inbound)
    )
    config = HostConfig(validation_queue=8, validation_workers=1)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        async with topic.subscribe() as messages:
            await meet(w)
            rpcs = [Rpc(publish=[signed(number)]) for number in range(8)]
            rpcs += [Rpc(publish=[Message("news", bytes(1000))])] * 100  # refused unread
            rpcs.append(Rpc(publish=[signed(8)]))
            await w.pubsub_out.write(b"".join(encode_frame(encode_rpc(rpc)) for rpc in rpcs))
            for number in range(9):
                assert (await next_of(messages)).data == b"%d" % number
            await until(lambda: host.statistics().rejections == {"missing signature": 100})
    assert len(turns) > 10


async def test_a_peers_large_rpcs_wait_for_the_next_turn_where_others_used_this_one(monkeypatch):
    postponed = []
    postpone = HeldStreams.postpone
    monkeypatch.setattr(gossipsub.pubsub.holding, "TURN", 0.0)
    monkeypatch.setattr(
        HeldStreams, "postpone", lambda held, each: postponed.append(each) or postpone(held, each)
    )
    async with Host() as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        async with topic.subscribe() as messages:
            await meet(w)
            rpcs = [Rpc(publish=[Message("news", bytes(16384))]), Rpc(publish=[signed(1)])]
            await w.pubsub_out.write(b"".join(encode_frame(encode_rpc(rpc)) for rpc in rpcs))
            assert (await next_of(messages)).data == b"1"
    assert len(postponed) >= 1


@pytest.mark.rule("VAL-10")
async def test_copies_under_validation_are_duplicates_and_the_validator_runs_once():
    asked, answer = [], anyio.Event()

    async def think(message):
        asked.append((message.data, message.received_from))
        await answer.wait()
        return True

    async with (
        Host() as host,
        dial(host.addresses[0], seed=1) as first,
        dial(host.addresses[0], seed=2) as second,
    ):
        topic = await host.join("news")
        host.set_validator("news", think)
        async with topic.subscribe() as messages:
            await meet(first)
            await meet(second)
            await first.send_rpc(Rpc(publish=[signed(1)]))
            await until(lambda: asked != [])
            await second.send_rpc(Rpc(publish=[signed(1)]))
            await first.send_rpc(Rpc(publish=[signed(1)]))
            await until(lambda: host.statistics().duplicates == 2)
            answer.set()
            assert (await next_of(messages)).data == b"1"
            await second.send_rpc(Rpc(publish=[signed(1), signed(2)]))
            assert (await next_of(messages)).data == b"2"
            assert host.statistics().duplicates == 3
        assert asked == [(b"1", first.peer_id), (b"2", second.peer_id)]


@pytest.mark.rule("VAL-18")
async def test_a_message_whose_id_function_fails_is_ignored_and_the_next_one_counts():
    def fails_for_1(message):
        if message.data == b"1":
            raise KeyError("mine")
        return "text" if message.data == b"2" else origin_id(message)

    params = GossipParams(message_id=fails_for_1)
    async with Host(params=params) as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        async with topic.subscribe() as messages:
            await meet(w)
            await w.send_rpc(Rpc(publish=[signed(1), signed(2), signed(3)]))
            assert (await next_of(messages)).data == b"3"
            assert host.statistics().rejections == {"no message id": 2}


async def test_what_a_peer_says_before_it_hangs_up_its_stream_counts():
    """Even where it has to wait, here for our own stream to the peer."""
    async with Host() as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        async with topic.subscribe() as messages:
            stream = await w.open_pubsub()
            opened = await w.accept_stream()
            while opened.stream_id in (0, stream.stream_id):
                opened = await w.accept_stream()
            await w.send_rpc(Rpc(publish=[signed(1)]))
            await stream.finish()
            await w.ping(1)
            assert len(messages) == 0
            await w.serve_identify()
            assert (await next_of(messages)).data == b"1"
            assert await stream.read_to_end(timeout=1) == b""


async def test_a_peer_that_takes_no_stream_is_heard_all_the_same_and_forgotten_when_it_stops():
    async with Host() as host, dial(host.addresses[0]) as w:
        w.serve("/nothing")
        topic = await host.join("news")
        stream = await w.open_pubsub()
        await w.send_rpc(Rpc(subscriptions=[SubOpts("news")]))
        await topic.wait_for_peers(1, timeout=5)
        result = await topic.publish(b"x")
        assert (result.queued_to, result.dropped_by) == ((), (w.peer_id,))
        assert result.reason is UnsentReason.QUEUES_FULL
        await stream.finish()
        await until(lambda: topic.peers() == ())
        dropped = host.statistics().rpc_dropped
        async with topic.subscribe():
            assert host.statistics().rpc_dropped == dropped  # nothing was meant for it
        assert [info.peer for info in host.peers()] == [w.peer_id]


@pytest.mark.rule("QUE-01")
async def test_a_peer_that_takes_nothing_more_is_named_by_each_publication_that_is_dropped_for_it():
    config = HostConfig(outbound_queue_rpcs=4)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        w.returns_credit = False
        await meet(w, "news")
        topic = await host.join("news")
        await topic.wait_for_peers(1, timeout=5)
        results = []

        async def publish(number: int) -> None:
            results.append((number, await topic.publish(bytes(200_000))))

        async with anyio.create_task_group() as tasks:  # together, as each waits a second
            for number in range(12):
                tasks.start_soon(publish, number)
        queued = [result for _, result in results if result.queued_to == (w.peer_id,)]
        dropped = [result for _, result in results if result.dropped_by == (w.peer_id,)]
        # Four wait; some left while credit lasted.
        assert 4 <= len(queued) <= 7
        assert len(queued) + len(dropped) == 12
        assert host.statistics().rpc_dropped == len(dropped)


@pytest.mark.rule("QUE-04")
async def test_a_subscription_is_announced_before_the_graft_of_its_topic():
    async with Host() as host, dial(host.addresses[0]) as w:
        await meet(w, "a", "b")
        topics = [await host.join(name) for name in ("a", "b")]
        await topics[0].wait_for_peers(1, timeout=5)
        told = []
        for topic in topics:
            await topic.subscribe().__aenter__()
        while len(told) < 4:
            rpc = await w.receive_rpc()
            told += [("subscribe", option.topic) for option in rpc.subscriptions]
            if rpc.control is not None:
                told += [("graft", graft.topic) for graft in rpc.control.graft]
        for name in ("a", "b"):
            assert told.index(("subscribe", name)) < told.index(("graft", name))


async def test_a_withdrawal_and_a_prune_overtake_the_data_that_waits():
    async with Host() as host, dial(host.addresses[0]) as w:
        w.returns_credit = False
        await meet(w, "news", "other")
        news, other = await host.join("news"), await host.join("other")
        async with news.subscribe():
            await news.wait_for_peers(1, timeout=5)
            stream = await w.wait_pubsub()
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(other.publish, bytes(100_000))
        await stream.grant(1 << 30)
        messages, told = 0, []
        while messages < 20:
            rpc = await w.receive_rpc()
            messages += len(rpc.publish)
            told += [("left", each.topic, messages) for each in rpc.subscriptions]
            if rpc.control is not None:
                told += [("prune", each.topic, messages) for each in rpc.control.prune]
        # Before it left what there was credit for, and the message that was begun.
        begun = 256 * 1024 // 100_000 + 1
        assert [each[:2] for each in told[-2:]] == [("prune", "news"), ("left", "news")]
        assert told[-1][2] <= begun


@pytest.mark.rule("QUE-03")
async def test_data_waits_in_the_queue_however_much_credit_the_peer_gives():
    """What has left the queue could neither be dropped nor overtaken any more."""
    config = HostConfig(outbound_queue_bytes=1 << 26, write_timeout=30)
    async with Host(config=config) as host, dial(host.addresses[0]) as w:
        await meet(w, "news", "other")
        news, other = await host.join("news"), await host.join("other")
        async with news.subscribe():
            await other.wait_for_peers(1, timeout=5)
            await (await w.wait_pubsub()).grant(1 << 30)
            await w.ping(1)
            w.stop_reading()
            async with anyio.create_task_group() as tasks:
                for _ in range(300):
                    tasks.start_soon(other.publish, bytes(100_000))
                await anyio.sleep(0.1)
                tasks.cancel_scope.cancel()
        w.resume_reading()
        messages = 0
        while True:
            rpc = await w.receive_rpc(timeout=10)
            if any(not option.subscribe for option in rpc.subscriptions):
                break
            messages += len(rpc.publish)
        assert messages < 200


@pytest.mark.rule("IDW-01", "IDW-08")
async def test_large_messages_that_came_together_are_told_of_in_rpcs_of_ten():
    async with (
        Host() as host,
        dial(host.addresses[0], seed=1) as first,
        dial(host.addresses[0], seed=2) as second,
    ):
        topic = await host.join("news")
        async with topic.subscribe():
            for w in (first, second):
                await meet(w, "news")
            await until(lambda: len(topic.mesh()) == 2)
            sent = [signed(number, 1024) for number in range(12)]
            rpcs = [Rpc(publish=[message]) for message in sent]
            await first.pubsub_out.write(b"".join(encode_frame(encode_rpc(rpc)) for rpc in rpcs))
            told: list[int] = []
            ids: list[bytes] = []
            while len(ids) < 12:
                control = (await second.receive_rpc()).control
                for each in () if control is None else control.idontwant:
                    told.append(len(each.message_ids))
                    ids += each.message_ids
    assert ids == [origin_id(message) for message in sent]
    assert told == [10, 2]


# -- limits of a topic


@pytest.mark.rule("SPL-06")
async def test_a_publication_above_a_limit_is_refused_with_the_numbers():
    params = GossipParams(topics={"small": TopicParams(max_data_bytes=10)})
    async with Host(params=params, config=HostConfig(max_rpc_bytes=1000)) as host:
        small, other = await host.join("small"), await host.join("other")
        await small.publish(bytes(10))
        with pytest.raises(LocalProtocolError) as above_topic:
            await small.publish(bytes(11))
        await other.publish(bytes(11))
        with pytest.raises(LocalProtocolError) as above_rpc:
            await other.publish(bytes(1000))
        assert host.statistics().published == 2
    assert str(above_topic.value) == "11 bytes of data, the limit of small is 10"
    assert str(above_rpc.value).endswith("bytes on the wire, the limit is 1000")


async def test_a_topic_is_joined_with_parameters_of_its_own():
    unsigned = TopicParams(
        max_data_bytes=5,
        signature_policy=SignaturePolicy.STRICT_NO_SIGN,
        message_id=content_id,
    )
    async with Host() as host, Host() as other:
        mine = await host.join("open", unsigned)
        theirs = await other.join("open", unsigned)
        await other.connect(host.addresses[0])
        async with mine.subscribe() as messages:
            await theirs.wait_for_peers(1, timeout=10)
            await theirs.publish(b"hello")
            with anyio.fail_after(10):
                received = await anext(messages)
        assert (received.data, received.sender) == (b"hello", None)
        host.set_topic_params("open", TopicParams())
        await mine.publish(b"longer than five")
        with pytest.raises(LocalProtocolError, match="the limit of open is 5"):
            await theirs.publish(b"longer than five")


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [(None, None, None), (8, None, 8), (None, 8, 8)],
    ids=["none before", "the host's before", "the host's meanwhile"],
)
async def test_parameters_given_with_a_handle_end_with_it(before, change, after):
    def limit(size):
        return TopicParams() if size is None else TopicParams(max_data_bytes=size)

    params = GossipParams(topics={} if before is None else {"news": limit(before)})
    async with Host(params=params) as host:
        topic = await host.join("news", limit(5))
        with pytest.raises(LocalProtocolError, match="the limit of news is 5"):
            await topic.publish(bytes(6))
        if change is not None:
            host.set_topic_params("news", limit(change))
        topic.close()
        again = await host.join("news")
        await again.publish(bytes(6))
        if after is None:
            await again.publish(bytes(100))
        else:
            with pytest.raises(LocalProtocolError, match=f"the limit of news is {after}"):
                await again.publish(bytes(100))


async def test_a_validator_stays_when_the_topic_is_closed():
    async with Host() as host:
        host.set_validator("news", lambda message: message.data == b"good")
        topic = await host.join("news")
        topic.close()
        again = await host.join("news")
        await again.publish(b"good")
        with pytest.raises(LocalProtocolError, match="says REJECT"):
            await again.publish(b"bad")


@pytest.mark.parametrize("given", [{"max_data_bytes": 5}, MeshParams()])
async def test_what_are_no_topic_params_is_refused_and_nothing_is_joined(given):
    async with Host() as host:
        with pytest.raises(LocalProtocolError, match=r"^a topic's parameters are TopicParams: "):
            await host.join("news", given)
        with pytest.raises(LocalProtocolError, match=r"^a topic's parameters are TopicParams: "):
            host.set_topic_params("news", given)
        await host.join("news")


@pytest.mark.rule("WIRE-13")
async def test_protocols_may_be_matched_by_a_function_of_the_application():
    def by_version(ours: str, theirs: str) -> bool:
        return ours.rsplit("/", 2)[1:] == theirs.rsplit("/", 2)[1:]

    def params(prefix: str, name: str) -> GossipParams:
        protocol = f"{prefix}/{name}/1.1.0"
        return GossipParams(
            protocols=(protocol,),
            protocol_match=by_version,
            features=lambda known: features_of("/meshsub/1.1.0"),
        )

    async with (
        Host(params=params("/foo", "meshsub")) as host,
        Host(params=params("/bar", "meshsub")) as same,
        Host(params=params("/foo", "othersub")) as other,
    ):
        for each in (same, other):
            await each.connect(host.addresses[0])
        topics = [await each.join("t") for each in (host, same, other)]
        async with topics[0].subscribe() as messages, topics[2].subscribe():
            await topics[1].wait_for_peers(1, timeout=10)
            await topics[1].publish(b"hello")
            with anyio.fail_after(10):
                assert (await anext(messages)).data == b"hello"
            spoken = {peer.peer: peer.pubsub_protocol for peer in host.peers()}
            assert spoken == {same.peer_id: "/foo/meshsub/1.1.0", other.peer_id: None}
            assert topics[0].peers() == ()  # `same` only publishes
            assert topics[2].peers() == ()


@pytest.mark.rule("T6")
async def test_a_peer_that_had_to_wait_is_told_at_once_that_it_may_go_on():
    """Nothing else is sent to it that could take the credit along."""
    host = Host(config=HostConfig(validation_queue=8))
    peer = Host(config=HostConfig(outbound_queue_rpcs=2000))
    async with host, peer:
        await peer.connect(host.addresses[0])
        here, there = await host.join("news"), await peer.join("news")
        async with here.subscribe() as messages:
            await there.wait_for_peers(1, timeout=10)
            # More than two windows, in messages too small for an IDONTWANT.
            await there.publish_batch([bytes(700)] * 900)
            with anyio.fail_after(10):
                for _ in range(900):
                    await anext(messages)
