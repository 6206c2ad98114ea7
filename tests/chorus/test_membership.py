from __future__ import annotations

import anyio
import pytest

from gossipsub import Host
from gossipsub.chorus import ChorusPubSub, Envelope, MessageType, RefusalReason
from gossipsub.chorus.topics import CONTEXT_TOPIC, COORDINATION_TOPIC, HMMM_TOPIC, task_topic
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError
from tests.chorus.agents import PATIENCE, Collector, two_agents

pytestmark = pytest.mark.anyio

PROJECT = "CHORUS/projects/my-project/coordination/v1"
STATIC = (COORDINATION_TOPIC, HMMM_TOPIC, CONTEXT_TOPIC)
NOT_OPEN = r"^open it first: async with ChorusPubSub\(host\) as chorus$"


async def test_agents_meet_in_a_dynamic_topic() -> None:
    async with two_agents() as (alice, bob):
        got = Collector()
        for agent in (alice, bob):
            assert await agent.join_project_topic("my-project") == PROJECT
            await agent.join_dynamic_topic(PROJECT)
        bob.set_dynamic_handler(PROJECT, got, MessageType.STATUS_UPDATE)
        await alice.wait_for_peers(1, timeout=PATIENCE, topic=PROJECT)
        data = {"status": "in_progress", "completion": 0.45}
        await alice.publish_to_dynamic_topic(PROJECT, MessageType.STATUS_UPDATE, data)
        ((envelope, sender),) = await got.wait()
        assert (envelope.type, envelope.data) == (MessageType.STATUS_UPDATE, data)
        assert sender == alice.host.peer_id
        assert bob.statistics().topics[PROJECT].handled == 1


async def test_an_impersonation_in_a_dynamic_topic_is_refused_too() -> None:
    async with two_agents() as (alice, bob), Host() as outsider:
        await bob.join_dynamic_topic(PROJECT)
        topic = await outsider.join(PROJECT)
        await outsider.connect(bob.host.addresses[0])
        await topic.wait_for_peers(1, timeout=PATIENCE)
        now = Envelope.decode(
            b'{"type":"x","from":"y","timestamp":"2025-01-02T03:04:05Z","data":{}}'
        )
        await topic.publish(now.encode())
        with anyio.fail_after(PATIENCE):
            while not bob.dead_letters():
                await anyio.sleep(0.01)
        assert bob.statistics().refused == {RefusalReason.IMPERSONATION: 1}
        assert alice.dead_letters() == ()


async def test_topics_of_a_role_are_joined_by_the_names_of_the_document() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        joined = await chorus.join_role_based_topics(
            "Senior Developer", ["golang", "distributed_systems"], ["Tech Lead", "Tech Lead"]
        )
        assert joined == (
            "CHORUS/roles/senior_developer/v1",
            "CHORUS/expertise/golang/v1",
            "CHORUS/expertise/distributed_systems/v1",
            "CHORUS/hierarchy/tech_lead/v1",
        )
        assert tuple(chorus.statistics().topics) == STATIC + joined
        assert await chorus.join_role_based_topics("") == ()
        assert await chorus.join_task_topic("Task 1") == "CHORUS/tasks/Task 1/v1"
        assert await chorus.join_issue_topic(42) == "CHORUS/meta/issue/42"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Developer", ["go"], ["a/b"]), "the supervisor may not hold '/': 'a/b'"),
        (("Developer", ["go", ""]), "the expertise is empty"),
        (("Developer", ["taken"]), "the topic is joined already: CHORUS/expertise/taken/v1"),
        (("Developer", "golang"), "expertise and reports_to are several texts, not one"),
        (
            ("Developer", ["a", "b", "c"]),
            "at most 3 dynamic topics are joined; leave some first",
        ),
    ],
)
async def test_all_topics_of_a_role_are_joined_or_none(
    arguments: tuple[str, list[str]], message: str
) -> None:
    async with Host() as host, ChorusPubSub(host, max_dynamic_topics=3) as chorus:
        await host.join("CHORUS/expertise/taken/v1")
        with pytest.raises(LocalProtocolError) as raised:
            await chorus.join_role_based_topics(*arguments)
        assert str(raised.value) == message
        assert tuple(chorus.statistics().topics) == STATIC
        (await host.join("CHORUS/roles/developer/v1")).close()
        now = Envelope.decode(
            b'{"type":"x","from":"y","timestamp":"2025-01-02T03:04:05Z","data":{},'
            b'"to_roles":["developer"]}'
        )
        assert not chorus.is_for_us(now)


async def test_the_number_of_dynamic_topics_is_limited_and_leaving_makes_room() -> None:
    async with Host() as host, ChorusPubSub(host, max_dynamic_topics=2) as chorus:
        for name in ("a", "b", "a"):
            await chorus.join_dynamic_topic(name)
        with pytest.raises(LocalProtocolError, match=r"^at most 2 dynamic topics are joined"):
            await chorus.join_dynamic_topic("c")
        with pytest.raises(LocalProtocolError, match=r"^at most 2 dynamic topics are joined"):
            await chorus.subscribe_raw_topic("c", None)
        chorus.leave_dynamic_topic("a")
        chorus.leave_dynamic_topic("a")
        await chorus.join_dynamic_topic("c")
    with pytest.raises(LocalProtocolError, match=r"^max_dynamic_topics is at least 0: -1$"):
        ChorusPubSub(host, max_dynamic_topics=-1)


async def test_static_topics_are_neither_joined_nor_left_nor_published_to_as_dynamic_ones() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        for name in STATIC:
            with pytest.raises(LocalProtocolError, match=r"^a static topic is always joined: "):
                await chorus.join_dynamic_topic(name)
            with pytest.raises(LocalProtocolError, match=r"^a static topic is always joined: "):
                await chorus.subscribe_raw_topic(name, None)
            with pytest.raises(LocalProtocolError, match=r"^a static topic is not left: "):
                chorus.leave_dynamic_topic(name)
            with pytest.raises(LocalProtocolError, match=r"^not a dynamic topic: "):
                await chorus.publish_to_dynamic_topic(name, MessageType.TASK_CLAIM, {})


async def test_a_topic_that_is_not_joined_is_an_error_at_once() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        await chorus.join_dynamic_topic(PROJECT)
        chorus.leave_dynamic_topic(PROJECT)
        for name in (PROJECT, "nonexistent/topic"):
            with pytest.raises(LocalProtocolError, match=rf"^not joined: '{name}'$"):
                await chorus.publish_to_dynamic_topic(name, MessageType.STATUS_UPDATE, {})
            with pytest.raises(LocalProtocolError, match=rf"^not joined: '{name}'$"):
                await chorus.publish_raw(name, b"{}")
            with pytest.raises(LocalProtocolError, match=rf"^not joined: '{name}'$"):
                chorus.set_dynamic_handler(name, None)
            with pytest.raises(LocalProtocolError, match=rf"^not joined: '{name}'$"):
                await chorus.wait_for_peers(1, timeout=1, topic=name)
        with pytest.raises(LocalProtocolError):
            await chorus.join_dynamic_topic("")
        assert host.statistics().published == 0


async def test_a_handler_may_leave_its_own_topic_goes_on_to_its_end_and_gets_no_more() -> None:
    got, calls = Collector(), list[Envelope]()
    async with two_agents() as (alice, bob):

        async def leave(envelope: Envelope, sender: PeerId) -> None:
            calls.append(envelope)
            with anyio.fail_after(PATIENCE):
                while bob.statistics().topics[PROJECT].waiting < 2:
                    await anyio.sleep(0.005)
            bob.leave_dynamic_topic(PROJECT)
            await anyio.lowlevel.checkpoint()
            await bob.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "done"})

        for agent in (alice, bob):
            await agent.join_dynamic_topic(PROJECT)
        bob.set_dynamic_handler(PROJECT, leave)
        alice.set_hmmm_message_handler(got)
        await alice.wait_for_peers(1, timeout=PATIENCE, topic=PROJECT)
        for _ in range(3):
            await alice.publish_to_dynamic_topic(PROJECT, "finished", {})
        assert [envelope.data for envelope, _ in await got.wait()] == [{"message": "done"}]
        assert len(calls) == 1
        assert PROJECT not in bob.statistics().topics
        (await bob.host.join(PROJECT)).close()


async def test_close_leaves_all_topics_stops_handlers_and_may_be_called_again() -> None:
    entered, ended = anyio.Event(), anyio.Event()

    async def endless(envelope: Envelope, sender: PeerId) -> None:
        entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with two_agents() as (alice, bob):
        await bob.join_dynamic_topic(task_topic("1"))
        bob.set_bzzz_message_handler(endless)
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        with anyio.fail_after(PATIENCE):
            await entered.wait()
            for _ in range(2):
                await bob.close()
            await ended.wait()
        for name in (*STATIC, task_topic("1")):
            (await bob.host.join(name)).close()
        with pytest.raises(LocalProtocolError, match=NOT_OPEN):
            await bob.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        with pytest.raises(LocalProtocolError, match=NOT_OPEN):
            await bob.join_dynamic_topic("another")
        assert COORDINATION_TOPIC in bob.statistics().topics
    await bob.close()


async def test_a_handler_may_close_everything() -> None:
    closed = anyio.Event()
    async with two_agents() as (alice, bob):

        async def close(envelope: Envelope, sender: PeerId) -> None:
            await bob.close()
            closed.set()

        bob.set_bzzz_message_handler(close)
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        with anyio.fail_after(PATIENCE):
            await closed.wait()


async def test_joining_one_topic_twice_at_once_joins_it_once() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(chorus.join_dynamic_topic, PROJECT)
                tasks.start_soon(chorus.join_raw_topic, "room")
        assert sorted(chorus.statistics().topics) == sorted((*STATIC, PROJECT, "room"))


async def test_topics_are_left_whatever_became_of_their_validators() -> None:
    async with Host() as host:
        async with ChorusPubSub(host):
            host.set_validator(COORDINATION_TOPIC, None)
        for name in STATIC:
            (await host.join(name)).close()


async def test_a_topic_that_cannot_be_read_or_judged_is_not_left_joined() -> None:
    async with Host() as host:
        with pytest.raises(LocalProtocolError, match=r"^a buffer holds at least 1 item: 0$"):
            async with ChorusPubSub(host, buffer=0):
                pytest.fail("it was opened")
        for name in (HMMM_TOPIC, PROJECT):
            host.set_validator(name, lambda message: True)
        with pytest.raises(LocalProtocolError, match=r"^the topic has a validator already: hmmm/"):
            async with ChorusPubSub(host):
                pytest.fail("it was opened")
        host.set_validator(HMMM_TOPIC, None)
        async with ChorusPubSub(host) as chorus:
            for _ in range(2):
                with pytest.raises(LocalProtocolError, match=r"^the topic has a validator already"):
                    await chorus.join_dynamic_topic(PROJECT)
            host.set_validator(PROJECT, None)
            await chorus.join_dynamic_topic(PROJECT)
