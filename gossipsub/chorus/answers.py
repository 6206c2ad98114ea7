"""One request of this agent, and the answers to it as they come."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio

from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.payloads import Payload
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

MAX_WAITING = 64
"""Answers that wait to be read; each may take as much as an envelope may."""
MAX_ANSWERING = 1024
"""Agents whose answers one request takes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one agent answered."""

    payload: Payload
    envelope: Envelope
    sender: PeerId
    after: float
    """Seconds after it was asked."""


class Answers:
    """`async with requests.asking(...) as answers: async for answer in answers: ...`

    Entering sends the request, and raises what publishing raises. The iteration ends when as
    many agents answered as were wanted, or at the deadline. While it waits, the request is sent
    again, evenly over the time, until it was sent `attempts` times. Of each agent the first
    answer counts.
    """

    def __init__(
        self,
        send: Callable[[str], Awaitable[object]],
        register: Callable[[Answers, bool], None],
        *,
        response: str,
        deadline: float,
        wanted: int | None,
        asked: Collection[PeerId] | None,
        attempts: int,
    ) -> None:
        """`send` publishes the request with that request id; `register` is told when answers are
        wanted and when no longer."""
        if not deadline > 0:
            raise LocalProtocolError(f"deadline is above 0 seconds: {deadline}")
        if wanted is not None and (type(wanted) is not int or wanted < 1):
            raise LocalProtocolError(f"answers is a whole number from 1, or None: {wanted!r}")
        if type(attempts) is not int or not 1 <= attempts <= 100:
            raise LocalProtocolError(f"attempts is a whole number from 1 to 100: {attempts!r}")
        if asked is not None and not asked:
            raise LocalProtocolError("asked names nobody")
        self.request_id = secrets.token_hex(16)
        self.response = response
        self.asked = None if asked is None else frozenset(asked)
        self._send = send
        self._register = register
        self._seconds = deadline
        limit = MAX_ANSWERING if asked is None else len(set(asked))
        self._wanted = min(limit, wanted or limit)
        self._attempts = attempts
        self._sent = 0
        self._started = 0.0
        self._answered: dict[PeerId, None] = {}
        self._waiting: deque[Answer] = deque()
        self._changed = anyio.Event()

    async def __aenter__(self) -> Self:
        if self._sent:
            raise LocalProtocolError("a request is asked once; make another")
        self._started = anyio.current_time()
        self._register(self, True)
        try:
            await self._ask()
        except BaseException:
            self._register(self, False)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._register(self, False)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Answer:
        end = self._started + self._seconds
        while not self._waiting:
            now = anyio.current_time()
            if now >= end or len(self._answered) >= self._wanted:
                raise StopAsyncIteration
            again = self._started + self._sent * self._seconds / self._attempts
            self._changed = anyio.Event()
            with anyio.move_on_after(min(again, end) - now):
                await self._changed.wait()
            if again <= anyio.current_time() < end and not self._waiting:
                await self._ask()
        return self._waiting.popleft()

    def has_answer_of(self, agent: PeerId) -> bool:
        """Whether it has answered already."""
        return agent in self._answered

    def take(self, envelope: Envelope, payload: Payload, sender: PeerId) -> bool:
        """False where there is no room for it."""
        if len(self._answered) >= self._wanted or len(self._waiting) >= MAX_WAITING:
            return False
        self._answered[sender] = None
        after = anyio.current_time() - self._started
        self._waiting.append(Answer(payload, envelope, sender, after))
        self._changed.set()
        return True

    async def _ask(self) -> None:
        self._sent += 1
        await self._send(self.request_id)
