"""`publish_many`: a run of numbered, time-stamped messages, with flow control if asked for."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio

from gossipsub.peer.fields import BadCommand, Fields
from gossipsub.peer.receiver import STAMP_BYTES
from gossipsub.wake import Wake
from gossipsub.wire.errors import GossipSubError

MAX_SIZE = 64 << 20
NOISE_BYTES = 4096
"""Each message's padding begins at another byte of the same noise: to make noise for each would
take as long as to sign it."""
EARLY_SECONDS = 0.0005
"""uvloop's timers count whole milliseconds, and come half of one too early at most: then the loop
would turn without a rest until the time has come. Waited for so much longer, they do not."""
Publish = Callable[[bytes], Awaitable[object]]


@dataclass(slots=True)
class Load:
    """What to publish, and how far it is."""

    count: int
    size: int
    window: int
    """At most so many beyond the newest credit are under way; 0: no bound."""
    rate: float
    """Messages a second; 0: as fast as they go."""
    first_seq: int
    timeout: float
    """Seconds."""
    sent: int = 0
    failed: int = 0
    credit: int = 0
    is_stopped: bool = False
    wake: Wake = field(default_factory=Wake)

    def is_full(self) -> bool:
        """Whether as many are under way as may be."""
        return self.window > 0 and self.sent - self.credit >= self.window

    @classmethod
    def of_command(cls, fields: Fields) -> Load:
        """BadCommand for a command that cannot be."""
        return cls(
            count=fields.whole("count"),
            size=fields.whole("size", least=STAMP_BYTES, most=MAX_SIZE),
            window=fields.whole("window", default=0),
            rate=fields.number("rate", default=0),
            first_seq=fields.whole("first_seq", default=0),
            timeout=fields.number("timeout_ms", default=0) / 1000 or math.inf,
        )


class Publisher:
    """One run at a time; `credit` and `stop` reach the run under way."""

    def __init__(self) -> None:
        self._running: Load | None = None

    def begin(self, load: Load) -> None:
        """Register a run, so that a credit right behind its command already counts.
        BadCommand while another is under way; `run` must follow."""
        if self._running is not None:
            raise BadCommand("another publish_many is running")
        self._running = load

    def credit(self, received: int) -> None:
        if self._running is not None:
            self._running.credit = max(self._running.credit, received)
            self._running.wake.set()

    def stop(self) -> None:
        if self._running is not None:
            self._running.is_stopped = True
            self._running.wake.set()

    async def run(self, load: Load, publish: Publish) -> dict[str, Any]:
        """Publish what `begin` registered; the answer's fields."""
        started, began = anyio.current_time(), time.monotonic_ns()
        aborted = False
        noise = random.randbytes(load.size + NOISE_BYTES)
        try:
            for number in range(load.count):
                if not await _is_turn(load, number, started):
                    aborted = True
                    break
                start = number % NOISE_BYTES
                padding = noise[start : start + load.size - STAMP_BYTES]
                stamp = ((load.first_seq + number) << 64 | time.time_ns()).to_bytes(16, "big")
                try:
                    await publish(stamp + padding)
                    load.sent += 1
                except GossipSubError:
                    load.failed += 1
        finally:
            self._running = None
        return {
            "sent": load.sent,
            "failed": load.failed,
            "retries": 0,
            "aborted": aborted,
            "elapsed_ns": time.monotonic_ns() - began,
        }


async def _is_turn(load: Load, number: int, started: float) -> bool:
    """Wait until the next message is due; False when the run is over before."""
    now = anyio.current_time()
    due = started + number / load.rate if load.rate else started
    if now < due or load.is_full():
        with anyio.CancelScope(deadline=started + load.timeout):
            while not load.is_stopped and anyio.current_time() < due:
                with anyio.CancelScope(deadline=due + EARLY_SECONDS):
                    await load.wake.wait()
            while not load.is_stopped and load.is_full():
                await load.wake.wait()
        now = anyio.current_time()
    return not load.is_stopped and now < started + load.timeout
