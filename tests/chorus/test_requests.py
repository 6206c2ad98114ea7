from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio
import pytest

from gossipsub.chorus import (
    ChorusPubSub,
    ContextRequest,
    ContextResponse,
    CoordinationComplete,
    CoordinationRequest,
    Envelope,
    ExpertiseRequest,
    ExpertiseResponse,
    MentorshipRequest,
    MentorshipResponse,
    MessageOptions,
    MessageType,
    Payload,
    RequestCounters,
    Requests,
    Server,
    TaskClaim,
    TaskHelpRequest,
    TaskHelpResponse,
)
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.topics import project_topic
from gossipsub.crypto.peer_id import PeerId
from gossipsub.testing.mesh import Mesh
from gossipsub.wire.errors import LocalProtocolError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

Fleet = Callable[..., Any]
QUESTION = ExpertiseRequest(question="Which log?")
EXPERTISE = MessageType.EXPERTISE_REQUEST


def says(answer: str, *, after: float = 0.0) -> Server:
    async def serve(envelope: Envelope, sender: PeerId) -> Payload | None:
        await anyio.sleep(after)
        return ExpertiseResponse(answer=answer)

    return serve


def texts(answers: list[Any]) -> list[str]:
    return [answer.payload.answer for answer in answers]


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (TaskHelpRequest(help_needed="all"), TaskHelpResponse(can_help=True)),
        (QUESTION, ExpertiseResponse(answer="this")),
        (ContextRequest(query="auth"), ContextResponse(content="so")),
        (MentorshipRequest(topic="go"), MentorshipResponse(accepted=True)),
        (CoordinationRequest(subject="api"), CoordinationComplete(consensus=True)),
    ],
    ids=lambda payload: payload.message_type,
)
async def test_each_kind_of_request_is_answered_in_its_thread(
    fleet: Fleet, request_: Payload, response: Payload
) -> None:
    async def serve(envelope: Envelope, sender: PeerId) -> Payload | None:
        asked.append((envelope, sender))
        return response

    asked: list[tuple[Envelope, PeerId]] = []
    async with fleet(2) as (mesh, (a, b)), Requests(a) as asking, Requests(b) as serving:
        serving.serve(request_.message_type, serve)
        options = MessageOptions(thread_id="thread-1", project_id="p", priority="high")
        answer = await asking.ask_one(request_, options=options)
        ((envelope, sender),) = asked
        assert (envelope.thread_id, envelope.priority, sender) == (
            "thread-1",
            "high",
            mesh[0].peer_id,
        )
        name = (envelope.data or {})["request_id"]
        assert isinstance(name, str)
        assert len(bytes.fromhex(name)) == 16
        assert answer.payload == type(response).from_data(response.to_data() | {"request_id": name})
        assert answer.sender == mesh[1].peer_id
        assert (answer.envelope.thread_id, answer.envelope.project_id) == ("thread-1", "p")
        assert 0 < answer.after < 1


async def test_answers_come_one_by_one_as_they_are_given(fleet: Fleet) -> None:
    async with (
        fleet(3) as (_mesh, (a, b, c)),
        Requests(a) as asking,
        Requests(b) as slow,
        Requests(c) as quick,
    ):
        slow.serve(EXPERTISE, says("slow", after=3))
        quick.serve(EXPERTISE, says("quick"))
        start = anyio.current_time()
        async with asking.asking(QUESTION, deadline=9) as answers:
            first = await anext(answers)
            assert (texts([first]), anyio.current_time() - start < 1) == (["quick"], True)
            assert texts([answer async for answer in answers]) == ["slow"]
        # All that come until the deadline, as nobody knows how many there are.
        assert anyio.current_time() - start == pytest.approx(9, abs=0.1)
        assert texts(await asking.ask(QUESTION, answers=2)) == ["quick", "slow"]
        assert texts(await asking.ask(QUESTION)) == ["quick"]
        await anyio.sleep(5)
        assert asking.statistics().late == 1


async def test_nobody_answering_is_an_empty_list_or_an_error_where_one_is_needed(
    fleet: Fleet,
) -> None:
    async with fleet(2) as (_mesh, (a, b)), Requests(a) as asking, Requests(b):
        start = anyio.current_time()
        assert await asking.ask(QUESTION, deadline=5) == []
        with pytest.raises(TimeoutError, match=r"^nobody answered a expertise_request in 5 s$"):
            await asking.ask_one(QUESTION, deadline=5)
        assert anyio.current_time() - start == pytest.approx(10, abs=0.1)


async def test_only_those_asked_serve_and_are_heard(fleet: Fleet) -> None:
    async with (
        fleet(3) as (mesh, (a, b, c)),
        Requests(a) as asking,
        Requests(b) as bob,
        Requests(c) as carol,
    ):
        bob.serve(EXPERTISE, says("bob"))
        carol.serve(EXPERTISE, says("carol", after=0.5))  # when others would have been heard
        assert texts(await asking.ask(QUESTION, asked=[mesh[2].peer_id], answers=None)) == ["carol"]
        # Somebody who was not asked, and answers all the same.
        meddle(b)
        assert texts(await asking.ask(QUESTION, asked=[mesh[2].peer_id], answers=None)) == ["carol"]
        await anyio.sleep(1)
        counts = asking.statistics()
        assert (counts.answers, counts.not_asked, counts.late) == (2, 1, 0)
        assert bob.statistics().served == 0


def meddle(chorus: ChorusPubSub, times: int = 1, **fields: object) -> None:
    """Has the agent answer every request, as one would that knows nothing of the rules."""

    async def answer(envelope: Envelope, sender: PeerId) -> None:
        name = (envelope.data or {})["request_id"]
        data = {"answer": "meddled", "request_id": name} | fields
        for _ in range(times):
            await chorus.publish_hmmm_message(MessageType.EXPERTISE_RESPONSE, data)

    chorus.set_hmmm_message_handler(answer, EXPERTISE)


async def test_of_each_agent_one_answer_counts(fleet: Fleet) -> None:
    async with fleet(2) as (_mesh, (a, b)), Requests(a) as asking:
        meddle(b, times=3)
        assert texts(await asking.ask(QUESTION, answers=None)) == ["meddled"]
        assert asking.statistics() == RequestCounters(asked=1, answers=1, repeated=2)


async def test_what_is_no_answer_by_its_schema_is_left_out(fleet: Fleet) -> None:
    async with fleet(2) as (_mesh, (a, b)), Requests(a) as asking:
        b.set_hmmm_message_handler(_answer_badly(b), EXPERTISE)
        assert await asking.ask(QUESTION, deadline=2) == []
        assert asking.statistics().malformed == 2


class Garbler:
    """A redactor that breaks answers, as another agent may."""

    def redact_map_with_labels(self, payload: Any, labels: Mapping[str, str]) -> Any:
        return payload | {"answer": 5}

    def redact_text_with_labels(self, text: str, labels: Mapping[str, str]) -> str:
        return text


def _answer_badly(chorus: ChorusPubSub) -> Callable[..., Any]:
    async def answer(envelope: Envelope, sender: PeerId) -> None:
        name = (envelope.data or {})["request_id"]
        chorus.set_redactor(Garbler())
        await chorus.publish(ExpertiseResponse(answer="this", request_id=name))
        chorus.set_redactor(None)
        await chorus.publish_hmmm_message(MessageType.TASK_HELP_RESPONSE, {"request_id": name})

    return answer


async def test_requests_are_for_those_of_the_role(fleet: Fleet) -> None:
    async with (
        fleet(3) as (mesh, (a, b, c)),
        Requests(a) as asking,
        Requests(b) as bob,
        Requests(c) as carol,
    ):
        b.set_role("Architect")
        c.set_role("Developer")
        bob.serve(EXPERTISE, says("bob"))
        carol.serve(EXPERTISE, says("carol"))
        options = MessageOptions(to_roles=("architect",))
        answers = await asking.ask(QUESTION, options=options, answers=None)
        assert [answer.sender for answer in answers] == [mesh[1].peer_id]


async def test_a_request_survives_the_loss_of_the_first_and_is_served_once(fleet: Fleet) -> None:
    async def serve(envelope: Envelope, sender: PeerId) -> Payload | None:
        served.append((envelope.data or {})["request_id"])
        return ExpertiseResponse(answer="here")

    served: list[object] = []
    async with fleet(2) as (mesh, (a, b)), Requests(a) as asking, Requests(b) as serving:
        serving.serve(EXPERTISE, serve)
        lose(mesh)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_reconnect, mesh, 4.0)
            answer = await asking.ask_one(QUESTION, deadline=30, attempts=6)
        assert answer.after > 4
        # An answer that is lost is given again, without asking the server.
        await asking.ask(QUESTION, deadline=6, attempts=3, answers=2)
        assert len(served) == 2
        assert asking.statistics().repeated == 2
        assert serving.statistics().served == 4


def lose(mesh: Mesh) -> None:
    """What is sent from now on reaches nobody."""
    mesh.partition(mesh[:1], mesh[1:])
    mesh.network.cut(mesh.machine_of(mesh[0]))


async def _reconnect(mesh: Mesh, after: float) -> None:
    await anyio.sleep(after)
    mesh.heal()
    await mesh[0].connect(mesh[1].addresses[0])


async def test_what_is_told_afterwards_is_not_served_and_nobody_answers_himself(
    fleet: Fleet,
) -> None:
    async with fleet(2) as (mesh, (a, b)), Requests(a) as asking, Requests(b) as serving:
        said: list[Delivery] = []
        a.add_observer(said.append)
        asking.serve(EXPERTISE, says("to myself"))
        serving.serve(EXPERTISE, says("too late"))
        lose(mesh)
        assert await asking.ask(QUESTION, deadline=2) == []
        assert b.catch_up(said[0].signed)
        await anyio.sleep(2)
        assert serving.statistics() == RequestCounters()
        assert asking.statistics() == RequestCounters(asked=1)


async def test_what_goes_wrong_in_a_server_is_counted_and_ends_nothing(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(envelope: Envelope, sender: PeerId) -> Payload | None:
        raise ValueError("broken")

    async def mistake(envelope: Envelope, sender: PeerId) -> Payload | None:
        return TaskClaim(task_id="1")

    async def misunderstanding(envelope: Envelope, sender: PeerId) -> Payload | None:
        return {"answer": "this"}  # type: ignore[return-value]

    async def silence(envelope: Envelope, sender: PeerId) -> Payload | None:
        return None

    async with (
        fleet(2) as (_mesh, (a, b)),
        Requests(a) as asking,
        Requests(b, running=1, serve_timeout=5) as serving,
    ):
        for server, failed in (
            (fail, 1),
            (mistake, 2),
            (misunderstanding, 3),
            (says("too late", after=6), 4),
            (silence, 4),
        ):
            serving.serve(EXPERTISE, server)
            with caplog.at_level(logging.CRITICAL):
                assert await asking.ask(QUESTION) == []
            assert serving.statistics().failed == failed
        serving.serve(EXPERTISE, says("well"))
        assert texts(await asking.ask(QUESTION)) == ["well"]
        serving.serve(EXPERTISE, None)
        assert await asking.ask(QUESTION) == []


async def test_a_request_whose_names_no_answer_could_carry_is_answered_without_them(
    fleet: Fleet,
) -> None:
    async with fleet(2) as (_mesh, (a, b)), Requests(a) as asking, Requests(b) as serving:
        serving.serve(EXPERTISE, says("well"))
        options = MessageOptions(thread_id="<" * 43_000, project_id="p")
        answer = await asking.ask_one(QUESTION, options=options, deadline=5)
        assert (answer.envelope.thread_id, answer.envelope.project_id) == ("", "p")


async def test_of_requests_that_wait_or_were_served_no_decoded_envelope_is_kept(
    fleet: Fleet,
) -> None:
    """Decoded, one can take twenty times the memory of the message."""

    def kept() -> int:
        gc.collect()
        return sum(isinstance(each, Envelope) for each in gc.get_objects())

    async with (
        fleet(2) as (_mesh, (a, b)),
        Requests(a),
        Requests(b, running=1) as serving,
    ):
        before = kept()
        serving.serve(EXPERTISE, says("well", after=5))
        for number in range(8):
            await a.publish(replace(QUESTION, request_id=str(number)))
        await anyio.sleep(1)
        assert kept() - before <= 1
        await anyio.sleep(60)
        assert serving.statistics().served == 8
        assert kept() <= before


async def test_more_requests_than_can_wait_are_not_served(fleet: Fleet) -> None:
    async with (
        fleet(2) as (_mesh, (a, b)),
        Requests(a) as asking,
        Requests(b, running=1, waiting=2) as serving,
    ):
        serving.serve(EXPERTISE, says("one", after=2))
        answers: list[Any] = []

        async def ask() -> None:
            answers.extend(await asking.ask(QUESTION, deadline=20))

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(ask)
        assert serving.statistics().not_served == 8 - len(answers)
        assert 2 <= len(answers) <= 4


async def test_a_request_in_a_projects_topic_is_answered_there(fleet: Fleet) -> None:
    topic = project_topic("p")
    async with fleet(2) as (mesh, (a, b)), Requests(a) as asking, Requests(b) as serving:
        for agent in (a, b):
            await agent.join_project_topic("p")
        await mesh.wait_until_grafted(topic)
        heard: list[str] = []
        a.add_observer(lambda delivery: heard.append(delivery.topic))
        serving.serve(EXPERTISE, says("here"))
        await asking.ask_one(QUESTION, topic=topic)
        assert heard == [topic, topic]


async def test_requests_of_agents_that_know_nothing_of_it_are_left_to_handlers(
    fleet: Fleet,
) -> None:
    async with fleet(2) as (_mesh, (a, b)), Requests(b) as serving:
        got: list[Envelope] = []
        b.set_hmmm_message_handler(lambda envelope, sender: got.append(envelope))
        serving.serve(EXPERTISE, says("no"))
        for data in ({}, {"request_id": "x" * 65}, {"request_id": ""}):
            await a.publish_hmmm_message(EXPERTISE, {"question": "what"} | data)
        await anyio.sleep(2)
        assert len(got) == 3
        assert serving.statistics() == RequestCounters()


async def test_what_makes_no_sense_is_refused(fleet: Fleet) -> None:
    async with fleet(1) as (mesh, (a,)):
        with pytest.raises(LocalProtocolError, match="open it first"):
            await Requests(a).ask(QUESTION)
        with pytest.raises(LocalProtocolError, match="at least 1 runs"):
            Requests(a, running=0)
        with pytest.raises(LocalProtocolError, match="serve_timeout"):
            Requests(a, serve_timeout=0)
        async with Requests(a) as asking:
            with pytest.raises(LocalProtocolError, match="open already"):
                await asking.__aenter__()
            with pytest.raises(LocalProtocolError, match="not a request: task_claim"):
                await asking.ask(TaskClaim(task_id="1"))
            with pytest.raises(LocalProtocolError, match="not a type of requests"):
                asking.serve(MessageType.TASK_CLAIM, says(""))
            with pytest.raises(LocalProtocolError, match="coroutine function"):
                asking.serve(EXPERTISE, 5)  # type: ignore[arg-type]
            for options in (
                {"deadline": 0}, {"answers": 0}, {"attempts": 0}, {"asked": []},
                {"asked": [mesh[0].peer_id] * 257}, {"topic": "never joined"},
                {"asked": mesh[0].peer_id},
            ):  # fmt: skip
                with pytest.raises(LocalProtocolError):
                    await asking.ask(QUESTION, **options)  # type: ignore[arg-type]
            async with asking.asking(QUESTION, deadline=1) as answers:
                with pytest.raises(LocalProtocolError, match="asked once"):
                    await answers.__aenter__()
            assert asking.statistics() == RequestCounters(asked=1)
