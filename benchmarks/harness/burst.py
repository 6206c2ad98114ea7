"""One run of numbered messages through a network, and what it cost each node."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from gossipsub.benchmarks.harness.network import Network
from gossipsub.conformance.driver import Event, PeerProcess
from gossipsub.wire.errors import GossipSubError

QUIET_SECONDS = 1.0
"""No news for so long, and the receivers are asked whether anything came meanwhile; if not, what
is missing is lost."""
LONGEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Burst:
    """What came of `count` messages."""

    count: int
    seconds: float
    """From the first message to the last delivery."""
    stats: Sequence[Mapping[str, Any]]
    """The answers of all nodes, by their number."""
    received: int
    """Deliveries of all receivers."""
    lost: int
    published: int
    refused: int
    """By the publisher's library: too large for it, say."""

    @property
    def rate(self) -> float:
        """Deliveries a second, of all receivers together."""
        return self.received / self.seconds

    @property
    def duplicates(self) -> int:
        """Copies that all nodes got beside the first."""
        return sum(stats.get("duplicates") or 0 for stats in self.stats)

    @property
    def account(self) -> str:
        """What became of the messages, to be told where some are missing."""
        return (
            f"{self.published} published, {self.refused} refused, {self.received} delivered, "
            f"{self.duplicates} copies"
        )

    def cpu_us(self, number: int) -> float:
        """CPU time of one node for each message."""
        return float(self.stats[number]["cpu_since_reset_s"]) / self.count * 1e6


async def send_burst(
    network: Network, *, size: int, count: int, window: int = 0, rate: float = 0.0
) -> Burst:
    """Publish `count` messages of `size` bytes, spread over the topics one topic after the other,
    and wait until they have arrived everywhere or nothing more arrives.

    With `window`, at most so many are under way; with `rate`, so many a second are sent.
    `count` is a multiple of the topics. PeerError or PeerFailed where a node fails.
    """
    return await _Burst(network, size, count, window, rate).send()


class _Burst:
    """A run under way."""

    def __init__(self, network: Network, size: int, count: int, window: int, rate: float) -> None:
        self._network = network
        self._size = size
        self._share = count // len(network.topics)
        self._window = window
        self._rate = rate
        self._arrived = [0] * len(network.receivers)
        self._credited = 0
        self._news = anyio.Event()
        self._published = anyio.Event()
        self._failure: GossipSubError | None = None
        self._sent = self._refused = 0

    async def send(self) -> Burst:
        network = self._network
        for node in network.nodes:
            await node.command("reset_stats")
        for receiver in network.receivers:
            receiver.events("progress")  # of earlier runs
            await receiver.command("progress", every=self._step())
        began = time.time_ns()
        for number, topic in enumerate(network.topics):
            if not await self._send_share(topic, number * self._share):
                break
        stats = [await node.command("stats") for node in network.nodes]
        return self._result(began, stats)

    def _step(self) -> int:
        """Of deliveries a receiver tells: often enough that the publisher never waits for credit
        that it has, and a divisor of all that come, so that the last one is told."""
        if not self._window:
            return self._share
        step = max(self._window // 4, 1)
        while self._share % step:
            step -= 1
        return step

    async def _send_share(self, topic: str, before: int) -> bool:
        """Whether all arrived; `before` messages were sent in other topics."""
        self._published = anyio.Event()
        async with anyio.create_task_group() as tasks:
            for number, receiver in enumerate(self._network.receivers):
                tasks.start_soon(self._watch, number, receiver, before)
            tasks.start_soon(self._publish, topic, before)
            all_arrived = await self._wait(before + self._share)
            if self._failure is None:
                await self._end_publishing(all_arrived)
            tasks.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure
        return all_arrived

    async def _publish(self, topic: str, before: int) -> None:
        limits: dict[str, float] = {}
        if self._window:
            limits["window"] = self._window
        if self._rate:
            limits["rate"] = self._rate
        try:
            answer = await self._network.publisher.command(
                "publish_many",
                timeout=2 * LONGEST_SECONDS,
                topic=topic,
                count=self._share,
                size=self._size,
                first_seq=before,
                timeout_ms=int(LONGEST_SECONDS * 1000),
                **limits,
            )
        except GossipSubError as error:
            self._fail(error)
        else:
            self._sent += answer["sent"]
            self._refused += answer["failed"]
        self._published.set()

    async def _end_publishing(self, all_arrived: bool) -> None:
        """Another run can begin only when this one is answered."""
        try:
            if not all_arrived:
                await self._network.publisher.command("publish_stop")
        except GossipSubError as error:
            self._fail(error)
            return
        await self._published.wait()

    async def _watch(self, number: int, receiver: PeerProcess, before: int) -> None:
        try:
            while True:
                event = await receiver.wait_event("progress", timeout=2 * LONGEST_SECONDS)
                await self._note(number, event["received"], before)
        except GossipSubError as error:
            self._fail(error)

    async def _note(self, number: int, received: int, before: int) -> None:
        self._arrived[number] = max(received, self._arrived[number])
        everywhere = min(self._arrived)
        if everywhere > self._credited:
            self._credited = everywhere
            self._news.set()
            if self._window:
                await self._network.publisher.credit(everywhere - before)

    def _fail(self, error: GossipSubError) -> None:
        self._failure = self._failure or error
        self._news.set()

    async def _wait(self, wanted: int) -> bool:
        """Until so many arrived everywhere: True; or no more do, or a node failed: False."""
        patience = QUIET_SECONDS + (self._share / self._rate if self._rate else 0.0)
        counted = -1
        with anyio.move_on_after(LONGEST_SECONDS + patience):
            while self._failure is None and self._credited < wanted:
                self._news = anyio.Event()
                with anyio.move_on_after(patience) as waited:
                    await self._news.wait()
                if waited.cancelled_caught:
                    patience = QUIET_SECONDS
                    answers = await self._ask()
                    before, counted = counted, sum(answer["received"] for answer in answers)
                    if counted == before:
                        break
        return self._failure is None and self._credited >= wanted

    async def _ask(self) -> list[Event]:
        try:
            return [await receiver.command("stats") for receiver in self._network.receivers]
        except GossipSubError as error:
            self._fail(error)
            return []

    def _result(self, began: int, stats: list[Event]) -> Burst:
        ends = [stats[number] for number in self._network.workload.receivers]
        count = self._share * len(self._network.topics)
        received = sum(end["received"] for end in ends)
        newest = max(end["last_ns"] for end in ends)
        return Burst(
            count=count,
            seconds=max((newest - began) / 1e9, 1e-9),
            stats=stats,
            received=received,
            lost=max(count * len(ends) - received, 0),
            published=self._sent,
            refused=self._refused,
        )
