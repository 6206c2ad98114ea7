"""The two one-way streams of pubsub, as a peer on the wire sees them (WIRE)."""

from __future__ import annotations

import gc
import itertools
import operator

import anyio
import pytest

from gossipsub import GossipParams, Host
from gossipsub.conformance.scripted_gossip import signed
from gossipsub.conformance.scripted_peer import PUBSUB, dial
from gossipsub.conformance.scripted_wire import WireTimeout, key_of_seed
from gossipsub.pubsub.peer import PubsubPeer
from gossipsub.router.features import OFFERED
from gossipsub.router.params import LazyParams, MeshParams
from gossipsub.router.policy import SignaturePolicy
from gossipsub.transport.connection import Connection
from gossipsub.transport.stream import Stream
from gossipsub.wire.framing import encode_frame
from gossipsub.wire.rpc import Message, Rpc, SubOpts
from gossipsub.wire.rpc_codec import encode_rpc

pytestmark = pytest.mark.anyio

CALM = GossipParams(heartbeat_interval=60, heartbeat_initial_delay=60)
"""What is seen in less than a minute was not brought about by a heartbeat."""
LEAST_PAUSES = (0.0, 0.1, 0.2, 0.4)
CONTROL_BYTES = 512 * 1024


def subscription(topic: str) -> Rpc:
    return Rpc(subscriptions=[SubOpts(topic)])


def topics_in(rpc: Rpc) -> list[str]:
    return [option.topic for option in rpc.subscriptions if option.subscribe]


async def until_peers(topic, count: int, *, timeout: float = 1.0) -> None:
    with anyio.fail_after(timeout):
        while len(topic.peers()) != count:
            await anyio.sleep(0.001)


# -- frames


@pytest.mark.rule("T20", "WIRE-22")
async def test_a_hello_of_thousands_of_topics_comes_in_parts_a_peer_accepts(config):
    names = [f"{number:04}" + "x" * 246 for number in range(6000)]
    async with Host(config=config(), params=CALM) as host, anyio.create_task_group() as tasks:
        for name in names:
            topic = await host.join(name)
            tasks.start_soon(_stay, topic)
        async with dial(host.addresses[0]) as w:
            await w.serve_identify()
            heard: list[str] = []
            while len(heard) < len(names):
                rpc = await w.receive_rpc()
                assert len(encode_rpc(rpc)) <= CONTROL_BYTES
                assert len(rpc.subscriptions) <= 5000
                heard += topics_in(rpc)
            assert sorted(heard) == names
        tasks.cancel_scope.cancel()


async def _stay(topic) -> None:
    async with topic.subscribe():
        await anyio.sleep_forever()


@pytest.mark.rule("WIRE-22")
async def test_gossip_about_three_full_topics_leaves_in_parts_a_peer_accepts(config):
    """3 times 5000 ids of 60 bytes are 930 KB: fit for an RPC, but not as its control part."""
    params = GossipParams(
        heartbeat_interval=0.3,
        flood_publish=False,
        mesh=MeshParams(d=0, d_low=0, d_high=0, d_out=0, d_score=0),
        lazy=LazyParams(max_ihave_length=5000, history_length=1000, history_gossip=1000),
        signature_policy=SignaturePolicy.STRICT_NO_SIGN,
        message_id=lambda message: (message.data or b"").ljust(60, b"\x00"),
    )
    async with Host(config=config(), params=params) as host, dial(host.addresses[0]) as w:
        await w.serve_identify()
        await w.open_pubsub()
        topics = [await host.join(name) for name in "abc"]
        async with topics[0].subscribe(), topics[1].subscribe(), topics[2].subscribe():
            await w.send_rpc(Rpc(subscriptions=[SubOpts(name) for name in "abc"]))
            for topic in topics:
                await until_peers(topic, 1)
            for number in range(5000):
                for topic in topics:
                    await topic.publish(f"{topic.name}{number}".encode())
            told: set[bytes] = set()
            while len(told) < 15_000:
                rpc = await w.receive_rpc_with(lambda rpc: rpc.control and rpc.control.ihave)
                assert len(encode_rpc(rpc)) <= CONTROL_BYTES
                for ihave in rpc.control.ihave:
                    told.update(ihave.message_ids)


# -- the host's own stream


@pytest.mark.rule("WIRE-08", "T3")
async def test_the_host_opens_its_own_stream_and_writes_nothing_on_ours(config, subscribe):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        w.serve(*PUBSUB, handler=w.read_pubsub)  # no identify: our stream alone tells it
        topic = await subscribe(host, w)
        async with topic.subscribe():
            await w.wait_pubsub(timeout=4)
            negotiated = w.pubsub_out.received_bytes
            assert topics_in(await w.receive_rpc_with(topics_in)) == ["news"]
            for _ in range(20):
                await topic.publish(b"x")
            received = 0
            while received < 20:
                received += len((await w.receive_rpc()).publish)
        stream = w.pubsub_out
        assert (stream.received_bytes, stream.ended, stream.reset_code) == (negotiated, False, None)
        assert len(w.pubsub_in) == 1


@pytest.mark.rule("T4")
async def test_a_host_opens_one_stream_however_often_it_learns_that_pubsub_is_spoken(
    config, subscribe
):
    async with (
        Host(config=config(), params=CALM) as host,
        dial(host.addresses[0]) as w,
        dial(host.addresses[0]) as w_again,
    ):
        await w.serve_identify()
        await w_again.serve_identify()
        await subscribe(host, w)
        for each in (w, w_again):
            await each.push_identify(each.describe(PUBSUB))
            await each.ask_identify()
        assert len(w.pubsub_in) + len(w_again.pubsub_in) == 1


@pytest.mark.rule("WIRE-11")
@pytest.mark.parametrize("spoken", OFFERED)
async def test_the_first_protocol_the_peer_accepts_is_used(config, spoken):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        await w.serve_identify([spoken])
        assert (await w.wait_pubsub()).protocol == spoken
        with anyio.fail_after(4):
            while host.peers()[0].pubsub_protocol != spoken:
                await anyio.sleep(0.001)


@pytest.mark.rule("WIRE-10", "WIRE-21", "T14")
async def test_a_stream_that_was_reset_is_opened_again_ever_later_and_at_last_not(config):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        topics = [await host.join(name) for name in "ab"]
        async with topics[0].subscribe(), topics[1].subscribe():
            await w.serve_identify()
            opened: list[float] = []
            for count in range(1, 6):
                stream = await w.wait_pubsub(count)
                opened.append(anyio.current_time())
                hello = await w.receive_rpc_with(topics_in)
                assert topics_in(hello) == ["a", "b"]  # the whole of it, each time
                await stream.reset()
            pauses = [after - before for before, after in itertools.pairwise(opened)]
            assert pauses[0] < 0.1
            assert all(map(operator.ge, pauses, LEAST_PAUSES)), pauses
            with pytest.raises(WireTimeout):
                await w.wait_pubsub(6, timeout=0.9)
            await w.ping(1)


@pytest.mark.rule("WIRE-10")
async def test_a_stream_reset_while_it_is_negotiated_again_counts_as_a_try(config, subscribe):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        w.serve(PUBSUB[0], handler=w.read_pubsub)
        topic = await subscribe(host, w)
        await (await w.wait_pubsub()).reset()
        before = len(w.accepted)
        with anyio.fail_after(4):
            while topic.peers():  # until it is given up
                if len(w.accepted) > before and w.accepted[-1].reset_code is None:
                    before = len(w.accepted)
                    await w.accepted[-1].reset()
                await anyio.sleep(0.001)


@pytest.mark.rule("T3", "WIRE-10")
@pytest.mark.parametrize("breach", ["data", "end"])
async def test_a_peer_that_writes_on_or_closes_our_stream_gets_a_new_one(config, breach):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        await w.serve_identify()
        stream = await w.wait_pubsub()
        if breach == "data":
            await stream.write(b"x")
        else:
            await stream.finish()
        await stream.wait_reset()
        await w.wait_pubsub(2)


async def test_the_stream_moves_to_another_connection_when_its_own_ends(config, subscribe):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as second:
        topic = await host.join("a")
        async with topic.subscribe(), dial(host.addresses[0]) as third:
            await second.ping(1)
            await second.serve_identify()
            await third.serve_identify()
            await second.wait_pubsub()
            assert topics_in(await second.receive_rpc()) == ["a"]
            await second.wire.close()
            await third.wait_pubsub(timeout=4)
            assert topics_in(await third.receive_rpc()) == ["a"]
            with anyio.fail_after(4):
                while len(host.peers()) != 1:
                    await anyio.sleep(0.001)


# -- the peer's stream


@pytest.mark.rule("WIRE-09", "WIRE-21")
async def test_a_second_stream_replaces_the_first_and_what_was_said_there(config, subscribe):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        await w.serve_identify()
        topic = await subscribe(host, w, "a")
        first = w.pubsub_out
        other = await subscribe(host, w, "b")
        await first.wait_reset()
        assert other.peers() == (w.peer_id,)
        assert topic.peers() == ()


@pytest.mark.rule("WIRE-21")
@pytest.mark.parametrize("ending", ["finish", "reset"])
async def test_what_a_peer_announced_ends_with_its_stream(config, subscribe, ending):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        await w.serve_identify()
        topic = await subscribe(host, w)
        async with host.peer_events() as events:
            await getattr(w.pubsub_out, ending)()
            with anyio.fail_after(4):
                event = await anext(aiter(events))
            assert (event.kind.value, event.peer, event.topic) == (
                "topic_peer_leave",
                w.peer_id,
                "news",
            )
            assert topic.peers() == ()
            await w.open_pubsub()
            await w.send_rpc(subscription("news"))
            await until_peers(topic, 1)


@pytest.mark.rule("CONN-02", "WIRE-21")
async def test_a_stream_on_another_connection_leaves_what_was_said_on_the_first(config, subscribe):
    """Rust announces its topics on one of them, after simultaneous dials, and goes on on either."""
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0], seed=7) as w:
        await w.serve_identify()
        topic = await subscribe(host, w, "a")
        first = w.pubsub_out
        async with dial(host.addresses[0], seed=7) as again, topic.subscribe() as messages:
            await again.serve_identify()
            await again.open_pubsub()
            await first.wait_reset()
            await again.send_rpc(Rpc(publish=[signed(again, "a", 1)]))
            with anyio.fail_after(10):
                await anext(aiter(messages))
            assert topic.peers() == (w.peer_id,)
            await again.send_rpc(subscription("b"))  # not the first RPC of its stream: it adds
            await until_peers(await host.join("b"), 1, timeout=10)
            assert topic.peers() == (w.peer_id,)


@pytest.mark.rule("CONN-02", "WIRE-21")
async def test_a_hello_on_another_connection_tells_all_there_is(config, subscribe):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0], seed=7) as w:
        await w.serve_identify()
        topic = await subscribe(host, w, "a")
        other = await host.join("b")
        async with dial(host.addresses[0], seed=7) as again:
            await again.serve_identify()
            await again.open_pubsub()
            await again.send_rpc(subscription("b"))
            await until_peers(other, 1, timeout=10)
            assert topic.peers() == ()


@pytest.mark.rule("CONN-02", "WIRE-21")
async def test_what_was_announced_outlives_one_of_two_connections(config, subscribe):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0], seed=7) as w:
        await w.serve_identify()
        async with dial(host.addresses[0], seed=7) as again:
            await again.serve_identify()
            topic = await subscribe(host, again, "a")
        await w.open_pubsub()
        async with topic.subscribe() as messages:
            await w.send_rpc(Rpc(publish=[signed(w, "a", 1)]))
            with anyio.fail_after(10):
                await anext(aiter(messages))
        assert topic.peers() == (w.peer_id,)


@pytest.mark.rule("WIRE-21")
async def test_a_stream_that_is_closed_is_closed_back(config):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        await w.serve_identify()
        stream = await w.open_pubsub()
        negotiated = stream.received_bytes
        await stream.finish()
        assert len(await stream.read_to_end()) == 0
        assert stream.received_bytes == negotiated


@pytest.mark.rule("T15")
async def test_what_cannot_be_worked_on_yet_gets_no_credit(config):
    """Until the host's own stream stands, the peer's RPCs wait, within one window."""
    config = config(negotiation_timeout=20, identify_timeout=20, stalled_stream_timeout=20)
    async with Host(config=config, params=CALM) as host, dial(host.addresses[0]) as w:
        topic = await host.join("a")
        stream = await w.open_pubsub()
        await w.send_rpc(subscription("a"))
        filler = encode_frame(encode_rpc(Rpc(publish=[Message("b", bytes(10_000))])))
        with pytest.raises(WireTimeout):
            await stream.write(filler * 40, timeout=0.2)
        assert (stream.window, stream.credited_bytes, topic.peers()) == (0, 0, ())
        await w.serve_identify()
        await until_peers(topic, 1)
        await w.until(lambda: stream.credited_bytes > 0, "credit", 4)


# -- joining late, leaving, being gone


@pytest.mark.rule("WIRE-16")
async def test_of_peers_that_are_gone_nothing_is_kept(config, subscribe):
    def kept(kind):
        """Those that other tests have left behind are not meant."""
        return [each for each in gc.get_objects() if type(each) is kind and each not in before]

    before = [each for each in gc.get_objects() if type(each) in (Connection, PubsubPeer, Stream)]
    async with Host(config=config(), params=CALM) as host:
        topic = await host.join("news")
        topic.close()
        async with dial(host.addresses[0]) as w:
            await w.serve_identify()
            topic = await subscribe(host, w)
            async with topic.subscribe():
                for seed in range(2, 52):
                    async with dial(host.addresses[0], seed=seed) as gone:
                        await gone.serve_identify()
                        await gone.open_pubsub()
                        await gone.send_rpc(subscription("news"))
                        await until_peers(topic, 2)
                        await topic.publish(b"x")
                        await gone.receive_rpc_with(lambda rpc: rpc.publish)
                    await until_peers(topic, 1)
                with anyio.fail_after(20):  # the last one's connection ends behind its stream
                    while [info.peer for info in host.peers()] != [w.peer_id]:
                        await anyio.sleep(0.005)
                assert host.statistics().connections == 1
            gc.collect()
            assert (len(kept(Connection)), len(kept(PubsubPeer))) == (1, 1)
            assert len(kept(Stream)) <= 4


@pytest.mark.rule("WIRE-19")
async def test_a_deaf_peer_costs_the_others_no_time(config, subscribe):
    """It takes no credit away from them, nor does the publisher wait for it."""
    config = config(stalled_stream_timeout=100, write_timeout=100, outbound_queue_rpcs=64)
    async with (
        Host(config=config, params=CALM) as host,
        dial(host.addresses[0]) as deaf,
        dial(host.addresses[0], seed=2) as other,
    ):
        await deaf.serve_identify()
        await other.serve_identify()
        topic = await subscribe(host, deaf)
        await other.open_pubsub()
        await other.send_rpc(subscription("news"))
        await until_peers(topic, 2)
        deaf.stop_reading()
        received = 0
        with anyio.fail_after(20):  # waiting for it, a second each time, would take 32
            for _ in range(200):
                result = await topic.publish(bytes(50_000))
                assert other.peer_id in result.queued_to
                received += len((await other.receive_rpc()).publish)
        assert received == 200
        assert host.statistics().rpc_dropped > 100


async def test_a_host_and_a_peer_of_the_same_key_do_not_mix(config):
    async with Host(config=config(), key=key_of_seed(1)) as host, dial(host.addresses[0]) as w:
        await w.wait_ended(timeout=4)
        assert host.peers() == ()
