from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from gossipsub import Host, ReceivedMessage, SignedMessage
from gossipsub.chorus import (
    BadPayload,
    ChorusPubSub,
    Delivery,
    Envelope,
    EventLogFailed,
    MalformedEnvelope,
    MessageOptions,
    MessageType,
    PayloadPolicy,
    RefusalReason,
    TaskClaim,
    Timestamp,
)
from gossipsub.chorus.topics import CONTEXT_TOPIC, COORDINATION_TOPIC, HMMM_TOPIC
from gossipsub.crypto.keys import PrivateKey
from gossipsub.wire.errors import LocalProtocolError
from tests.chorus.agents import (
    NOW,
    NOW_TEXT,
    PATIENCE,
    Collector,
    ListLogger,
    StarRedactor,
    agent_and_outsider,
    two_agents,
)

pytestmark = pytest.mark.anyio


class Note:
    """A payload that is none of the package's."""

    def __init__(self, message_type: MessageType | str, **data: object) -> None:
        self.message_type = message_type
        self._data = data

    def to_data(self) -> Mapping[str, object]:
        return self._data


async def test_options_travel_in_the_envelope() -> None:
    async with two_agents(clock=lambda: NOW) as (alice, bob):
        got = Collector()
        bob.set_hmmm_message_handler(got)
        bob.set_role(sees_everything=True)
        await alice.publish_role_based_message(
            MessageType.EXPERTISE_REQUEST,
            {"question": "How to handle distributed transactions?"},
            MessageOptions(
                from_role="Junior Developer",
                to_roles=("Senior Developer", "Architect"),
                required_expertise=("distributed_systems",),
                project_id="chorus",
                priority="high",
                thread_id="thread-abc",
                hop_count=2,
            ),
        )
        ((envelope, sender),) = await got.wait()
        assert envelope == Envelope(
            MessageType.EXPERTISE_REQUEST,
            str(sender),
            envelope.timestamp,
            {"question": "How to handle distributed transactions?"},
            2,
            "Junior Developer",
            ("Senior Developer", "Architect"),
            ("distributed_systems",),
            "chorus",
            "high",
            "thread-abc",
        )
        assert envelope.timestamp.unix_ns == NOW


async def test_a_hop_count_above_the_limit_is_an_error() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        with pytest.raises(LocalProtocolError, match=r"^hop_count is a whole number from 0 to 16$"):
            await chorus.publish_hmmm_message(
                MessageType.META_DISCUSSION, {"message": "hi"}, MessageOptions(hop_count=17)
            )
        assert host.statistics().published == 0


async def test_a_payload_object_goes_home_or_where_it_is_sent() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        seen: list[tuple[str, str, object]] = []
        chorus.add_observer(lambda d: seen.append((d.topic, d.envelope.type, d.envelope.data)))
        await chorus.join_task_topic("1")
        claim = Note(MessageType.TASK_CLAIM, task_id="1")
        await chorus.publish(claim)
        await chorus.publish(Note(MessageType.META_DISCUSSION, message="hi"))
        await chorus.publish(Note(MessageType.CONTEXT_USAGE, context_path="/x"))
        await chorus.publish(claim, topic="CHORUS/tasks/1/v1")
        await chorus.publish(Note("praise", of="bob"), topic=HMMM_TOPIC)
        assert seen == [
            (COORDINATION_TOPIC, "task_claim", {"task_id": "1"}),
            (HMMM_TOPIC, "meta_discussion", {"message": "hi"}),
            (CONTEXT_TOPIC, "context_usage", {"context_path": "/x"}),
            ("CHORUS/tasks/1/v1", "task_claim", {"task_id": "1"}),
            (HMMM_TOPIC, "praise", {"of": "bob"}),
        ]
        with pytest.raises(LocalProtocolError, match=r"^say to which topic: 'praise' has no home$"):
            await chorus.publish(Note("praise"))
        with pytest.raises(LocalProtocolError, match=r"^not joined: 'nowhere'$"):
            await chorus.publish(claim, topic="nowhere")
        assert len(seen) == 5


async def test_slurp_messages_and_types_of_ones_own_reach_the_topic() -> None:
    async with two_agents() as (alice, bob):
        got = Collector()
        bob.set_hmmm_message_handler(got)
        event = {
            "event_id": "evt-123",
            "event_type": "deployment",
            "discussion_id": "disc-456",
            "consensus": True,
        }
        await alice.publish_slurp_event_generated(event)
        await alice.publish_slurp_event_ack({"event_id": "evt-123"})
        await alice.publish_slurp_context_update({"context_path": "/x"})
        await alice.publish_extension(HMMM_TOPIC, "acknowledgement", {"delivery_ids": ["1"]})
        heard = [(str(envelope.type), envelope.data) for envelope, _ in await got.wait(4)]
        assert heard == [
            ("slurp_event_generated", event),
            ("slurp_event_ack", {"event_id": "evt-123"}),
            ("slurp_context_update", {"context_path": "/x"}),
            ("acknowledgement", {"delivery_ids": ["1"]}),
        ]


@pytest.mark.parametrize(
    ("kind", "described"), [("task_claim", "'task_claim'"), ("", "''"), (None, "NoneType")]
)
async def test_an_extension_is_none_of_the_31_types(kind: Any, described: str) -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        with pytest.raises(LocalProtocolError, match=rf"^not a type of your own: {described}$"):
            await chorus.publish_extension(HMMM_TOPIC, kind, {})


async def test_a_role_based_message_is_of_a_role_type() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        with pytest.raises(LocalProtocolError, match=r"^not a role-based type: 'task_claim'$"):
            await chorus.publish_role_based_message(MessageType.TASK_CLAIM, {"task_id": "1"})


# Payloads


async def test_own_payloads_are_checked_whatever_the_policy_and_nothing_is_sent() -> None:
    async with Host() as host, ChorusPubSub(host, payload_policy=PayloadPolicy.OFF) as chorus:
        await chorus.join_task_topic("1")
        for publish in (
            chorus.publish_bzzz_message(MessageType.TASK_PROGRESS, {"task_id": "1", "progress": 2}),
            chorus.publish_bzzz_message(MessageType.TASK_PROGRESS, None),
            chorus.publish_to_dynamic_topic("CHORUS/tasks/1/v1", MessageType.TASK_PROGRESS, {}),
            chorus.publish(Note(MessageType.TASK_PROGRESS, task_id=["1"])),
        ):
            with pytest.raises(BadPayload):
                await publish
        with pytest.raises(LocalProtocolError, match=r"^data is a mapping, not of type list$"):
            await chorus.publish_bzzz_message(MessageType.TASK_PROGRESS, [])  # type: ignore[arg-type]
        assert host.statistics().published == 0


@pytest.mark.parametrize(
    ("policy", "handled", "bad", "refused"),
    [
        (PayloadPolicy.WARN, 2, 1, 0),
        (PayloadPolicy.STRICT, 1, 0, 1),
        (PayloadPolicy.OFF, 2, 0, 0),
    ],
)
async def test_bad_payloads_of_others_are_judged_by_the_policy(
    policy: PayloadPolicy, handled: int, bad: int, refused: int
) -> None:
    async with agent_and_outsider(payload_policy=policy) as (_, chorus, outsider):
        got = Collector()
        chorus.set_bzzz_message_handler(got)
        await outsider.publish(outsider.envelope("task_claim", {"task_id": None}))
        await outsider.publish(outsider.envelope("task_claim", {"task_id": "1"}))
        await got.wait(handled)
        assert got.got[-1][0].data == {"task_id": "1"}
        assert chorus.statistics().topics[COORDINATION_TOPIC].handled == handled
        assert chorus.statistics().topics[COORDINATION_TOPIC].bad_payloads == bad
        assert chorus.statistics().refused.get(RefusalReason.BAD_PAYLOAD, 0) == refused


async def test_a_bad_payload_that_a_check_refuses_is_not_counted_as_taken() -> None:
    def refuse(envelope: Envelope, message: ReceivedMessage) -> None:
        if envelope.data == {}:
            raise MalformedEnvelope(RefusalReason.FORBIDDEN, "no")

    async with agent_and_outsider() as (_, chorus, outsider):
        got = Collector()
        chorus.set_bzzz_message_handler(got)
        chorus.add_check(refuse)
        await outsider.publish(outsider.envelope("task_claim", {}))
        await outsider.publish(outsider.envelope())
        await got.wait()
        assert chorus.statistics().refused == {RefusalReason.FORBIDDEN: 1}
        assert chorus.statistics().topics[COORDINATION_TOPIC].bad_payloads == 0


# Hooks and checks


async def test_options_of_another_type_are_an_error() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        with pytest.raises(LocalProtocolError, match=r"^options are MessageOptions, not of type d"):
            await chorus.publish_role_based_message(
                MessageType.STATUS_UPDATE,
                {"status": "ok"},
                {"to_roles": ["Developer"]},  # type: ignore[arg-type]
            )
        assert host.statistics().published == 0


async def test_what_a_hook_breaks_is_sent_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        heard: list[Delivery] = []
        chorus.add_observer(heard.append)
        chorus.add_publishing_hook(lambda kind, data: {**data, "status": 5})
        await chorus.publish_bzzz_message(MessageType.TASK_PROGRESS, {"task_id": "1"})
        assert [delivery.envelope.data for delivery in heard] == [{"task_id": "1"}]
    (message,) = caplog.messages
    assert message.startswith("a publishing hook failed name=")


async def test_a_check_that_fails_refuses_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(envelope: Envelope, message: ReceivedMessage) -> None:
        raise KeyError("mine")

    async with agent_and_outsider() as (host, chorus, outsider):
        told: list[RefusalReason] = []
        chorus.set_dead_letter_handler(lambda letter: told.append(letter.reason))
        chorus.add_check(fail, own_too=True)
        assert not chorus.catch_up(SignedMessage(outsider.sign(outsider.envelope()).wire))
        with pytest.raises(LocalProtocolError, match=r"^refused as check_failed: .*: KeyError$"):
            await chorus.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        await outsider.publish(outsider.envelope())
        with anyio.fail_after(PATIENCE):
            while len(told) < 2:
                await anyio.sleep(0.005)
        assert told == [RefusalReason.CHECK_FAILED] * 2
        assert host.statistics().rejections == {"validation ignored": 1}
    messages = [record.getMessage() for record in caplog.records]
    assert sum(message.startswith("a check failed name=<function") for message in messages) == 3


async def test_a_check_that_nobody_would_await_is_an_error() -> None:
    async def refuse(envelope: Envelope, message: ReceivedMessage) -> None:
        raise MalformedEnvelope(RefusalReason.FORBIDDEN, "no")

    async with Host() as host, ChorusPubSub(host) as chorus:
        with pytest.raises(LocalProtocolError, match=r"^a check is a plain function, not a cor"):
            chorus.add_check(refuse)  # type: ignore[arg-type]


async def test_hooks_add_to_the_payload_before_it_is_redacted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def add(kind: MessageType | str, data: Mapping[str, object]) -> Mapping[str, object]:
        return {**data, "trace": f"secret of {kind}"}

    def fail(kind: MessageType | str, data: Mapping[str, object]) -> Mapping[str, object]:
        raise ValueError("no")

    async with Host() as host, ChorusPubSub(host, redactor=StarRedactor()) as chorus:
        seen: list[object] = []
        chorus.add_observer(lambda delivery: seen.append(delivery.envelope.data))
        for hook in (fail, add):
            chorus.add_publishing_hook(hook)
        given = {"message": "hi"}
        await chorus.publish_hmmm_message(MessageType.META_DISCUSSION, given)
        chorus.remove_publishing_hook(add)
        await chorus.publish_hmmm_message(MessageType.META_DISCUSSION, given)
        with pytest.raises(LocalProtocolError, match=r"^this publishing hook was not added$"):
            chorus.remove_publishing_hook(add)
        with pytest.raises(LocalProtocolError, match=r"hook is a function, not of type int$"):
            chorus.add_publishing_hook(3)  # type: ignore[arg-type]
    assert seen == [{"message": "hi", "trace": "*** of meta_discussion"}, {"message": "hi"}]
    assert given == {"message": "hi"}
    errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert [error[:25] for error in errors] == ["a publishing hook failed "] * 2


def no_secrets(envelope: Envelope, message: ReceivedMessage) -> None:
    if b"secret" in message.data:
        raise MalformedEnvelope(RefusalReason.FORBIDDEN, "no secrets here")


async def test_a_check_may_refuse_what_others_say_and_what_this_agent_says() -> None:
    async with two_agents() as (alice, bob):
        got = Collector()
        bob.set_hmmm_message_handler(got)
        bob.add_check(no_secrets, own_too=True)
        alice.add_check(no_secrets)
        for text in ("secret", "known"):
            await alice.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": text})
        assert [envelope.data for envelope, _ in await got.wait()] == [{"message": "known"}]
        assert bob.statistics().refused == {RefusalReason.FORBIDDEN: 1}
        with pytest.raises(LocalProtocolError, match=r"^refused as forbidden: no secrets here$"):
            await bob.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "secret"})
        assert bob.host.statistics().published == 0
        with pytest.raises(LocalProtocolError, match=r"^a check is a function, not of type str$"):
            bob.add_check("no_secrets")  # type: ignore[arg-type]


# The log first


class Witness(ListLogger):
    """Notes what had been sent when it was flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.host: Host | None = None
        self.sent_before: list[int] = []
        self.fails = False

    async def flush(self) -> None:
        if self.fails:
            raise OSError("disk full")
        await super().flush()
        assert self.host is not None
        self.sent_before.append(self.host.statistics().published)


async def test_with_log_first_the_message_is_durable_before_it_is_sent() -> None:
    log = Witness()
    async with Host() as host, ChorusPubSub(host, logger=log) as chorus:
        log.host = host
        await chorus.publish(Note(MessageType.TASK_COMPLETE, task_id="1"), log_first=True)
        assert (log.flushed, log.sent_before) == (1, [0])
        assert host.statistics().published == 1
        await chorus.publish(Note(MessageType.TASK_COMPLETE, task_id="2"))
        assert (log.flushed, len(log.entries)) == (1, 2)


async def test_what_could_not_be_made_durable_is_not_sent_nor_told() -> None:
    log = Witness()
    log.fails = True
    async with Host() as host, ChorusPubSub(host, logger=log) as chorus:
        observed: list[Delivery] = []
        chorus.add_observer(observed.append)
        with pytest.raises(EventLogFailed, match=r"^the event log could not be flushed: disk full"):
            await chorus.publish(Note(MessageType.TASK_COMPLETE, task_id="1"), log_first=True)
        assert (host.statistics().published, observed) == (0, [])
        assert chorus.statistics().log_failures == 1


@pytest.mark.parametrize("wrong", [{"task_id": "1"}, TaskClaim, None])
async def test_what_is_no_payload_is_told_at_once(wrong: Any) -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        with pytest.raises(LocalProtocolError, match=r"^publish takes a payload, as TaskClaim"):
            await chorus.publish(wrong)
        assert host.statistics().published == 0


async def test_log_first_needs_a_log() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        with pytest.raises(LocalProtocolError, match=r"^log_first needs an event log"):
            await chorus.publish(Note(MessageType.TASK_COMPLETE, task_id="1"), log_first=True)


async def test_what_was_signed_in_an_earlier_life_can_be_sent_in_this_one() -> None:
    key, log = PrivateKey.generate(), Witness()
    async with Host(key=key) as host, ChorusPubSub(host, logger=log) as chorus:
        log.fails = True
        with pytest.raises(EventLogFailed):
            await chorus.publish(Note(MessageType.TASK_COMPLETE, task_id="1"), log_first=True)
    ((_, _, signed),) = log.entries
    assert signed is not None
    async with (
        Host(key=key) as a,
        Host() as b,
        ChorusPubSub(a) as alice,
        ChorusPubSub(b) as bob,
    ):
        got, own = Collector(), list[Delivery]()
        bob.set_bzzz_message_handler(got)
        alice.add_observer(own.append)
        await a.connect(b.addresses[0])
        await alice.wait_for_peers(1, timeout=PATIENCE)
        for _ in range(2):
            await alice.publish_signed(signed)
        assert [envelope.data for envelope, _ in await got.wait()] == [{"task_id": "1"}]
        assert [(delivery.signed, delivery.is_own) for delivery in own] == [(signed, True)]
        with pytest.raises(LocalProtocolError, match=r"not bear this agent's own signature$"):
            await bob.publish_signed(signed)


async def test_what_was_signed_or_is_raw_is_held_to_the_rules_as_well() -> None:
    """Others would refuse it, and blame this agent."""

    def refuse(envelope: Envelope, message: ReceivedMessage) -> None:
        raise MalformedEnvelope(RefusalReason.FORBIDDEN, "no")

    async with Host() as host, ChorusPubSub(host) as chorus:
        heard: list[Delivery] = []
        chorus.add_observer(heard.append)
        bad = Envelope(MessageType.TASK_CLAIM, str(host.peer_id), Timestamp(NOW_TEXT), {})
        with pytest.raises(BadPayload, match=r"^task_id is missing$"):
            await chorus.publish_raw(COORDINATION_TOPIC, bad.encode())
        await chorus.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        chorus.add_check(refuse, own_too=True)
        (said,) = heard
        with pytest.raises(LocalProtocolError, match=r"^refused as forbidden: no$"):
            await chorus.publish_signed(said.signed)
        assert (heard, host.statistics().published) == ([said], 1)
