"""The line in which escalations wait for a person: who gets in, and when the next one is asked."""

from __future__ import annotations

from collections import Counter, deque
from enum import Enum, auto

import anyio

from gossipsub.chorus.delivery import Delivery, WaitingDelivery
from gossipsub.chorus.recent_names import read_name
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

MAX_WAITING = 64
MAX_WAITING_OF_ONE = 8
"""Of one agent."""
MAX_REMEMBERED = 1024
"""Escalations that are told apart from repetitions; beyond it the oldest may come again."""
MINUTE = 60.0


class Admission(Enum):
    """What became of an escalation."""

    WAITS = auto()
    REPEATED = auto()
    """Its conversation was escalated a short while ago."""
    FULL = auto()


class EscalationLine:
    """First come, first served, `per_minute` in any minute. One conversation, or message without
    one, gets in once in `repeat_after` seconds."""

    def __init__(self, *, per_minute: int, repeat_after: float) -> None:
        if per_minute < 1:
            raise LocalProtocolError(f"per_minute is at least 1: {per_minute}")
        if not repeat_after >= 0:
            raise LocalProtocolError(f"repeat_after is at least 0 seconds: {repeat_after}")
        self._repeat_after = repeat_after
        self._recent: dict[str, float] = {}
        self._waiting_of: Counter[PeerId] = Counter()
        self._waiting: deque[WaitingDelivery] = deque()
        self._came = anyio.Event()
        self._asked_at: deque[float] = deque(maxlen=per_minute)
        self._turn = anyio.Lock()

    def join(self, delivery: Delivery, *, now: float) -> Admission:
        key = _key(delivery)
        if now - self._recent.get(key, float("-inf")) < self._repeat_after:
            return Admission.REPEATED
        if (
            len(self._waiting) >= MAX_WAITING
            or self._waiting_of[delivery.sender] >= MAX_WAITING_OF_ONE
        ):
            return Admission.FULL
        self._recent.pop(key, None)
        if len(self._recent) == MAX_REMEMBERED:
            del self._recent[next(iter(self._recent))]
        self._recent[key] = now
        self._waiting_of[delivery.sender] += 1
        self._waiting.append(WaitingDelivery.of(delivery))
        self._came.set()
        return Admission.WAITS

    async def next(self) -> Delivery:
        """The one that waited longest, as soon as another may be asked about."""
        async with self._turn:
            if len(self._asked_at) == self._asked_at.maxlen:
                await anyio.sleep_until(self._asked_at[0] + MINUTE)
            while not self._waiting:
                self._came = anyio.Event()
                await self._came.wait()
            self._asked_at.append(anyio.current_time())
            waiting = self._waiting.popleft()
            self._waiting_of[waiting.sender] -= 1
            if not self._waiting_of[waiting.sender]:
                del self._waiting_of[waiting.sender]
            return waiting.delivery()


def _key(delivery: Delivery) -> str:
    envelope = delivery.envelope
    if envelope.thread_id:
        return f"thread {envelope.thread_id[:256]}"
    name = read_name((envelope.data or {}).get("delivery_id"))
    return f"message {delivery.sender} {name or delivery.signed.origin.hex()}"
