from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from itertools import pairwise
from random import Random
from typing import Any

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from gossipsub.chorus import ChorusPubSub, MessageType
from gossipsub.chorus.agent_card import AgentCard
from gossipsub.chorus.agent_table import ChangeKind, PresenceChange
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.presence import Presence
from gossipsub.wire.errors import LocalProtocolError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


class Silence:
    """A redactor that lets nothing leave."""

    def redact_map_with_labels(self, payload: Any, labels: Mapping[str, str]) -> Any:
        raise ValueError("not now")

    def redact_text_with_labels(self, text: str, labels: Mapping[str, str]) -> str:
        raise ValueError("not now")


Fleet = Callable[..., Any]
DEVELOPER = AgentCard(
    name="ada", roles=("Senior Developer",), expertise=("golang",), capabilities=("review",)
)
ARCHITECT = AgentCard(name="bob", roles=("Architect", "Reviewer"), max_tasks=3)


def presence(chorus: ChorusPubSub, card: AgentCard = DEVELOPER, **options: Any) -> Presence:
    return Presence(chorus, agent=card, rng=Random(1), **options)


def heartbeats_of(chorus: ChorusPubSub) -> list[tuple[float, Delivery]]:
    """What `chorus` sends of them, with the times."""
    sent: list[tuple[float, Delivery]] = []

    def note(delivery: Delivery) -> None:
        if delivery.is_own and delivery.envelope.type == MessageType.AVAILABILITY_BROADCAST:
            sent.append((anyio.current_time(), delivery))

    chorus.add_observer(note)
    return sent


async def test_agents_know_each_other_with_all_they_tell(fleet: Fleet) -> None:
    async with fleet(2) as (mesh, (a, b)), presence(a) as alice, presence(b, ARCHITECT) as bob:
        await anyio.sleep(5)
        (known,) = alice.agents()
        assert (known.peer, known.card) == (mesh[1].peer_id, ARCHITECT)
        assert (known.status, known.current_tasks, known.is_available) == ("ready", 0, True)
        assert alice.agent(mesh[1].peer_id) == known
        assert alice.agent(mesh[0].peer_id) is None
        (known,) = bob.agents()
        assert known.card == DEVELOPER
        assert bob.with_role("senior developer") == bob.with_expertise("Golang") == (known,)
        assert bob.with_role("architect") == bob.with_expertise("cobol") == ()


async def test_one_that_comes_late_is_told_of_the_others_soon(fleet: Fleet) -> None:
    async with fleet(2) as (_mesh, (a, b)), presence(a):
        await anyio.sleep(7)  # far from the next heartbeat
        async with presence(b) as late:
            await anyio.sleep(3.1)
            assert [agent.card for agent in late.agents()] == [DEVELOPER]


async def test_heartbeats_come_every_interval_give_or_take_a_tenth(fleet: Fleet) -> None:
    async with fleet(2) as (_mesh, (a, _b)):
        sent = heartbeats_of(a)
        async with presence(a):
            await anyio.sleep(330)
        times = [at for at, _ in sent]
        gaps = [later - before for before, later in pairwise(times[:-1])]
        assert len(gaps) >= 10
        assert all(27 <= gap <= 33 for gap in gaps)
        assert len({round(gap, 3) for gap in gaps}) > 1


async def test_a_crowd_of_newcomers_makes_nobody_shout(fleet: Fleet) -> None:
    async with fleet(5) as (_mesh, agents):
        sent = heartbeats_of(agents[0])
        async with presence(agents[0]) as first:
            for other in agents[1:]:
                await anyio.sleep(4)
                await other.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
            await anyio.sleep(4)
            assert len(first.agents()) == 4
            assert len(sent) == 2  # the first, and one for the newcomers


async def test_an_agent_that_is_alone_says_nothing_until_somebody_comes(fleet: Fleet) -> None:
    async with fleet(2) as (mesh, (a, b)):
        mesh.partition(mesh[:1], mesh[1:])
        mesh.network.cut(mesh.machine_of(mesh[0]))
        await anyio.sleep(1)
        sent = heartbeats_of(a)
        async with presence(a), presence(b) as other:
            await anyio.sleep(300)
            assert (sent, other.agents()) == ([], ())
            mesh.heal()
            await mesh[0].connect(mesh[1].addresses[0])
            await anyio.sleep(5)
            assert [agent.card for agent in other.agents()] == [DEVELOPER]


async def test_changes_are_told_soon_and_not_too_often(fleet: Fleet) -> None:
    async with (
        fleet(2) as (_mesh, (a, b)),
        presence(a) as alice,
        presence(b) as bob,
        changes_of(bob) as changes,
    ):
        await anyio.sleep(5)
        sent = heartbeats_of(a)
        for tasks in range(1, 4):
            alice.update(current_tasks=tasks)
        alice.update(card=ARCHITECT)
        await anyio.sleep(2)
        (agent,) = bob.agents()
        assert (agent.card, agent.current_tasks, agent.status) == (ARCHITECT, 3, "busy")
        assert not agent.is_available
        assert len(sent) == 1
        alice.update(current_tasks=1)
        await anyio.sleep(2)
        assert bob.agents()[0].status == "working"
        alice.update(status="reading")
        await anyio.sleep(2)
        assert bob.agents()[0].status == "reading"
        assert len(sent) == 3
        for tasks in range(10):
            alice.update(current_tasks=tasks)
            await anyio.sleep(0.2)
        assert len(sent) in (5, 6)  # one in a second
        alice.update(current_tasks=1)
        await anyio.sleep(2)
        alice.update(status="")
        await anyio.sleep(2)
        assert bob.agents()[0].status == "working"
        assert {change.kind for change in changes} == {ChangeKind.JOINED, ChangeKind.CHANGED}


@asynccontextmanager
async def changes_of(bob: Presence) -> AsyncIterator[list[PresenceChange]]:
    """A list to which `bob`'s changes are added while it is open."""
    got: list[PresenceChange] = []

    async def collect(changes: MemoryObjectReceiveStream[PresenceChange]) -> None:
        async for change in changes:
            got.append(change)

    with bob.changes() as changes:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(collect, changes)
            yield got
            tasks.cancel_scope.cancel()


async def test_who_leaves_says_goodbye(fleet: Fleet) -> None:
    async with fleet(2) as (_mesh, (a, b)), presence(b) as bob, changes_of(bob) as changes:
        async with presence(a):
            await anyio.sleep(5)
            assert len(bob.agents()) == 1
        await anyio.sleep(0.5)
        assert bob.agents() == ()
        assert [change.kind for change in changes] == [ChangeKind.JOINED, ChangeKind.GONE]
        assert changes[-1].agent.card == DEVELOPER
        # It is there again with whatever it says next.
        await a.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        await anyio.sleep(0.5)
        assert [agent.card for agent in bob.agents()] == [AgentCard()]


async def test_who_is_silent_for_too_long_is_gone_at_that_time(fleet: Fleet) -> None:
    async with (
        fleet(2) as (_mesh, (a, b)),
        presence(b, gone_after=40.0) as bob,
        changes_of(bob) as changes,
    ):
        await a.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        await anyio.sleep(39.9)
        assert len(bob.agents()) == 1
        # Whatever it says, in any topic.
        await a.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "hm"})
        await anyio.sleep(39.5)
        assert len(bob.agents()) == 1
        await anyio.sleep(1)
        assert bob.agents() == ()
        assert [change.kind for change in changes] == [ChangeKind.JOINED, ChangeKind.GONE]


async def test_what_is_told_afterwards_makes_nobody_seen(fleet: Fleet) -> None:
    async with fleet(2) as (mesh, (a, b)), presence(b, max_agents=1) as bob:
        said: list[Delivery] = []
        a.add_observer(said.append)
        mesh.partition(mesh[:1], mesh[1:])
        mesh.network.cut(mesh.machine_of(mesh[0]))
        async with presence(a):
            await anyio.sleep(1)
        assert len(said) == 4
        # Without the goodbye.
        assert [b.catch_up(delivery.signed) for delivery in said[:3]] == [True] * 3
        assert bob.agents() == ()


async def test_a_reader_of_changes_that_is_too_slow_loses_the_newest(fleet: Fleet) -> None:
    async with fleet(3) as (mesh, (a, b, c)):
        with ExitStack() as readers:
            async with presence(c) as carol:
                changes = readers.enter_context(carol.changes(buffer=1))
                for agent in (a, b):
                    await agent.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
                    await anyio.sleep(0.5)
                assert carol.changes_lost == 1
            # It ends with what there was.
            assert [change.agent.peer async for change in changes] == [mesh[0].peer_id]


async def test_opened_again_it_tells_the_card_again(fleet: Fleet) -> None:
    async with fleet(2) as (_mesh, (a, b)):
        told: list[str] = []
        b.add_observer(lambda delivery: told.append(delivery.envelope.type))
        again = presence(a)
        for times in (1, 2):
            async with again:
                await anyio.sleep(5)
            await anyio.sleep(1)
            assert told.count(MessageType.ROLE_ANNOUNCEMENT) == times


async def test_a_heartbeat_that_cannot_be_sent_ends_nothing(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    async with fleet(2) as (_mesh, (a, b)), presence(a), presence(b) as bob:
        await anyio.sleep(5)
        a.set_redactor(Silence())
        with caplog.at_level(logging.WARNING):
            await anyio.sleep(40)
        assert any(message.startswith("no heartbeat was sent") for message in caplog.messages)
        a.set_redactor(None)
        await anyio.sleep(40)
        before = bob.agents()[0].last_seen
        assert before > anyio.current_time() - 40


async def test_what_makes_no_sense_is_refused(fleet: Fleet) -> None:
    async with fleet(1) as (mesh, (a,)):
        with pytest.raises(LocalProtocolError, match="interval is above 0"):
            presence(a, interval=0)
        with pytest.raises(LocalProtocolError, match="gone_after > interval"):
            presence(a, gone_after=30)
        closed = presence(a)
        with pytest.raises(LocalProtocolError, match="open it first"):
            closed.update(current_tasks=1)
        async with presence(a) as alice:
            with pytest.raises(LocalProtocolError, match="open already"):
                await alice.__aenter__()
            with pytest.raises(LocalProtocolError, match="current_tasks"):
                alice.update(current_tasks=-1)
            with pytest.raises(LocalProtocolError, match="when it leaves"):
                alice.update(status="offline")
            with pytest.raises(LocalProtocolError, match="status is text of at most 128"):
                alice.update(status="x" * 129)
            with pytest.raises(
                LocalProtocolError, match="a card is an AgentCard, not of type dict"
            ):
                alice.update(card={"name": "ada"})  # type: ignore[arg-type]
        with pytest.raises(LocalProtocolError):
            async with presence(ChorusPubSub(mesh[0])):
                pass


async def test_an_agent_that_takes_no_tasks_is_present_and_not_busy(fleet: Fleet) -> None:
    async with fleet(2) as (_, (a, b)), presence(a, AgentCard(max_tasks=0)), presence(b) as bob:
        await anyio.sleep(5)
        (known,) = bob.agents()
    assert (known.status, known.is_available) == ("present", False)
