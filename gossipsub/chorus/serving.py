"""Answering what other agents request: who does it, how often, and what was answered before."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from gossipsub.chorus.delivery import Delivery, WaitingDelivery
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.message_options import MessageOptions, options_of_answer
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads import Payload
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.chorus.recent_names import RecentNames
from gossipsub.chorus.request_types import RESPONSES, RequestCounters
from gossipsub.chorus.trace_context import TraceContext, current_trace, use_trace
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import GossipSubError, LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.serving")

REMEMBERED = 512
"""Requests of others whose answers are kept, to be sent again when they are asked again."""
REPETITIONS = 8
"""How often one request is answered again at most."""

Server = Callable[[Envelope, PeerId], Awaitable[Payload | None]]
"""Takes a request and the agent that asks; returns the answer, or None to say nothing."""


@dataclass(slots=True)
class _Served:
    """A request, until a server has it, and how to answer it; its answer, once there is one, and
    the trace that belongs to; and how often it was asked again."""

    waiting: WaitingDelivery | None
    topic: str
    request_id: str
    options: MessageOptions
    answer: Payload | None = None
    trace: TraceContext | None = None
    repetitions: int = 0


class Serving:
    """Owns the servers, the requests that wait for them, and what they answered."""

    def __init__(
        self,
        chorus: ChorusPubSub,
        counters: RequestCounters,
        *,
        running: int,
        waiting: int,
        timeout: float,
    ) -> None:
        if running < 1 or waiting < 1:
            raise LocalProtocolError(f"at least 1 runs, and 1 may wait: {running}, {waiting}")
        if not timeout > 0:
            raise LocalProtocolError(f"serve_timeout is above 0 seconds: {timeout}")
        self._chorus = chorus
        self._counters = counters
        self._running = running
        self._timeout = timeout
        self._servers: dict[str, Server] = {}
        self._served: RecentNames[_Served] = RecentNames(REMEMBERED)
        self._waiting = waiting
        self._queue: MemoryObjectSendStream[_Served] | None = None

    def set(self, request: MessageType | str, server: Server | None) -> None:
        if request not in RESPONSES:
            raise LocalProtocolError(f"not a type of requests: {request!r}")
        if server is None:
            self._servers.pop(request, None)
        elif callable(server):
            self._servers[request] = server
        else:
            kind = type(server).__name__
            raise LocalProtocolError(f"a server is a coroutine function, not of type {kind}")

    def start(self, tasks: TaskGroup) -> None:
        self._queue, receive = anyio.create_memory_object_stream[_Served](self._waiting)
        with receive:
            for _ in range(self._running):
                tasks.start_soon(self._work, receive.clone())

    def close(self) -> None:
        if self._queue is not None:
            self._queue.close()

    def take(self, delivery: Delivery, request_id: str) -> None:
        """A request of another agent; nothing happens where it is for others."""
        envelope = delivery.envelope
        if self._queue is None or envelope.type not in self._servers:
            return
        if not self._chorus.is_for_us(envelope):
            return
        served = self._served.find(delivery.sender, request_id)
        if served is None:
            waiting = WaitingDelivery.of(delivery)
            served = _Served(waiting, delivery.topic, request_id, options_of_answer(envelope))
        elif served.answer is None or served.repetitions >= REPETITIONS:
            return  # nobody has answered it yet, or often enough
        else:
            served.repetitions += 1
        try:
            self._queue.send_nowait(served)
        except anyio.WouldBlock:
            self._counters.not_served += 1
            return
        self._served.add(delivery.sender, request_id, served)

    async def _work(self, queue: MemoryObjectReceiveStream[_Served]) -> None:
        with queue:
            async for served in queue:
                waiting, served.waiting = served.waiting, None
                if waiting is not None:
                    served.answer = await self._ask_server(served, waiting.delivery())
                if served.answer is not None:
                    with use_trace(served.trace):
                        await self._reply(served, served.answer)

    async def _ask_server(self, served: _Served, delivery: Delivery) -> Payload | None:
        kind = delivery.envelope.type
        server = self._servers.get(kind)
        answers: list[Payload | None] = []

        async def serve(envelope: Envelope, sender: PeerId) -> None:
            served.trace = current_trace()
            if server is not None:
                answers.append(await server(envelope, sender))

        with anyio.move_on_after(self._timeout):
            await self._chorus.call_handler(serve, delivery)
        if not answers:
            self._counters.failed += 1
            logger.debug("no answer type=%s sender=%s", kind, delivery.sender)
            return None
        (answer,) = answers
        if answer is not None and not _answers(answer, kind):
            self._counters.failed += 1
            given = answer.message_type if isinstance(answer, Payload) else type(answer).__name__
            logger.error("a server answered with another type request=%s answer=%s", kind, given)
            return None
        return answer

    async def _reply(self, served: _Served, answer: Payload) -> None:
        try:
            reply = type(answer).from_data(answer.to_data() | {"request_id": served.request_id})
            await self._chorus.publish(reply, served.options, topic=served.topic)
        except (GossipSubError, ValueError) as error:
            self._counters.failed += 1
            logger.warning("an answer was not sent type=%s error=%s", answer.message_type, error)
            return
        self._counters.served += 1


def _answers(answer: object, request: str) -> bool:
    return isinstance(answer, Payload) and answer.message_type == RESPONSES[request]
