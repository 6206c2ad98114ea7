"""What keeps peers out: blocking, filters, the inspector, as a host's user meets them."""

from __future__ import annotations

import anyio
import pytest

from gossipsub import (
    DialError,
    GossipParams,
    Host,
    LocalProtocolError,
    PeerGaterParams,
    allow_matching,
    allow_topics,
)
from gossipsub.conformance.scripted_peer import PUBSUB, dial
from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.crypto.message_signing import sign_message
from gossipsub.wire.rpc import Control, Graft, Message, Rpc, SubOpts

pytestmark = pytest.mark.anyio

AUTHOR = key_of_seed(77)


def signed(number: int, author=AUTHOR) -> Message:
    message = Message("news", b"%d" % number, seqno=number.to_bytes(8, "big"))
    return sign_message(message, author)


async def until(condition):
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.002)


async def next_of(messages):
    with anyio.fail_after(20):
        return await anext(messages)


async def meet(w, *topics):
    await w.serve_identify()
    await w.open_pubsub()
    await w.send_rpc(Rpc(subscriptions=[SubOpts(topic) for topic in topics]))
    await w.wait_pubsub()


@pytest.mark.rule("VAL-15")
async def test_a_blocked_peer_is_cut_off_and_may_come_back_when_it_is_let():
    async with Host() as host, Host() as peer:
        await host.connect(peer.addresses[0])
        assert host.blocked() == ()
        host.block(str(peer.peer_id))
        assert host.blocked() == (peer.peer_id,)
        await until(lambda: host.peers() == peer.peers() == ())
        with pytest.raises(DialError, match=r": the peer is blocked$"):
            await host.connect(peer.addresses[0])
        with pytest.raises(DialError, match=r": the peer is blocked$"):
            await host.connect(peer.addresses[0].split("/p2p/")[0])
        # The peer cannot tell in the handshake that it is not wanted.
        await peer.connect(host.addresses[0])
        await until(lambda: peer.peers() == ())
        assert host.peers() == ()
        assert host.unblock(peer.peer_id)
        assert not host.unblock(peer.peer_id)
        await host.connect(peer.addresses[0])
        assert [info.peer for info in host.peers()] == [peer.peer_id]


@pytest.mark.rule("VAL-15")
async def test_a_peer_that_comes_back_before_its_old_connection_is_gone_takes_part_again():
    async with Host() as host, dial(host.addresses[0], seed=5) as old:
        topic = await host.join("news")

        async def never_end(stream):
            await anyio.sleep_forever()

        old.serve(*PUBSUB, handler=never_end)  # so that cutting it off takes its time
        await old.accept_stream()
        await old.open_pubsub()
        await old.send_rpc(Rpc(subscriptions=[SubOpts("news")]))
        await until(lambda: topic.peers() == (old.peer_id,))
        host.block(old.peer_id)
        host.unblock(old.peer_id)
        async with dial(host.addresses[0], seed=5) as new:
            await new.serve_identify()
            await new.open_pubsub()
            await new.send_rpc(Rpc(subscriptions=[SubOpts("news")]))
            assert host.statistics().connections == 2
            await until(lambda: host.statistics().connections == 1)
            await until(lambda: topic.peers() == (new.peer_id,))


@pytest.mark.rule("VAL-15")
async def test_a_block_for_some_time_ends_by_itself():
    async with Host() as host, Host() as peer:
        host.block(peer.peer_id)
        host.block(peer.peer_id, seconds=0.05)
        assert host.blocked() == (peer.peer_id,)
        await until(lambda: host.blocked() == ())
        await host.connect(peer.addresses[0])


@pytest.mark.rule("VAL-15")
async def test_messages_a_blocked_peer_wrote_are_taken_from_nobody():
    async with Host() as host, dial(host.addresses[0]) as w:
        host.block(AUTHOR.peer_id())
        topic = await host.join("news")
        async with topic.subscribe() as messages:
            await meet(w)
            await w.send_rpc(Rpc(publish=[signed(1), signed(2, key_of_seed(78))]))
            assert (await next_of(messages)).data == b"2"
            assert host.statistics().rejections == {"blacklisted source": 1}


async def test_what_cannot_be_blocked():
    async with Host() as host:
        with pytest.raises(LocalProtocolError, match=r"^a host cannot block itself$"):
            host.block(host.peer_id)
        with pytest.raises(LocalProtocolError, match=r"^seconds must be positive: 0$"):
            host.block(AUTHOR.peer_id(), seconds=0)
        with pytest.raises(LocalProtocolError, match=r"^a peer is a PeerId or its text: None$"):
            host.block(None)
        assert host.blocked() == ()


@pytest.mark.rule("FILT-01", "FILT-02")
@pytest.mark.parametrize("allows", [allow_topics(["news"]), allow_matching("ne.*")])
async def test_a_host_takes_note_only_of_topics_it_allows_and_keeps_to_them_itself(allows):
    params = GossipParams(subscription_filter=allows)
    async with Host(params=params) as host, dial(host.addresses[0]) as w:
        forbidden, news = await host.join("other"), await host.join("news")
        await meet(w, "other", "news")
        await until(lambda: host.peers()[0].topics == ("news",))
        with pytest.raises(
            LocalProtocolError, match=r"^the subscription filter forbids the topic: other$"
        ):
            async with forbidden.subscribe():
                pass
        async with news.subscribe():
            rpc = await w.receive_rpc()
            assert rpc.subscriptions == (SubOpts("news"),)
        forbidden.close()


@pytest.mark.rule("VAL-17", "SUB-10")
async def test_an_inspector_and_a_peer_filter_belong_to_the_parameters():
    def inspector(peer, rpc):
        return not any(option.topic == "spam" for option in rpc.subscriptions)

    params = GossipParams(
        inspector=inspector,
        peer_filter=lambda peer, topic: topic != "news",
        gater=PeerGaterParams(),
    )
    async with Host(params=params) as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        async with topic.subscribe() as messages:
            await meet(w, "news", "spam")
            control = Control(graft=[Graft("news")])
            await w.send_rpc(Rpc([SubOpts("news")], [signed(1)], control))
            assert (await next_of(messages)).data == b"1"
            assert (host.peers()[0].topics, topic.mesh()) == (("news",), ())
