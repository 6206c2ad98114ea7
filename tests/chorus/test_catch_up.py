from __future__ import annotations

from typing import Any

import anyio
import pytest

from gossipsub import Host, ReceivedMessage, SignedMessage
from gossipsub.chorus import (
    ChorusPubSub,
    Delivery,
    Envelope,
    EnvelopeLimits,
    MalformedEnvelope,
    RefusalReason,
    Timestamp,
    current_delivery,
)
from gossipsub.chorus.caught_up import MAX_WAITING, MAX_WAITING_BYTES, CaughtUp
from gossipsub.chorus.topics import COORDINATION_TOPIC
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.rpc import Message
from tests.chorus.agents import NOW_TEXT, PATIENCE, Collector, ListLogger, agent_and_outsider

pytestmark = pytest.mark.anyio

KEY = PrivateKey.generate()


def old(
    number: int = 0, *, topic: str = COORDINATION_TOPIC, key: PrivateKey = KEY, **fields: Any
) -> SignedMessage:
    """What an agent signed that is not here any more."""
    sender = fields.pop("sender", str(key.peer_id()))
    envelope = Envelope("task_claim", sender, Timestamp(NOW_TEXT), {"task_id": str(number)})
    data = fields.pop("data", envelope.encode())
    message = sign_message(Message(topic, data, seqno=number.to_bytes(8)), key)
    return SignedMessage.decode(SignedMessage(message).encoded)


async def test_an_old_message_is_logged_told_and_handed_over_once_as_old_news() -> None:
    log, got, seen, at_handling = ListLogger(), Collector(), list[Delivery](), list[Any]()

    def handle(envelope: Envelope, sender: PeerId) -> None:
        at_handling.append(current_delivery())
        got(envelope, sender)

    async with Host() as host, ChorusPubSub(host, logger=log, clock=lambda: 5) as chorus:
        chorus.add_observer(seen.append)
        chorus.set_bzzz_message_handler(handle)
        assert chorus.catch_up(old())
        assert not chorus.catch_up(old())
        ((envelope, sender),) = await got.wait()
        assert (envelope.data, sender) == ({"task_id": "0"}, KEY.peer_id())
        assert seen == [Delivery(envelope, COORDINATION_TOPIC, sender, old(), 5, is_caught_up=True)]
        assert at_handling == seen
        assert [signed for *_, signed in log.entries] == [old()]
        assert chorus.statistics().topics[COORDINATION_TOPIC].handled == 1
    assert current_delivery() is None


async def test_whichever_way_a_message_comes_first_it_is_heard_once() -> None:
    async with agent_and_outsider() as (_, chorus, outsider):
        told, got = list[Delivery](), Collector()
        chorus.add_observer(told.append)
        chorus.set_bzzz_message_handler(got)
        first, second = (outsider.sign(outsider.envelope()) for _ in range(2))
        await outsider.publish_signed(first)
        await got.wait()
        assert not chorus.catch_up(first)
        assert chorus.catch_up(second)
        await got.wait(2)
        await outsider.publish_signed(second)
        with anyio.fail_after(PATIENCE):
            while not chorus.statistics().topics[COORDINATION_TOPIC].repeated:
                await anyio.sleep(0.01)
        assert [delivery.signed for delivery in told] == [first, second]
        assert [delivery.is_caught_up for delivery in told] == [False, True]
        assert len(got.got) == 2


async def test_own_old_messages_are_logged_and_told_and_not_handed_over() -> None:
    async with Host(key=KEY) as host, ChorusPubSub(host) as chorus:
        got, seen = Collector(), list[Delivery]()
        chorus.add_observer(seen.append)
        chorus.set_bzzz_message_handler(got)
        assert chorus.catch_up(old())
        other = PrivateKey.generate()
        assert chorus.catch_up(old(key=other))
        ((_, sender),) = await got.wait()
        assert sender == other.peer_id()
        assert [(d.is_own, d.is_caught_up) for d in seen] == [(True, True), (False, True)]


def forged() -> SignedMessage:
    genuine = old()
    wire = genuine.wire
    return SignedMessage(
        Message(
            wire.topic,
            (wire.data or b"") + b" ",
            from_peer=wire.from_peer,
            seqno=wire.seqno,
            signature=wire.signature,
            key=wire.key,
        )
    )


@pytest.mark.parametrize(
    ("signed", "reason"),
    [
        (forged(), None),
        (old(topic="CHORUS/tasks/1/v1"), None),
        (old(topic="CHORUS/meta/issue/1"), None),
        (old(data=b"no json"), RefusalReason.NOT_JSON),
        (old(data=b"{}" + b" " * 1000), RefusalReason.TOO_LARGE),
        (old(sender="somebody else"), RefusalReason.IMPERSONATION),
    ],
)
async def test_what_is_refused_when_it_arrives_is_refused_when_it_is_old(
    signed: SignedMessage, reason: RefusalReason | None
) -> None:
    limits = EnvelopeLimits(max_bytes=1000)
    async with Host() as host, ChorusPubSub(host, limits=limits) as chorus:
        await chorus.join_issue_topic(1)
        seen = list[Delivery]()
        chorus.add_observer(seen.append)
        assert not chorus.catch_up(signed)
        assert chorus.statistics().refused == ({reason: 1} if reason else {})
        assert seen == []


async def test_checks_are_asked_about_old_news_but_for_those_of_live_messages() -> None:
    def forbid_seven(envelope: Envelope, message: ReceivedMessage) -> None:
        assert (message.topic, message.sender) == (COORDINATION_TOPIC, KEY.peer_id())
        if envelope.data == {"task_id": "7"}:
            raise MalformedEnvelope(RefusalReason.FORBIDDEN, "seven")

    def too_many(envelope: Envelope, message: ReceivedMessage) -> None:
        raise MalformedEnvelope(RefusalReason.RATE_LIMIT, "too many")

    async with Host() as host, ChorusPubSub(host) as chorus:
        chorus.add_check(forbid_seven)
        chorus.add_check(too_many, live_only=True)
        assert chorus.catch_up(old(6))
        assert not chorus.catch_up(old(7))
        assert chorus.statistics().refused == {RefusalReason.FORBIDDEN: 1}


async def test_old_news_wait_their_turn_and_a_handler_that_hangs_refuses_them_at_last() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        release, got = anyio.Event(), Collector()

        async def slow(envelope: Envelope, sender: PeerId) -> None:
            await release.wait()
            got(envelope, sender)

        chorus.set_bzzz_message_handler(slow)
        for number in range(5):
            assert chorus.catch_up(old(number))
        release.set()
        numbers = [(envelope.data or {})["task_id"] for envelope, _ in await got.wait(5)]
        assert numbers == ["0", "1", "2", "3", "4"]


async def test_the_queue_is_bounded_in_number_and_in_bytes() -> None:
    small, large = old(), old(data=b"x" * (MAX_WAITING_BYTES // 2))
    queue = CaughtUp()
    queue.put(large)
    assert queue.has_room_for(large)
    queue.put(large)
    assert not queue.has_room_for(small)
    assert await queue.next() is large
    assert queue.has_room_for(small)
    queue = CaughtUp()
    assert queue.has_room_for(old(data=b"x" * (MAX_WAITING_BYTES + 1)))
    for _ in range(MAX_WAITING):
        assert queue.has_room_for(small)
        queue.put(small)
    assert not queue.has_room_for(small)
    queue.end()
    assert await queue.next() is None
    assert not queue.has_room_for(small)


async def test_leaving_a_topic_drops_old_news_that_wait() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        await chorus.join_task_topic("1")
        got = Collector()
        chorus.set_dynamic_handler("CHORUS/tasks/1/v1", got)
        chorus.set_bzzz_message_handler(got)
        assert chorus.catch_up(old(topic="CHORUS/tasks/1/v1"))
        chorus.leave_dynamic_topic("CHORUS/tasks/1/v1")
        assert not chorus.catch_up(old(1, topic="CHORUS/tasks/1/v1"))
        assert chorus.catch_up(old(2))
        ((envelope, _),) = await got.wait()
        assert envelope.data == {"task_id": "2"}
