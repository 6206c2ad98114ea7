"""Streams that wait with what they brought: until validation has places for their peer again, or
for the next turn of the event loop."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import anyio.lowlevel

from gossipsub.pubsub.validation.fair_queue import FairQueue
from gossipsub.pubsub.validation.overload import Overload
from gossipsub.wake import Wake

if TYPE_CHECKING:
    from gossipsub.pubsub.streams import PubsubInbound

SLICE = 0.002
"""Seconds of work for streams that go on, after which everybody else has a turn."""

TURN = 0.02
"""Seconds that all streams together may work on large RPCs in one turn of the event loop. Without
it 32 connections that each end an RPC of 500 KiB at one time held up timers for 0.4 s."""


class HeldStreams:
    """Only a peer that has used its share of the queue waits: nobody is slowed down by another.

    All of its stream waits, control too: what a peer says counts in the order it said it.
    """

    def __init__(self, queue: FairQueue, overload: Overload) -> None:
        self._queue = queue
        self._overload = overload
        self._held: dict[PubsubInbound, bool] = {}
        self._wake = Wake()
        self._worked = 0.0
        self.is_turn_used = False
        """Whether streams leave what they have for the next turn of the event loop."""

    def worked(self, seconds: float) -> None:
        """A stream worked off a large RPC in this turn."""
        if not self._worked:
            self._wake.set()  # which ends the turn
        self._worked += seconds
        self.is_turn_used = self._worked > TURN

    def must_wait(self, peer: bytes, inbound: PubsubInbound | None) -> bool:
        """True holds the peer's stream until there are places for it."""
        if inbound is None or not self._queue.is_share_used(peer):
            return False
        if inbound not in self._held:
            self._overload.waited()
        self._held[inbound] = True
        return True

    def postpone(self, inbound: PubsubInbound) -> None:
        """Let everybody else have a turn before the stream goes on."""
        self._held[inbound] = False
        self._wake.set()

    def forget(self, inbound: PubsubInbound) -> None:
        """The stream is gone."""
        self._held.pop(inbound, None)

    def places_came(self) -> None:
        if self._held:
            self._wake.set()

    async def run(self) -> None:
        """Let streams go on, in the order in which they began to wait, until cancelled."""
        while True:
            await self._wake.wait()
            started = self._begin_turn()
            for inbound, needs_places in list(self._held.items()):
                if inbound not in self._held:
                    continue
                if needs_places and not self._queue.is_share_free(inbound.peer):
                    continue
                del self._held[inbound]
                inbound.resume()
                if perf_counter() - started > SLICE:
                    await anyio.lowlevel.checkpoint()
                    started = self._begin_turn()
            await anyio.lowlevel.checkpoint()

    def _begin_turn(self) -> float:
        self._worked = 0.0
        self.is_turn_used = False
        return perf_counter()
