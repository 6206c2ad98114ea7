from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import Any

import anyio
import pytest

from gossipsub.chorus import (
    ChorusPubSub,
    CoordinationComplete,
    Escalation,
    EscalationCounters,
    EscalationDesk,
    EscalationTrigger,
    MessageOptions,
    MessageType,
    MetaDiscussion,
    Payload,
    TaskClaim,
    ThreadLimits,
)
from gossipsub.chorus.delivery import Delivery
from gossipsub.wire.errors import LocalProtocolError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

Fleet = Callable[..., Any]
TRIGGER = EscalationTrigger(reason="we cannot agree", request_id="r1")


class Person:
    """Decides the same about everything, after a while."""

    def __init__(self, decision: Payload | None = None, *, after: float = 1.0) -> None:
        self.asked: list[tuple[float, Escalation]] = []
        self._decision = decision
        self._after = after

    async def __call__(self, escalation: Escalation) -> Payload | None:
        self.asked.append((anyio.current_time(), escalation))
        await anyio.sleep(self._after)
        return self._decision


def desk(chorus: ChorusPubSub, person: Any, **options: Any) -> EscalationDesk:
    return EscalationDesk(chorus, person, **{"rng": Random(1)} | options)


async def say(agent: ChorusPubSub, text: str, thread: str = "t") -> None:
    await agent.publish(MetaDiscussion(message=text), MessageOptions(thread_id=thread))


async def escalate(agent: ChorusPubSub, thread: str = "t") -> None:
    await agent.publish(TRIGGER, MessageOptions(thread_id=thread, project_id="p"))


def heard_by(chorus: ChorusPubSub) -> list[Delivery]:
    """What others say from now on."""
    got: list[Delivery] = []
    chorus.add_observer(lambda delivery: None if delivery.is_own else got.append(delivery))
    return got


async def test_a_person_decides_with_the_conversation_at_hand(fleet: Fleet) -> None:
    person = Person(CoordinationComplete(decision="the second"))
    receipt = MetaDiscussion(message="a person was told")
    async with (
        fleet(2) as (mesh, (a, b)),
        desk(b, person, receipt=receipt, thread_messages=3) as at_desk,
    ):
        for number in range(4):
            await say(a, f"no {number}")
        await say(a, "elsewhere", thread="other")
        await anyio.sleep(1)
        heard = heard_by(a)
        await escalate(a)
        await anyio.sleep(5)
        ((_, escalation),) = person.asked
        assert (escalation.sender, escalation.topic) == (mesh[0].peer_id, a.hmmm_topic)
        assert escalation.envelope.type == MessageType.ESCALATION_TRIGGER
        said = [(envelope.data or {}).get("message") for envelope in escalation.thread]
        # The receipt is part of it by then.
        assert said == ["no 3", None, "a person was told"]
        assert not escalation.is_caught_up
        first, last = [delivery.envelope for delivery in heard]
        assert (first.type, first.data) == (
            MessageType.META_DISCUSSION,
            {"message": "a person was told", "request_id": "r1"},
        )
        assert (last.type, last.data) == (
            MessageType.COORDINATION_COMPLETE,
            {"decision": "the second", "request_id": "r1"},
        )
        assert {(each.thread_id, each.project_id) for each in (first, last)} == {("t", "p")}
        assert at_desk.statistics() == EscalationCounters(handed=1, decided=1)


async def test_a_conversation_is_handed_over_once_in_a_while(fleet: Fleet) -> None:
    person = Person()
    async with fleet(3) as (_mesh, (a, b, c)), desk(c, person, repeat_after=60) as at_desk:
        for agent in (a, b, a):
            await escalate(agent)
        await escalate(b, thread="u")
        await anyio.sleep(61)
        assert [each.envelope.thread_id for _, each in person.asked] == ["t", "u"]
        assert at_desk.statistics().repeated == 2
        await escalate(a)
        await anyio.sleep(5)
        assert len(person.asked) == 3


async def test_messages_without_a_conversation_are_told_apart(fleet: Fleet) -> None:
    person = Person()
    async with fleet(2) as (_mesh, (a, b)), desk(b, person) as at_desk:
        for name in ("x", "x", "y"):
            trigger = EscalationTrigger(reason="help", extra={"delivery_id": name})
            await a.publish(trigger)
        await a.publish(EscalationTrigger(reason="help"))
        await a.publish(EscalationTrigger(reason="help"))
        await anyio.sleep(5)
        assert (len(person.asked), at_desk.statistics().repeated) == (4, 1)
        assert {each.thread for _, each in person.asked} == {()}


async def test_nobody_is_asked_faster_than_a_person_can_think(fleet: Fleet) -> None:
    person = Person(after=0.0)
    async with fleet(3) as (_mesh, (a, b, c)), desk(c, person, per_minute=3) as at_desk:
        start = anyio.current_time()
        for number in range(20):
            await escalate(a, thread=f"a{number}")
        await escalate(b, thread="b")
        await anyio.sleep(200)
        times = [round(at - start) for at, _ in person.asked]
        assert times == [0, 0, 0, 60, 60, 60, 120, 120, 120, 180, 180, 180][: len(times)]
        # Of one agent few may wait, so that others get a turn.
        assert at_desk.statistics().left_out == 20 + 1 - len(times)
        assert "b" in [each.envelope.thread_id for _, each in person.asked]


async def test_own_escalations_reach_the_person_too_and_those_for_others_do_not(
    fleet: Fleet,
) -> None:
    person = Person()
    async with fleet(2) as (_mesh, (a, b)), desk(b, person):
        b.set_role("Tech Lead")
        await b.publish(TRIGGER)
        await a.publish(TRIGGER, MessageOptions(to_roles=("Security",)))
        await a.publish(TRIGGER, MessageOptions(to_roles=("tech lead",)))
        await anyio.sleep(3)
        assert [each.sender for _, each in person.asked] == [b.host.peer_id, a.host.peer_id]


async def test_what_was_missed_is_handed_over_unless_it_is_settled(fleet: Fleet) -> None:
    person = Person()
    async with fleet(2) as (mesh, (a, b)), desk(b, person) as at_desk:
        said: list[Delivery] = []
        a.add_observer(said.append)
        mesh.partition(mesh[:1], mesh[1:])
        mesh.network.cut(mesh.machine_of(mesh[0]))
        await escalate(a, thread="open")
        await escalate(a, thread="settled")
        await a.publish(CoordinationComplete(), MessageOptions(thread_id="settled"))
        await anyio.sleep(1)
        for delivery in said:
            assert b.catch_up(delivery.signed)
            await anyio.sleep(1)
        await anyio.sleep(20)
        ((_, escalation),) = person.asked
        assert (escalation.envelope.thread_id, escalation.is_caught_up) == ("open", True)
        assert at_desk.statistics() == EscalationCounters(handed=1, settled=1)


async def test_a_person_that_fails_or_takes_too_long_ends_nothing(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(escalation: Escalation) -> Payload | None:
        if escalation.envelope.thread_id == "slow":
            await anyio.sleep(20)
        if escalation.envelope.thread_id == "wrong":
            return TaskClaim(task_id="1")
        if escalation.envelope.thread_id == "fine":
            return MetaDiscussion(message="go on")
        raise ValueError("broken")

    async with (
        fleet(2) as (_mesh, (a, b)),
        desk(b, fail, at_once=1, decision_timeout=10) as at_desk,
    ):
        with caplog.at_level(logging.CRITICAL):
            for thread in ("slow", "wrong", "broken", "fine"):
                await escalate(a, thread=thread)
            await anyio.sleep(15)
        assert at_desk.statistics() == EscalationCounters(handed=4, decided=1, failed=3)


@pytest.mark.parametrize("count", [2, 1])
async def test_a_conversation_that_comes_to_no_end_is_escalated_once(
    fleet: Fleet, count: int
) -> None:
    person = Person()
    limits = ThreadLimits(messages=5)
    async with (
        fleet(3) as (_mesh, (a, b, c)),
        desk(b, person, limits=limits) as one,
        desk(c, Person(), limits=limits if count == 2 else None, rng=Random(2)) as other,
    ):
        for number in range(4):
            await say(a, f"no {number}")
        await anyio.sleep(5)
        assert person.asked == []
        for _ in range(8):
            await say(a, "no")
        await anyio.sleep(5)
        await say(a, "no")
        await anyio.sleep(5)
        ((_, escalation),) = person.asked
        assert escalation.envelope.data is not None
        assert str(escalation.envelope.data["reason"]).startswith("no conclusion after 12 messages")
        assert escalation.envelope.thread_id == "t"
        # Several desks see it, one of them raises it.
        assert one.statistics().raised + other.statistics().raised == 1


async def test_one_that_is_over_is_not_escalated(fleet: Fleet) -> None:
    person = Person()
    async with (
        fleet(2) as (_mesh, (a, b)),
        desk(b, person, limits=ThreadLimits(messages=5)) as at_desk,
    ):
        for _ in range(3):
            for _ in range(4):
                await say(a, "no")
            await a.publish(CoordinationComplete(), MessageOptions(thread_id="t"))
        for _ in range(5):
            await say(a, "no", thread="u")
        # Before the desk has raised it.
        await a.publish(CoordinationComplete(), MessageOptions(thread_id="u"))
        await anyio.sleep(5)
        assert (person.asked, at_desk.statistics().raised) == ([], 0)


async def test_a_conversation_that_goes_on_for_too_long_is_escalated(fleet: Fleet) -> None:
    person = Person()
    async with fleet(2) as (_mesh, (a, b)), desk(b, person, limits=ThreadLimits(seconds=600)):
        await say(a, "no", thread="asleep")
        await say(a, "no")
        await anyio.sleep(590)
        await say(a, "no")
        await anyio.sleep(20)
        assert person.asked == []
        await say(a, "still no")
        await anyio.sleep(5)
        assert [each.envelope.thread_id for _, each in person.asked] == ["t"]


async def test_what_makes_no_sense_is_refused(fleet: Fleet) -> None:
    async with fleet(1) as (_mesh, (a,)):
        for options in (
            {"at_once": 0}, {"per_minute": 0}, {"repeat_after": -1}, {"decision_timeout": 0},
            {"thread_messages": 0}, {"receipt": TaskClaim(task_id="1")},
        ):  # fmt: skip
            with pytest.raises(LocalProtocolError):
                desk(a, Person(), **options)
        with pytest.raises(LocalProtocolError, match="coroutine function"):
            desk(a, None)
        for limits in ({"messages": 1}, {"seconds": 0}):
            with pytest.raises(LocalProtocolError, match="at least 2 messages"):
                ThreadLimits(**limits)
        async with desk(a, Person()) as at_desk:
            with pytest.raises(LocalProtocolError, match="open already"):
                await at_desk.__aenter__()
