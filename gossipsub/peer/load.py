"""`publish_many`: a run of numbered, time-stamped messages, with flow control if asked for."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import anyio

from gossipsub.topic import Topic
from gossipsub.wake import Wake
from gossipsub.wire.errors import GossipSubError


@dataclass(frozen=True, slots=True)
class Load:
    """What to publish. `window`: at most so many beyond the newest credit are under way."""

    count: int
    size: int
    window: int | None
    rate: float | None
    first_seq: int
    timeout: float

    @classmethod
    def of_command(cls, command: dict[str, Any]) -> Load:
        """ValueError or KeyError for a command that cannot be."""
        load = cls(
            count=int(command["count"]),
            size=int(command["size"]),
            window=command.get("window"),
            rate=command.get("rate"),
            first_seq=int(command.get("first_seq", 0)),
            timeout=float(command.get("timeout_ms", 60_000)) / 1000,
        )
        if load.size < 16:
            raise ValueError(f"size must be at least 16: {load.size}")
        if load.count < 0 or (load.window is not None and load.window < 1):
            raise ValueError("count must not be negative, window at least 1")
        return load


class Publisher:
    """One run at a time; `credit` and `stop` reach the run under way."""

    def __init__(self) -> None:
        self._wake = Wake()
        self._credit = 0
        self._stopped = False
        self._running = False

    def credit(self, received: int) -> None:
        self._credit = max(self._credit, received)
        self._wake.set()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    async def run(self, topic: Topic, load: Load) -> dict[str, Any]:
        """ValueError while another run is under way."""
        if self._running:
            raise ValueError("a publish_many is under way")
        self._running, self._stopped, self._credit = True, False, 0
        sent = failed = 0
        started = time.monotonic_ns()
        padding = os.urandom(load.size - 16)
        try:
            with anyio.move_on_after(load.timeout) as scope:
                for number in range(load.count):
                    await self._wait_for_turn(load, number, started)
                    if self._stopped:
                        break
                    seq = (load.first_seq + number).to_bytes(8, "big")
                    stamp = time.time_ns().to_bytes(8, "big")
                    try:
                        await topic.publish(seq + stamp + padding)
                        sent += 1
                    except GossipSubError:
                        failed += 1
        finally:
            self._running = False
        return {
            "sent": sent,
            "failed": failed,
            "retries": 0,
            "aborted": self._stopped or scope.cancelled_caught,
            "elapsed_ns": time.monotonic_ns() - started,
        }

    async def _wait_for_turn(self, load: Load, number: int, started: int) -> None:
        if load.window is not None:
            while number - self._credit >= load.window and not self._stopped:
                await self._wake.wait()
        if load.rate:
            due = started + int(number / load.rate * 1e9)
            pause = (due - time.monotonic_ns()) / 1e9
            if pause > 0:
                await anyio.sleep(pause)
