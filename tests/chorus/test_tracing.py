from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from gossipsub.chorus import (
    Envelope,
    Escalation,
    EscalationDesk,
    EscalationTrigger,
    ExpertiseRequest,
    ExpertiseResponse,
    MessageType,
    MetaDiscussion,
    Payload,
    Requests,
    Span,
    TraceContext,
    Tracing,
    current_trace,
    use_trace,
)
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

Fleet = Callable[..., Any]
TRACE = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1, (("foo", "1"),))
CLAIM = {"task_id": "1"}


async def test_a_trace_goes_from_agent_to_agent_and_on(fleet: Fleet) -> None:
    spans: list[Span] = []
    got: list[Envelope] = []

    async with fleet(2) as (_mesh, (a, b)), Tracing(a), Tracing(b, on_span=spans.append):

        async def answer(envelope: Envelope, sender: PeerId) -> None:
            await anyio.sleep(1)
            await b.publish_bzzz_message(MessageType.TASK_PROGRESS, CLAIM)

        b.set_bzzz_message_handler(answer)
        a.set_bzzz_message_handler(lambda envelope, sender: got.append(envelope))
        with use_trace(TRACE):
            await a.publish_bzzz_message(MessageType.TASK_CLAIM, CLAIM)
        await anyio.sleep(3)
        (span,) = spans
        assert (span.name, span.parent_id, span.failed) == ("task_claim", TRACE.span_id, False)
        assert span.start_ns <= span.end_ns
        assert (span.context.trace_id, span.context.state) == (TRACE.trace_id, TRACE.state)
        assert span.context.span_id != TRACE.span_id
        (envelope,) = got
        assert envelope.data == CLAIM | span.context.to_data()


async def test_a_failing_on_span_changes_nothing_for_the_handler(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(span: Span) -> None:
        raise ValueError("full")

    async with fleet(2) as (_mesh, (a, b)), Tracing(a, start_traces=True), Tracing(b, on_span=fail):
        got: list[Envelope] = []
        b.set_bzzz_message_handler(lambda envelope, sender: got.append(envelope))
        await a.publish_bzzz_message(MessageType.TASK_CLAIM, CLAIM)
        await anyio.sleep(1)
        assert len(got) == 1
        topic = b.statistics().topics[b.coordination_topic]
        assert (topic.handled, topic.handler_errors) == (1, 0)
    (message,) = caplog.messages
    assert message.startswith("on_span failed name=")


async def test_messages_of_no_trace_stay_so_unless_traces_are_to_begin(fleet: Fleet) -> None:
    got: list[tuple[object, TraceContext | None]] = []
    async with fleet(2) as (_mesh, (a, b)), Tracing(b):
        b.set_bzzz_message_handler(lambda e, sender: got.append((e.data, current_trace())))
        async with Tracing(a):
            await a.publish_bzzz_message(MessageType.TASK_CLAIM, CLAIM)
        async with Tracing(a, start_traces=True):
            await a.publish_bzzz_message(MessageType.TASK_CLAIM, CLAIM)
            # What somebody put there stays.
            await a.publish_bzzz_message(MessageType.TASK_CLAIM, CLAIM | {"traceparent": "mine"})
        await a.publish_bzzz_message(MessageType.TASK_CLAIM, CLAIM)
        await anyio.sleep(1)
        plain, (data, context), mine, last = got
        assert plain == last == (CLAIM, None)
        assert mine == (CLAIM | {"traceparent": "mine"}, None)
        begun = TraceContext.from_data(data)  # type: ignore[arg-type]
        assert begun is not None
        assert context is not None
        assert context.trace_id == begun.trace_id


async def test_a_failing_handlers_span_says_so_and_does_not_stay(fleet: Fleet) -> None:
    spans: list[Span] = []
    after: list[TraceContext | None] = []

    def handle(envelope: Envelope, sender: PeerId) -> None:
        if envelope.type == MessageType.TASK_CLAIM:
            raise ValueError("no")
        after.append(current_trace())

    async with fleet(2) as (_mesh, (a, b)), Tracing(b, on_span=spans.append):
        b.set_bzzz_message_handler(handle)
        await a.publish_bzzz_message(MessageType.TASK_CLAIM, CLAIM | TRACE.to_data())
        await a.publish_bzzz_message(MessageType.TASK_PROGRESS, CLAIM)
        await anyio.sleep(1)
        assert [span.failed for span in spans] == [True]
        assert after == [None]


async def test_answers_and_decisions_belong_to_the_trace_of_the_question(fleet: Fleet) -> None:
    async def answer(envelope: Envelope, sender: PeerId) -> Payload:
        return ExpertiseResponse(answer="yes")

    async def decide(escalation: Escalation) -> Payload:
        return MetaDiscussion(message="go on")

    async with (
        fleet(2) as (_mesh, (a, b)),
        Tracing(a),
        Tracing(b),
        Requests(a) as asking,
        Requests(b) as serving,
        EscalationDesk(b, decide),
    ):
        said: list[Envelope] = []
        b.add_observer(lambda delivery: said.append(delivery.envelope))
        serving.serve(MessageType.EXPERTISE_REQUEST, answer)
        with use_trace(TRACE):
            await asking.ask_one(ExpertiseRequest(question="why"))
            await a.publish(EscalationTrigger(reason="help"))
        await anyio.sleep(1)
        found = [TraceContext.from_data(envelope.data) for envelope in said]
        assert [context and context.trace_id for context in found] == [TRACE.trace_id] * 4
        assert found[0] == found[2] == TRACE
        assert len({context and context.span_id for context in found}) == 3


async def test_it_is_opened_once(fleet: Fleet) -> None:
    async with fleet(1) as (_mesh, (a,)), Tracing(a) as tracing:
        with pytest.raises(LocalProtocolError, match="open already"):
            await tracing.__aenter__()
