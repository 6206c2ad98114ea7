"""What signature policies put on the wire and take from it, between a host and a scripted peer."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from gossipsub import GossipParams, Host, SignaturePolicy, TopicParams
from gossipsub.conformance.scripted_peer import dial
from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.crypto.message_signing import sign_message, verify_message
from gossipsub.router.message_id import content_id
from gossipsub.wire.message_codec import encode_message
from gossipsub.wire.rpc import Message, Rpc, SubOpts

pytestmark = pytest.mark.anyio

AUTHOR = key_of_seed(77)
LAX = [SignaturePolicy.LAX_SIGN, SignaturePolicy.LAX_NO_SIGN]
WARNING = r"^the signature policy Lax(No)?Sign is a legacy one: "


def host_of(policy):
    params = GossipParams(signature_policy=policy, message_id=content_id)
    if not policy.is_lax:
        return Host(params=params)
    with pytest.warns(DeprecationWarning, match=WARNING):
        return Host(params=params)


async def meet(w, host):
    await w.serve_identify()
    await w.open_pubsub()
    await w.send_rpc(Rpc(subscriptions=[SubOpts("news")]))
    await w.wait_pubsub()
    with anyio.fail_after(10):
        while not host.peers() or host.peers()[0].topics != ("news",):
            await anyio.sleep(0.002)


async def published_to(w) -> Message:
    rpc = await w.receive_rpc_with(lambda rpc: rpc.publish)
    return rpc.publish[0]


@pytest.mark.rule("POL-04", "POL-05")
@pytest.mark.parametrize("policy", LAX)
async def test_unsigned_messages_are_accepted_and_wrong_signatures_are_not(policy):
    async with host_of(policy) as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        async with topic.subscribe() as messages:
            await meet(w, host)
            signed = sign_message(Message("news", b"signed", seqno=bytes(8)), AUTHOR)
            forged = replace(signed, data=b"forged", encoding=None)
            claimed = Message("news", b"claimed", AUTHOR.peer_id(), bytes(8))
            await w.send_rpc(Rpc(publish=[forged, Message("news", b"plain"), claimed, signed]))
            with anyio.fail_after(10):
                heard = [await anext(messages) for _ in range(3)]
            # An author that no signature proves is not told as the sender.
            assert [(message.data, message.sender) for message in heard] == [
                (b"plain", None),
                (b"claimed", None),
                (b"signed", AUTHOR.peer_id()),
            ]
            assert host.statistics().rejections == {"invalid signature": 1}


@pytest.mark.rule("POL-04", "POL-05")
@pytest.mark.parametrize("policy", LAX)
async def test_the_one_signs_and_the_other_only_tells_where_a_message_comes_from(policy):
    async with host_of(policy) as host, dial(host.addresses[0]) as w:
        topic = await host.join("news")
        await meet(w, host)
        await topic.publish(b"data")
        message = await published_to(w)
        assert (message.from_peer, len(message.seqno or b"")) == (host.peer_id, 8)
        assert verify_message(message) is (policy is SignaturePolicy.LAX_SIGN)
        assert (message.signature is None) is (policy is SignaturePolicy.LAX_NO_SIGN)


@pytest.mark.rule("POL-07")
async def test_an_anonymous_message_is_its_data_and_topic_on_the_wire_and_nothing_more():
    async with (
        host_of(SignaturePolicy.STRICT_NO_SIGN) as author,
        host_of(SignaturePolicy.STRICT_NO_SIGN) as relay,
        dial(author.addresses[0], seed=1) as first,
        dial(relay.addresses[0], seed=2) as second,
    ):
        topic = await author.join("news")
        other = await relay.join("news")
        await meet(first, author)
        await meet(second, relay)
        await author.connect(relay.addresses[0])
        async with other.subscribe() as messages:
            await topic.wait_for_peers(2, timeout=10)
            await topic.publish(b"data")
            bare = encode_message(Message("news", b"data"))
            assert bare == b"\x12\x04data\x22\x04news"
            assert (await published_to(first)).encoding == bare
            assert (await published_to(second)).encoding == bare
            with anyio.fail_after(10):
                assert (await anext(messages)).sender is None


@pytest.mark.rule("POL-04")
async def test_a_topic_of_its_own_lax_policy_gives_the_warning_too():
    lax = TopicParams(signature_policy=SignaturePolicy.LAX_SIGN)
    with pytest.warns(DeprecationWarning, match=WARNING):
        Host(params=GossipParams(topics={"news": lax}))
    async with Host() as host:
        with pytest.warns(DeprecationWarning, match=WARNING):
            await host.join("news", lax)
        with pytest.warns(DeprecationWarning, match=WARNING):
            host.set_topic_params("other", lax)
