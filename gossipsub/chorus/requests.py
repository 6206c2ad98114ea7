"""Requests and replies: ask the agents of a topic, and answer what they ask."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import replace

from gossipsub.chorus.access_rule import agent_ids
from gossipsub.chorus.agent_part import AgentPart
from gossipsub.chorus.answers import Answer, Answers
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.message_options import MessageOptions
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads import BadPayload, Payload, payload_of
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.chorus.recent_names import read_name
from gossipsub.chorus.request_types import RESPONSES, RequestCounters
from gossipsub.chorus.serving import Server, Serving
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

MAX_OPEN = 256
"""Requests of this agent that wait for answers at one time."""
REMEMBERED = 1024
"""Requests that are over, of which late answers are counted."""
MAX_ASKED = 256
"""Agents that one request may name."""

_ANSWERING = frozenset(RESPONSES.values())


class Requests(AgentPart):
    """`async with Requests(chorus) as requests:` inside the `async with` of `chorus`.

    Requests and answers are messages of the ordinary types, joined by `data["request_id"]`, 128
    random bits in hexadecimal. Agents that know nothing of it see and handle them as ever, but
    their answers, without the id, are not found.

    Of the requests of others up to `running` are served at once, up to `waiting` more wait, and
    each may take `serve_timeout` seconds.
    """

    def __init__(
        self,
        chorus: ChorusPubSub,
        *,
        running: int = 8,
        waiting: int = 64,
        serve_timeout: float = 60.0,
    ) -> None:
        super().__init__(chorus)
        self._counters = RequestCounters()
        self._serving = Serving(
            chorus, self._counters, running=running, waiting=waiting, timeout=serve_timeout
        )
        self._asked: dict[str, Answers] = {}
        self._over: dict[str, None] = {}

    async def _open(self, stack: AsyncExitStack) -> None:
        stack.callback(self._serving.close)
        self._serving.start(await self._start_tasks(stack))
        self._start_observing(stack)

    def asking(
        self,
        payload: Payload,
        *,
        options: MessageOptions | None = None,
        topic: str | None = None,
        deadline: float = 10.0,
        answers: int | None = None,
        asked: Collection[PeerId] | None = None,
        attempts: int = 1,
    ) -> Answers:
        """Ask, and have the answers as they come; see `Answers`.

        `payload` is one of the five requests, published to `topic` (None: the home topic of its
        type) with `options`. It takes `answers` answers (None: all), until `deadline` seconds
        have passed. With `asked` only these agents serve it, and only their answers are taken.
        `attempts` is how often it is sent at most, for messages can be lost: agents that run
        `Requests` serve it once all the same, and repeat what they answered. LocalProtocolError
        for arguments that make no sense, and with 256 requests open.
        """
        self._require_open()
        response = RESPONSES.get(payload.message_type)
        if response is None:
            raise LocalProtocolError(f"not a request: {payload.message_type}")
        if asked is not None and len(asked) > MAX_ASKED:
            raise LocalProtocolError(f"asked names at most {MAX_ASKED} agents: {len(asked)}")
        asked = None if asked is None else agent_ids("asked", asked)
        names = {} if asked is None else {"asked": sorted(str(peer) for peer in asked)}
        said = payload.to_data() | names

        sent = 0

        async def send(request_id: str) -> None:
            nonlocal sent
            request = type(payload).from_data(said | {"request_id": request_id})
            await self._chorus.publish(request, options, topic=topic)
            self._counters.asked += not sent
            self._counters.resent += bool(sent)
            sent += 1

        return Answers(
            send,
            self._register,
            response=response,
            deadline=deadline,
            wanted=answers,
            asked=asked,
            attempts=attempts,
        )

    async def ask(
        self,
        payload: Payload,
        *,
        options: MessageOptions | None = None,
        topic: str | None = None,
        deadline: float = 10.0,
        answers: int | None = 1,
        asked: Collection[PeerId] | None = None,
        attempts: int = 1,
    ) -> list[Answer]:
        """Ask as `asking` does and return the answers, in the order they came.

        Where nobody answers the list is empty: who asks a whole topic must expect it. See
        `ask_one` for a question that needs an answer.
        """
        asking = self.asking(
            payload,
            options=options,
            topic=topic,
            deadline=deadline,
            answers=answers,
            asked=asked,
            attempts=attempts,
        )
        async with asking as found:
            return [answer async for answer in found]

    async def ask_one(
        self,
        payload: Payload,
        *,
        options: MessageOptions | None = None,
        topic: str | None = None,
        deadline: float = 10.0,
        asked: Collection[PeerId] | None = None,
        attempts: int = 1,
    ) -> Answer:
        """Ask as `asking` does and return the first answer; TimeoutError where there is none."""
        found = await self.ask(
            payload,
            options=options,
            topic=topic,
            deadline=deadline,
            asked=asked,
            attempts=attempts,
        )
        if not found:
            raise TimeoutError(f"nobody answered a {payload.message_type} in {deadline} s")
        return found[0]

    def serve(self, request: MessageType | str, server: Server | None) -> None:
        """Have requests of that type answered by `server`, a coroutine function of the envelope
        and the agent that asks.

        It returns the payload of the type that answers, or None to leave it to others. It is
        asked about requests that are for this agent by role and expertise and that name it, if
        they name anybody; once about each. It replaces the server there was; None removes it.
        What goes wrong in it is logged and counted.
        """
        self._serving.set(request, server)

    def statistics(self) -> RequestCounters:
        """What has happened so far, in numbers."""
        return replace(self._counters)

    # -- inside ----------------------------------------------------------------------------

    def _register(self, answers: Answers, is_open: bool) -> None:
        if is_open:
            if len(self._asked) >= MAX_OPEN:
                raise LocalProtocolError(f"{MAX_OPEN} requests wait for answers already")
            self._asked[answers.request_id] = answers
            return
        del self._asked[answers.request_id]
        if len(self._over) >= REMEMBERED:
            del self._over[next(iter(self._over))]
        self._over[answers.request_id] = None

    def _observe(self, delivery: Delivery) -> None:
        kind = delivery.envelope.type
        # What is told afterwards has been answered, or is too late.
        if delivery.is_own or delivery.is_caught_up:
            return
        if kind not in RESPONSES and kind not in _ANSWERING:
            return
        data = delivery.envelope.data or {}
        request_id = read_name(data.get("request_id"))
        if request_id is None:
            return
        if kind in _ANSWERING:
            self._take_answer(delivery, request_id)
        elif "asked" not in data or self._is_asked(data["asked"]):
            self._serving.take(delivery, request_id)

    def _is_asked(self, names: object) -> bool:
        return isinstance(names, list) and str(self._chorus.host.peer_id) in names[:MAX_ASKED]

    def _take_answer(self, delivery: Delivery, request_id: str) -> None:
        counters = self._counters
        answers = self._asked.get(request_id)
        if answers is None:
            counters.late += request_id in self._over
            return
        if delivery.envelope.type != answers.response:
            counters.malformed += 1
        elif answers.asked is not None and delivery.sender not in answers.asked:
            counters.not_asked += 1
        elif answers.has_answer_of(delivery.sender):
            counters.repeated += 1
        else:
            try:
                payload = payload_of(delivery.envelope)
            except BadPayload:
                counters.malformed += 1
                return
            if answers.take(delivery.envelope, payload, delivery.sender):
                counters.answers += 1
            else:
                counters.left_out += 1
