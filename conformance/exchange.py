"""Several test peers at work together: started, connected, sending each other numbered messages.

async with start_peers("python", "go", topic="news") as (a, b):
    await connect(a, b, topic="news")
    await exchange([a, b], [a, b], topic="news", count=1000, size=1024)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup

from gossipsub.conformance.driver import PeerProcess, PeerTimeout, start_peer
from gossipsub.wire.errors import GossipSubError

SEQUENCE_BYTES = 8
SHOWN = 10


class ExchangeFailed(GossipSubError):
    """Messages were lost, repeated, or changed; says which."""


@asynccontextmanager
async def start_peers(
    *targets: str, topic: str | None = None, first_seed: int = 1, **options: Any
) -> AsyncIterator[list[PeerProcess]]:
    """One peer per target, all with the same options and seeds counted up from the first; they
    subscribe to the topic, if one is given."""
    async with AsyncExitStack() as stack:
        peers = [
            await stack.enter_async_context(start_peer(target, seed=first_seed + number, **options))
            for number, target in enumerate(targets)
        ]
        if topic is not None:
            for peer in peers:
                await peer.command("subscribe", topic=topic)
        yield peers


async def connect(
    dialler: PeerProcess, listener: PeerProcess, *, topic: str, timeout: float = 10.0
) -> None:
    """Connect two that are subscribed; return when each knows it of the other."""
    await dialler.command("connect", addr=listener.addresses[0], timeout=timeout)
    for peer, other in ((dialler, listener), (listener, dialler)):
        await knows(peer, other, topic=topic, timeout=timeout)


async def knows(
    peer: PeerProcess, other: PeerProcess, *, topic: str, timeout: float = 10.0
) -> None:
    """Return when `peer` knows that `other` is subscribed."""
    await peer.wait_answer(
        "topic_peers", lambda answer: other.peer_id in answer["peers"], topic=topic, timeout=timeout
    )


async def in_mesh(*peers: PeerProcess, topic: str, timeout: float = 10.0) -> None:
    """Return when each has all the others in its mesh."""
    everybody = {peer.peer_id for peer in peers}
    for peer in peers:
        await peer.wait_answer(
            "mesh",
            lambda answer, me=peer.peer_id: everybody <= {me, *answer["peers"]},  # type: ignore[misc]
            topic=topic,
            timeout=timeout,
        )


async def exchange(
    publishers: Sequence[PeerProcess],
    receivers: Sequence[PeerProcess],
    *,
    topic: str,
    count: int,
    size: int,
    window: int = 64,
    timeout: float = 30.0,
) -> None:
    """All publishers send `count` messages of `size` bytes at the same time, at most `window`
    beyond what has arrived everywhere. ExchangeFailed unless each reaches every other receiver
    exactly once; PeerTimeout where they do not come within `timeout` seconds.

    For peers not started with `--quiet`, and topics on which nobody else talks meanwhile.
    """
    run = _Run(publishers, receivers, count=count, size=size)
    for peer in receivers:
        peer.messages()  # of earlier runs
    async with anyio.create_task_group() as tasks:
        for peer in receivers:
            tasks.start_soon(run.until_failure, tasks, run.receive(peer, window, timeout))
        for peer in publishers:
            tasks.start_soon(run.until_failure, tasks, run.publish(peer, topic, window, timeout))
    if run.failure is not None:
        raise run.failure
    for peer in receivers:
        await peer.command("stats")  # what was delivered before has been printed by now
        run.note_all(peer)
    run.check()


class _Run:
    """Who got how often what from whom."""

    def __init__(
        self,
        publishers: Sequence[PeerProcess],
        receivers: Sequence[PeerProcess],
        *,
        count: int,
        size: int,
    ) -> None:
        self._publishers = {peer.peer_id: peer for peer in publishers}
        self._count = count
        self._size = size
        self._got: dict[tuple[str, str], Counter[int]] = {
            (receiver.peer_id, publisher): Counter()
            for receiver in receivers
            for publisher in self._publishers
            if publisher != receiver.peer_id
        }
        self.failure: GossipSubError | None = None

    async def until_failure(self, tasks: TaskGroup, part: Coroutine[Any, Any, None]) -> None:
        """The first failure ends all parts; it is raised as it is, not as part of a group."""
        try:
            await part
        except GossipSubError as error:
            self.failure = self.failure or error
            tasks.cancel_scope.cancel()

    async def publish(self, peer: PeerProcess, topic: str, window: int, timeout: float) -> None:
        answer = await peer.command(
            "publish_many",
            timeout=timeout,
            topic=topic,
            count=self._count,
            size=self._size,
            window=window,
        )
        if answer["sent"] != self._count:
            raise ExchangeFailed(f"{peer.name} published {answer}")

    async def receive(self, peer: PeerProcess, window: int, timeout: float) -> None:
        expected = [got for (receiver, _), got in self._got.items() if receiver == peer.peer_id]
        with anyio.move_on_after(timeout) as scope:
            while any(len(got) < self._count for got in expected):
                author = self._note(peer, await peer.wait_event("message", timeout=timeout))
                if author is not None:
                    await self._credit(author, max(window // 4, 1))
        if scope.cancelled_caught:
            came = [len(got) for got in expected]
            raise PeerTimeout(f"of {self._count} messages each, {peer.name} got {came}")

    def note_all(self, peer: PeerProcess) -> None:
        for event in peer.messages():
            self._note(peer, event)

    def _note(self, peer: PeerProcess, event: dict[str, Any]) -> str | None:
        """The author, where it is one that matters."""
        author = event["from"]
        got = self._got.get((peer.peer_id, author))
        if got is None:
            return None
        if len(event["data"]) != self._size:
            raise ExchangeFailed(f"{peer.name} got a message of {len(event['data'])} bytes")
        got[int.from_bytes(event["data"][:SEQUENCE_BYTES], "big")] += 1
        return str(author)

    async def _credit(self, author: str, step: int) -> None:
        arrived = min(len(got) for (_, publisher), got in self._got.items() if publisher == author)
        if arrived % step == 0 or arrived == self._count:
            await self._publishers[author].credit(arrived)

    def check(self) -> None:
        wanted = dict.fromkeys(range(self._count), 1)
        for (receiver, publisher), got in self._got.items():
            if got != wanted:
                lost = [number for number in wanted if number not in got]
                repeated = [number for number, times in got.items() if times > 1]
                unknown = [number for number in got if number not in wanted]
                raise ExchangeFailed(
                    f"{receiver} lacks {lost[:SHOWN]} of {publisher}'s, "
                    f"got twice {repeated[:SHOWN]}, never sent {unknown[:SHOWN]}"
                )
