"""Messages signed now and sent later, kept and proved, between two hosts on loopback."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest

from gossipsub import (
    GossipParams,
    Host,
    LocalProtocolError,
    PrivateKey,
    RemoteProtocolError,
    SignaturePolicy,
    SignedMessage,
    UnsentReason,
)
from gossipsub.wire.rpc import Message
from gossipsub.wire.rpc_codec import encode_message


@asynccontextmanager
async def two_hosts(**options):
    async with Host(**options) as a, Host(**options) as b:
        await a.connect(b.addresses[0])
        yield a, b


@pytest.mark.anyio
async def test_what_was_signed_is_sent_as_it_was_signed_and_only_once():
    async with two_hosts() as (a, b):
        here, there = await a.join("news"), await b.join("news")
        async with there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=10)
            signed = here.sign(b"hello")
            assert (signed.topic, signed.data, signed.sender) == ("news", b"hello", a.peer_id)
            result = await here.publish_signed(SignedMessage.decode(signed.encoded))
            assert result.queued_to == (b.peer_id,)
            with anyio.fail_after(10):
                message = await anext(theirs)
            assert (message.message_id, message.seqno) == (result.message_id, signed.seqno)
            assert message.signed == signed
            assert message.signed.is_genuine()
            again = await here.publish_signed(signed)
            assert again.reason is UnsentReason.DUPLICATE


@pytest.mark.anyio
async def test_a_host_sends_what_it_signed_in_an_earlier_life():
    key = PrivateKey.generate()
    async with Host(key=key) as host:
        signed = (await host.join("news")).sign(b"before")
    async with Host(key=key) as a, Host() as b:
        await a.connect(b.addresses[0])
        here, there = await a.join("news"), await b.join("news")
        async with there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=10)
            await here.publish_signed(signed)
            with anyio.fail_after(10):
                assert (await anext(theirs)).signed == signed


@pytest.mark.anyio
async def test_only_a_hosts_own_messages_of_that_topic_are_sent():
    async with two_hosts() as (a, b):
        news, sports = await a.join("news"), await a.join("sports")
        foreign = (await b.join("news")).sign(b"foreign")
        own = news.sign(b"own")
        bent = own.encoded.replace(b"own", b"one")
        with pytest.raises(LocalProtocolError, match="own signature"):
            await news.publish_signed(foreign)
        with pytest.raises(LocalProtocolError, match="own signature"):
            await news.publish_signed(SignedMessage.decode(bent))
        with pytest.raises(LocalProtocolError, match="for news, not for sports"):
            await sports.publish_signed(own)
        with pytest.raises(LocalProtocolError, match="must be bytes"):
            news.sign("text")  # type: ignore[arg-type]
        news.close()
        with pytest.raises(LocalProtocolError, match="closed"):
            await news.publish_signed(own)
        with pytest.raises(LocalProtocolError, match="closed"):
            news.sign(b"late")


@pytest.mark.anyio
async def test_a_validator_may_refuse_it():
    async with Host() as host:
        host.set_validator("news", lambda message: message.data != b"bad")
        topic = await host.join("news")
        with pytest.raises(LocalProtocolError, match="news"):
            await topic.publish_signed(topic.sign(b"bad"))
        host.set_validator("news", None)
        host.set_validator("news", lambda message: False, own=False)
        host.add_default_validator(lambda message: False, own=False)
        await topic.publish_signed(topic.sign(b"bad"))


@pytest.mark.anyio
async def test_messages_without_signature_are_none():
    params = GossipParams(
        signature_policy=SignaturePolicy.STRICT_NO_SIGN,
        message_id=lambda message: message.data or b"",
    )
    async with two_hosts(params=params) as (a, b):
        here, there = await a.join("news"), await b.join("news")
        with pytest.raises(LocalProtocolError, match="not signed"):
            here.sign(b"hello")
        async with there.subscribe() as theirs:
            await here.wait_for_peers(1, timeout=10)
            await here.publish(b"hello")
            with anyio.fail_after(10):
                assert (await anext(theirs)).signed is None


@pytest.mark.parametrize(
    "encoded",
    [b"", b"\xff", b"\x0a\x05ab", encode_message(Message("news", b"unsigned"))],
    ids=["empty", "no field", "cut short", "unsigned"],
)
def test_what_is_no_signed_message_is_refused(encoded):
    with pytest.raises(RemoteProtocolError) as refused:
        SignedMessage.decode(encoded)
    assert refused.value.fatal_to == "message"
