from __future__ import annotations

import logging

import anyio
import anyio.lowlevel
import pytest

from gossipsub import Host
from gossipsub.chorus import (
    ChorusPubSub,
    Envelope,
    MessageType,
    RefusalReason,
    Timestamp,
    TopicStatistics,
)
from gossipsub.chorus.message_type import CONTEXT_TYPES, COORDINATION_TYPES, HMMM_TOPIC_TYPES
from gossipsub.chorus.topics import CONTEXT_TOPIC, COORDINATION_TOPIC, HMMM_TOPIC
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError
from tests.chorus.agents import (
    NOW,
    NOW_TEXT,
    PATIENCE,
    Collector,
    agent_and_outsider,
    two_agents,
)

pytestmark = pytest.mark.anyio

ENOUGH = {
    "task_id": "1",
    "reason": "stuck",
    "question": "why?",
    "status": "idle",
    "topic": "testing",
    "project_id": "p",
    "deliverable": "report",
    "context_path": "/x",
    "relevance_score": 0.5,
    "event_id": "e",
}
"""What the types need, together; each takes fields it does not know."""
NOTHING = TopicStatistics(0, 0, 0, 0, 0, 0, 0)


# Publishing and handling


async def test_an_agents_message_reaches_the_other_agents_handler_whole() -> None:
    async with two_agents(clock=lambda: NOW) as (alice, bob):
        got = Collector()
        bob.set_bzzz_message_handler(got)
        data = {"task_id": "task-123", "capabilities": ["deployment", "kubernetes"]}
        result = await alice.publish_bzzz_message(MessageType.TASK_ANNOUNCEMENT, data)
        ((envelope, sender),) = await got.wait()
        assert envelope == Envelope(
            MessageType.TASK_ANNOUNCEMENT, str(sender), Timestamp(NOW_TEXT), data
        )
        assert len(result.queued_to) == 1
        assert str(result.queued_to[0]) != str(sender)


async def test_every_message_type_travels_on_its_topic() -> None:
    async with two_agents() as (alice, bob):
        bzzz, hmmm, context = Collector(), Collector(), Collector()
        bob.set_bzzz_message_handler(bzzz)
        bob.set_hmmm_message_handler(hmmm)
        bob.set_context_feedback_handler(context)
        for kind in COORDINATION_TYPES:
            await alice.publish_bzzz_message(kind, ENOUGH)
        for kind in HMMM_TOPIC_TYPES:
            await alice.publish_hmmm_message(kind, ENOUGH)
        for kind in CONTEXT_TYPES:
            await alice.publish_context_feedback_message(kind, ENOUGH)
        for collector, kinds in (
            (bzzz, COORDINATION_TYPES),
            (hmmm, HMMM_TOPIC_TYPES),
            (context, CONTEXT_TYPES),
        ):
            got = await collector.wait(len(kinds))
            assert [envelope.type for envelope, _ in got] == list(kinds)
        topics = bob.statistics().topics
        assert {name: topic.handled for name, topic in topics.items()} == {
            COORDINATION_TOPIC: 6,
            HMMM_TOPIC: 20,
            CONTEXT_TOPIC: 5,
        }
        assert bob.statistics().refused == {}


async def test_a_type_of_another_topic_is_an_error_and_nothing_is_sent() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        for publish, kind, message in (
            (
                chorus.publish_bzzz_message,
                MessageType.STATUS_UPDATE,
                "publish_bzzz_message does not take status_update, but publish_hmmm_message does",
            ),
            (
                chorus.publish_hmmm_message,
                MessageType.TASK_CLAIM,
                "publish_hmmm_message does not take task_claim, but publish_bzzz_message does",
            ),
            (
                chorus.publish_context_feedback_message,
                MessageType.SLURP_EVENT_ACK,
                "publish_context_feedback_message does not take slurp_event_ack, but "
                "publish_hmmm_message does",
            ),
            (chorus.publish_bzzz_message, "task_stolen", "not a message type: 'task_stolen'"),
            (chorus.publish_bzzz_message, None, "not a message type: NoneType"),
        ):
            with pytest.raises(LocalProtocolError) as raised:
                await publish(kind, {})  # type: ignore[arg-type]
            assert str(raised.value) == message
        assert host.statistics().published == 0


async def test_data_that_cannot_be_encoded_is_an_error_and_nothing_is_sent() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        with pytest.raises(LocalProtocolError, match=r"^JSON has no form for bytes$"):
            await chorus.publish_hmmm_message(MessageType.META_DISCUSSION, {"raw": b""})
        assert host.statistics().published == 0
        assert chorus.statistics().topics[HMMM_TOPIC] == NOTHING


async def test_an_agents_own_messages_are_not_handed_to_its_handlers() -> None:
    async with two_agents() as (alice, bob):
        got = Collector()
        alice.set_bzzz_message_handler(got)
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1", "by": "alice"})
        await bob.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1", "by": "bob"})
        assert [envelope.data for envelope, _ in await got.wait()] == [
            {"task_id": "1", "by": "bob"}
        ]
        assert alice.statistics().topics[COORDINATION_TOPIC] == TopicStatistics(
            published=1, own=1, handled=1, unhandled=0, handler_errors=0, dropped=0, waiting=0
        )


async def test_a_handler_of_a_type_goes_before_the_one_of_the_topic() -> None:
    async with two_agents() as (alice, bob):
        claims, others = Collector(), Collector()
        bob.set_bzzz_message_handler(claims, MessageType.CAPABILITY_BCAST)
        bob.set_bzzz_message_handler(others)
        await alice.publish_bzzz_message(MessageType.CAPABILITY_BCAST, None)
        await alice.publish_bzzz_message(MessageType.TASK_PROGRESS, ENOUGH)
        assert [envelope.type for envelope, _ in await others.wait()] == ["task_progress"]
        assert [envelope.data for envelope, _ in claims.got] == [None]


async def test_a_message_without_handler_is_counted() -> None:
    async with two_agents() as (alice, bob):
        claims = Collector()
        bob.set_bzzz_message_handler(claims, [MessageType.TASK_CLAIM])
        await alice.publish_bzzz_message(MessageType.TASK_PROGRESS, ENOUGH)
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, ENOUGH)
        await claims.wait()
        assert bob.statistics().topics[COORDINATION_TOPIC].unhandled == 1


async def test_a_failing_handler_is_logged_and_gets_the_next_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    got = Collector()

    async def fragile(envelope: Envelope, sender: PeerId) -> None:
        got(envelope, sender)
        if len(got.got) == 1:
            raise RuntimeError("first")

    async with two_agents() as (alice, bob):
        bob.set_hmmm_message_handler(fragile)
        await alice.publish_hmmm_message(MessageType.TASK_HELP_REQUEST, {})
        await alice.publish_hmmm_message(MessageType.TASK_HELP_RESPONSE, {})
        await got.wait(2)
        topic = bob.statistics().topics[HMMM_TOPIC]
        assert topic.handler_errors == 1
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.name == "gossipsub.chorus.handlers"
    assert record.getMessage().endswith(".fragile type=task_help_request")


async def test_a_handler_that_hangs_stops_its_own_topic_only_and_its_losses_are_counted() -> None:
    entered, release = anyio.Event(), anyio.Event()

    async def hanging(envelope: Envelope, sender: PeerId) -> None:
        entered.set()
        await release.wait()

    async with two_agents(buffer=2) as (alice, bob):
        bob.set_bzzz_message_handler(hanging)
        others = Collector()
        bob.set_hmmm_message_handler(others)
        await alice.publish_bzzz_message(MessageType.TASK_PROGRESS, ENOUGH)
        with anyio.fail_after(PATIENCE):
            await entered.wait()
        for number in range(5):
            await alice.publish_bzzz_message(MessageType.TASK_PROGRESS, {"task_id": number})
        await alice.publish_hmmm_message(MessageType.META_DISCUSSION, {})
        await others.wait()
        assert bob.statistics().topics[COORDINATION_TOPIC] == TopicStatistics(
            published=0, own=0, handled=0, unhandled=0, handler_errors=0, dropped=3, waiting=2
        )
        release.set()


async def test_own_messages_take_no_place_among_those_that_wait_for_a_handler() -> None:
    entered, release = anyio.Event(), anyio.Event()

    async def hanging(envelope: Envelope, sender: PeerId) -> None:
        entered.set()
        await release.wait()

    async with two_agents(buffer=1) as (alice, bob):
        bob.set_bzzz_message_handler(hanging)
        await alice.publish_bzzz_message(MessageType.TASK_PROGRESS, ENOUGH)
        with anyio.fail_after(PATIENCE):
            await entered.wait()
        for _ in range(3):
            await bob.publish_bzzz_message(MessageType.TASK_PROGRESS, ENOUGH)
        assert bob.statistics().topics[COORDINATION_TOPIC] == TopicStatistics(
            published=3, own=3, handled=0, unhandled=0, handler_errors=0, dropped=0, waiting=0
        )
        release.set()


async def test_a_full_buffer_of_large_messages_leaves_others_their_turns() -> None:
    """Decoding them one after the other would hold up everything else."""
    read: list[int] = []
    turns = 0

    def note(envelope: Envelope, sender: PeerId) -> None:
        read.append(turns)

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    entered, release = anyio.Event(), anyio.Event()

    async def busy(envelope: Envelope, sender: PeerId) -> None:
        entered.set()
        await release.wait()

    async with two_agents() as (alice, bob):
        bob.set_bzzz_message_handler(busy, MessageType.TASK_CLAIM)
        bob.set_bzzz_message_handler(note, MessageType.TASK_PROGRESS)
        others = Collector()
        bob.set_hmmm_message_handler(others)
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, ENOUGH)
        with anyio.fail_after(PATIENCE):
            await entered.wait()
        large = {"task_id": "1", "text": "x" * 20_000}
        for _ in range(10):
            await alice.publish_bzzz_message(MessageType.TASK_PROGRESS, large)
        await alice.publish_hmmm_message(MessageType.META_DISCUSSION, {})
        await others.wait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            release.set()
            with anyio.fail_after(PATIENCE):
                while len(read) < 10:
                    await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
    assert len(set(read)) >= 5  # trio shuffles those whose turn it is


async def test_many_messages_that_had_to_wait_are_handed_over_in_order() -> None:
    """More than are remembered from judging them."""
    release = anyio.Event()
    got = Collector()

    async def late(envelope: Envelope, sender: PeerId) -> None:
        await release.wait()
        got(envelope, sender)

    async with two_agents() as (alice, bob):
        bob.set_bzzz_message_handler(late)
        others = Collector()
        bob.set_hmmm_message_handler(others)
        for number in range(100):
            await alice.publish_bzzz_message(MessageType.TASK_PROGRESS, {"task_id": number})
        await alice.publish_hmmm_message(MessageType.META_DISCUSSION, {})
        await others.wait()
        release.set()
        numbers = [envelope.data for envelope, _ in await got.wait(100)]
        assert numbers == [{"task_id": number} for number in range(100)]


# What others send


async def test_an_unknown_type_is_handed_over_as_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "gossipsub.chorus")
    async with agent_and_outsider() as (_, chorus, outsider):
        stolen, others = Collector(), Collector()
        chorus.set_bzzz_message_handler(stolen, "task_stolen")
        chorus.set_bzzz_message_handler(others)
        await outsider.publish(outsider.envelope("task_stolen"))
        await outsider.publish(outsider.envelope("task_lost"))
        await others.wait()
        types = [envelope.type for envelope, _ in stolen.got + others.got]
        assert types == ["task_stolen", "task_lost"]
        assert [type(kind) for kind in types] == [str, str]
    messages = [record.getMessage() for record in caplog.records]
    assert f"unknown message type='task_lost' topic={COORDINATION_TOPIC}" in messages


async def test_an_impersonation_is_rejected_counted_and_kept() -> None:
    async with agent_and_outsider(clock=lambda: NOW) as (host, chorus, outsider):
        got = Collector()
        chorus.set_bzzz_message_handler(got)
        forged = Envelope("task_claim", str(host.peer_id), Timestamp(NOW_TEXT), {}).encode()
        await outsider.publish(forged)
        await outsider.publish(outsider.envelope())
        assert len(await got.wait()) == 1
        assert got.got[0][0].from_peer == str(outsider.peer)
        assert host.statistics().rejections == {"validation failed": 1}
        assert chorus.statistics().refused == {RefusalReason.IMPERSONATION: 1}
        (letter,) = chorus.dead_letters()
        assert (letter.topic, letter.data, letter.size) == (COORDINATION_TOPIC, forged, len(forged))
        assert letter.detail == f"from is not the peer that signed it: '{host.peer_id}'"
        assert (letter.sender, letter.received_from) == (outsider.peer, outsider.peer)
        assert letter.received_at == Timestamp(NOW_TEXT)


async def test_a_malformed_message_is_rejected_and_a_limit_of_ours_blames_nobody() -> None:
    async with agent_and_outsider() as (host, chorus, outsider):
        got = Collector()
        chorus.set_bzzz_message_handler(got)
        await outsider.publish(b"no json")
        await outsider.publish(outsider.envelope().replace(b'"type"', b'"kind"'))
        await outsider.publish(outsider.envelope(hop_count=1).replace(b":1}", b":99}"))
        await outsider.publish(outsider.envelope())
        await got.wait()
        assert host.statistics().rejections == {"validation failed": 2, "validation ignored": 1}
        assert [letter.reason for letter in chorus.dead_letters()] == [
            RefusalReason.NOT_JSON,
            RefusalReason.MISSING_FIELD,
            RefusalReason.HOP_LIMIT,
        ]
        assert chorus.statistics().topics[COORDINATION_TOPIC].handled == 1


async def test_who_relays_a_malformed_message_of_another_is_not_blamed() -> None:
    async with agent_and_outsider(relayed=True) as (host, chorus, outsider):
        got = Collector()
        chorus.set_bzzz_message_handler(got)
        await outsider.publish(b"no json")
        await outsider.publish(Envelope("x", str(host.peer_id), Timestamp(NOW_TEXT), {}).encode())
        await outsider.publish(outsider.envelope())
        ((_, sender),) = await got.wait()
        assert sender == outsider.peer
        for letter in chorus.dead_letters():
            assert letter.sender == outsider.peer != letter.received_from
        assert chorus.statistics().refused == {
            RefusalReason.NOT_JSON: 1, RefusalReason.IMPERSONATION: 1
        }  # fmt: skip
        assert host.statistics().rejections == {"validation ignored": 2}


async def test_dead_letters_keep_the_newest_and_the_beginning_of_each() -> None:
    async with agent_and_outsider(dead_letter_buffer=1) as (_, chorus, outsider):
        got = Collector()
        chorus.set_bzzz_message_handler(got)
        await outsider.publish(b"first")
        await outsider.publish(b"x" * 10_000)
        await outsider.publish(outsider.envelope())
        await got.wait()
        (letter,) = chorus.dead_letters()
        assert (letter.data, letter.size) == (b"x" * 4096, 10_000)
        assert chorus.statistics().refused == {RefusalReason.NOT_JSON: 2}


# Life


async def test_names_of_topics_may_be_given() -> None:
    names = ("fleet/coordination", "fleet/talk", "fleet/feedback")
    async with Host() as host, ChorusPubSub(host, *names) as chorus:
        assert tuple(chorus.statistics().topics) == names
        assert (chorus.coordination_topic, chorus.hmmm_topic, chorus.context_topic) == names
        with pytest.raises(LocalProtocolError, match=r"^the topic is joined already: fleet/talk$"):
            await host.join("fleet/talk")


@pytest.mark.parametrize(
    ("taken", "names", "culprit"),
    [(CONTEXT_TOPIC, (), CONTEXT_TOPIC), ("other", ("same", "same"), "same")],
)
async def test_a_topic_that_cannot_be_joined_is_an_error_at_once_and_none_stays_joined(
    taken: str, names: tuple[str, ...], culprit: str
) -> None:
    async with Host() as host:
        topic = await host.join(taken)
        with pytest.raises(LocalProtocolError) as raised:
            async with ChorusPubSub(host, *names):
                pytest.fail("it was opened")
        assert str(raised.value) == f"the topic is joined already: {culprit}"
        topic.close()
        async with ChorusPubSub(host):
            pass


async def test_leaving_stops_a_running_handler_and_leaves_the_topics() -> None:
    entered, ended = anyio.Event(), anyio.Event()

    async def endless(envelope: Envelope, sender: PeerId) -> None:
        entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with Host() as a, Host() as b, ChorusPubSub(a) as alice:
        async with ChorusPubSub(b) as bob:
            bob.set_context_feedback_handler(endless)
            await a.connect(b.addresses[0])
            await alice.wait_for_peers(1, timeout=PATIENCE)
            await alice.publish_context_feedback_message(MessageType.CONTEXT_USAGE, ENOUGH)
            with anyio.fail_after(PATIENCE):
                await entered.wait()
        assert ended.is_set()
        for name in (COORDINATION_TOPIC, HMMM_TOPIC, CONTEXT_TOPIC):
            (await b.join(name)).close()


async def test_leaving_takes_the_validators_away() -> None:
    async with agent_and_outsider() as (host, _, outsider), Host() as other:
        async with ChorusPubSub(other):
            pass
        topic = await other.join(COORDINATION_TOPIC)
        async with topic.subscribe() as messages:
            await other.connect(host.addresses[0])
            await other.connect(outsider.address)
            await topic.wait_for_peers(2, timeout=PATIENCE)
            await outsider.wait_for_peers(2, timeout=PATIENCE)
            await outsider.publish(b"anything")
            with anyio.fail_after(PATIENCE):
                assert (await messages.__anext__()).data == b"anything"


async def test_it_is_of_no_use_before_it_is_opened_and_after_it_was_closed() -> None:
    async with Host() as host:
        chorus = ChorusPubSub(host)
        message = r"^open it first: async with ChorusPubSub\(host\) as chorus$"
        with pytest.raises(LocalProtocolError, match=message):
            await chorus.publish_bzzz_message(MessageType.TASK_CLAIM, ENOUGH)
        with pytest.raises(LocalProtocolError, match=message):
            chorus.set_hmmm_message_handler(None)
        with pytest.raises(LocalProtocolError, match=message):
            await chorus.wait_for_peers(1, timeout=1)
        async with chorus:
            await chorus.publish_bzzz_message(MessageType.TASK_CLAIM, ENOUGH)
        with pytest.raises(LocalProtocolError, match=message):
            await chorus.publish_bzzz_message(MessageType.TASK_CLAIM, ENOUGH)
        assert chorus.statistics().topics[COORDINATION_TOPIC].published == 1
        with pytest.raises(LocalProtocolError, match=r"^it is opened once; make another$"):
            await chorus.__aenter__()


async def test_an_exception_in_the_body_comes_out_as_it_is() -> None:
    async with Host() as host:
        with pytest.raises(KeyError, match=r"^'mine'$"):
            async with ChorusPubSub(host):
                raise KeyError("mine")
        async with ChorusPubSub(host):
            pass


async def test_cancelling_around_it_leaves_the_topics() -> None:
    async with Host() as host:
        with anyio.CancelScope() as scope:
            async with ChorusPubSub(host):
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        async with ChorusPubSub(host):
            pass
