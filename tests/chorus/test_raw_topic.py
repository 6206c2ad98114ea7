from __future__ import annotations

import json
import logging

import anyio
import pytest

from gossipsub import Host, PeerId, ReceivedMessage
from gossipsub.chorus import (
    ChorusPubSub,
    Envelope,
    EnvelopeLimits,
    GossipPublisher,
    MessageType,
    RefusalReason,
    Timestamp,
)
from gossipsub.chorus.topics import HMMM_TOPIC
from gossipsub.wire.errors import LocalProtocolError
from tests.chorus.agents import NOW_TEXT, PATIENCE, StarRedactor, two_agents

pytestmark = pytest.mark.anyio

ROOM = "CHORUS/meta/issue/42"


class Room:
    """A handler of raw messages that keeps what it gets and can be waited for."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, PeerId]] = []

    def __call__(self, payload: bytes, sender: PeerId) -> None:
        self.got.append((payload, sender))

    async def wait(self, count: int = 1) -> list[bytes]:
        with anyio.fail_after(PATIENCE):
            while len(self.got) < count:
                await anyio.sleep(0.005)
        return [payload for payload, _ in self.got]


async def test_a_room_carries_what_it_is_given() -> None:
    async with two_agents() as (alice, bob):
        room, own = Room(), Room()
        await bob.subscribe_raw_topic(ROOM, room)
        await alice.subscribe_raw_topic(ROOM, own)
        await alice.wait_for_peers(1, timeout=PATIENCE, topic=ROOM)
        payload = json.dumps({"type": "issue_discussion", "issue_id": 42}).encode()
        for said in (payload, b"no json \xff"):
            await alice.publish_raw(ROOM, said)
        assert await room.wait(2) == [payload, b"no json \xff"]
        assert room.got[0][1] == alice.host.peer_id
        assert own.got == []
        statistics = bob.statistics().topics[ROOM]
        assert (statistics.handled, statistics.own) == (2, 0)
        said = alice.statistics().topics[ROOM]
        assert (said.published, said.own, said.handled) == (2, 2, 0)


async def test_hmmms_adapter_joins_the_room_and_publishes() -> None:
    """The order of the document's example: publish first, subscribe afterwards."""
    async with two_agents(redactor=StarRedactor()) as (alice, bob):
        adapter, other = GossipPublisher(alice), GossipPublisher(bob)
        await adapter.publish(ROOM, b'{"message": "nobody hears it"}')
        room = Room()
        await other.publish(ROOM, b"{}")
        await bob.subscribe_raw_topic(ROOM, room)
        await alice.wait_for_peers(1, timeout=PATIENCE, topic=ROOM)
        await adapter.publish(ROOM, b'{"message": "API design looks good"}')
        await adapter.publish(ROOM, b'{"message": "secret"}')
        heard = (await room.wait(2))[-2:]
        assert heard == [b'{"message": "API design looks good"}', b'{"message":"***"}']


async def test_hmmms_adapter_leaves_a_topic_of_envelopes_what_it_is() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        await chorus.join_dynamic_topic("custom")
        with pytest.raises(LocalProtocolError, match=r"^the topic carries envelopes, and this is"):
            await GossipPublisher(chorus).publish("custom", b"{}")
        await chorus.publish_to_dynamic_topic("custom", MessageType.STATUS_UPDATE, {"status": "ok"})
        own = Envelope("x", str(host.peer_id), Timestamp(NOW_TEXT), {})
        await GossipPublisher(chorus).publish("custom", own.encode())
        assert (chorus.is_joined("custom"), chorus.is_joined(ROOM)) == (True, False)


async def test_whoever_joins_a_room_by_its_name_joins_it_as_such() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        await chorus.join_dynamic_topic(ROOM)
        await chorus.publish_raw(ROOM, b"anything")
        with pytest.raises(LocalProtocolError) as raised:
            await chorus.publish_to_dynamic_topic(ROOM, MessageType.STATUS_UPDATE, {})
        assert str(raised.value) == f"the topic has a schema of its own: {ROOM}"
        with pytest.raises(LocalProtocolError):
            chorus.set_dynamic_handler(ROOM, None)


async def test_a_topic_of_envelopes_becomes_a_room() -> None:
    async with two_agents() as (alice, bob):
        for agent in (alice, bob):
            await agent.join_dynamic_topic("custom")
        with pytest.raises(LocalProtocolError, match=r"^the topic carries envelopes, and this is"):
            await alice.publish_raw("custom", b'{"any": "thing"}')
        room = Room()
        await bob.subscribe_raw_topic("custom", room)
        await alice.join_raw_topic("custom")
        await alice.wait_for_peers(1, timeout=PATIENCE, topic="custom")
        await alice.publish_raw("custom", b'{"any": "thing"}')
        assert await room.wait() == [b'{"any": "thing"}']


async def test_an_envelope_of_this_agent_may_be_published_raw_to_a_topic_of_envelopes() -> None:
    async with two_agents() as (alice, bob):
        got: list[Envelope] = []
        bob.set_hmmm_message_handler(lambda envelope, sender: got.append(envelope))
        own = Envelope("praise", str(alice.host.peer_id), Timestamp(NOW_TEXT), {"of": "bob"})
        await alice.publish_raw(HMMM_TOPIC, own.encode())
        with anyio.fail_after(PATIENCE):
            while not got:
                await anyio.sleep(0.005)
        assert got == [own]
        with pytest.raises(LocalProtocolError, match=r"^the envelope is from another agent$"):
            await bob.publish_raw(HMMM_TOPIC, own.encode())


async def test_what_is_too_large_is_not_sent_and_of_others_ignored() -> None:
    small = EnvelopeLimits(max_bytes=400)
    async with two_agents(each=[{}, {"limits": small}]) as (alice, bob):
        room = Room()
        await alice.join_raw_topic(ROOM)
        await bob.subscribe_raw_topic(ROOM, room)
        await alice.wait_for_peers(1, timeout=PATIENCE, topic=ROOM)
        await alice.publish_raw(ROOM, b"x" * 401)
        await alice.publish_raw(ROOM, b"x" * 400)
        assert await room.wait() == [b"x" * 400]
        assert bob.statistics().refused == {RefusalReason.TOO_LARGE: 1}
        assert bob.host.statistics().rejections == {"validation ignored": 1}
        with pytest.raises(
            LocalProtocolError, match=r"^the payload has 401 bytes, the limit is 400$"
        ):
            await bob.publish_raw(ROOM, b"x" * 401)
        with pytest.raises(LocalProtocolError, match=r"^a raw payload is bytes, not of type str$"):
            await bob.publish_raw(ROOM, "x")  # type: ignore[arg-type]


async def test_a_failing_handler_of_a_room_is_logged_and_gets_the_next_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = Room()

    async def fragile(payload: bytes, sender: PeerId) -> None:
        room(payload, sender)
        raise RuntimeError("no")

    async with two_agents() as (alice, bob):
        await alice.join_raw_topic(ROOM)
        await bob.subscribe_raw_topic(ROOM, fragile)
        await alice.wait_for_peers(1, timeout=PATIENCE, topic=ROOM)
        for payload in (b"1", b"2"):
            await alice.publish_raw(ROOM, payload)
        assert await room.wait(2) == [b"1", b"2"]
        with pytest.raises(LocalProtocolError, match=r"^a handler is a function, not of type int$"):
            await bob.subscribe_raw_topic(ROOM, 3)  # type: ignore[arg-type]
        await bob.subscribe_raw_topic(ROOM, None)
        await alice.publish_raw(ROOM, b"3")
        with anyio.fail_after(PATIENCE):
            while not bob.statistics().topics[ROOM].unhandled:
                await anyio.sleep(0.005)
        assert bob.statistics().topics[ROOM].handler_errors == 2
    errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert [error.endswith(f"fragile type={ROOM}") for error in errors] == [True, True]


async def test_what_came_into_a_room_is_no_envelope_when_the_room_has_become_a_topic_of_them() -> (
    None
):
    there, go_on = anyio.Event(), anyio.Event()

    async with two_agents() as (alice, bob):

        async def wait(message: ReceivedMessage) -> bool:
            if message.topic == "room" and message.received_from != bob.host.peer_id:
                there.set()
                await go_on.wait()
            return True

        bob.host.add_default_validator(wait)
        for agent in (alice, bob):
            await agent.join_raw_topic("room")
        await alice.wait_for_peers(1, timeout=PATIENCE, topic="room")
        await alice.publish_raw("room", b"no envelope")
        with anyio.fail_after(PATIENCE):
            await there.wait()
            bob.leave_dynamic_topic("room")
            await bob.join_dynamic_topic("room")
            go_on.set()
            while not bob.dead_letters():
                await anyio.sleep(0.005)
        assert bob.statistics().refused == {RefusalReason.NOT_JSON: 1}
