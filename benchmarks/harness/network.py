"""Nodes of one contestant: started, connected, and in each other's mesh."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio

from gossipsub.benchmarks.harness.contestant import Contestant
from gossipsub.benchmarks.harness.readings import START_SECONDS
from gossipsub.benchmarks.harness.workload import Workload
from gossipsub.conformance.driver import PeerProcess, start_peer
from gossipsub.wire.errors import GossipSubError

PARAMS: Mapping[str, object] = {
    "outboundQueue": 1024,
    "validateQueue": 1024,
    "subBuffer": 4096,
    "heartbeatMs": 1000,
    "heartbeatInitialDelayMs": 100,
    "maxMessageSize": 1 << 20,
}
"""Of all nodes. go's queues of 32 lose messages of any flood, rust takes no message of 64 KiB
unless told to, and py-libp2p's heart beats every two minutes."""
SETTLE_SECONDS = 30.0
STARTING_AT_ONCE = 2
MESH_LEAST = 3
"""Of its neighbours so many have to be in a node's mesh, if it has as many. Not all: nodes
graft up to D of those they know, and who has D_high refuses."""
MEMORY_SHARE = 0.8
"""Of the free memory that nodes may take."""
MEMORY_GROWTH = 1.5
"""What a node takes at work, of what it takes when it has started."""


class NotEnoughMemory(GossipSubError):
    """So many nodes would not fit; says how much they would take."""


@dataclass(frozen=True, slots=True)
class Network:
    """Running nodes, by their number in the workload."""

    workload: Workload
    nodes: Sequence[PeerProcess]
    topics: Sequence[str]

    @property
    def publisher(self) -> PeerProcess:
        return self.nodes[0]

    @property
    def receivers(self) -> list[PeerProcess]:
        return [self.nodes[number] for number in self.workload.receivers]


@asynccontextmanager
async def open_network(
    contestant: Contestant,
    workload: Workload,
    *,
    command: Sequence[str],
    seed: int,
    signed: bool,
    topics: int,
) -> AsyncIterator[Network]:
    """`command` runs a node of the contestant.

    NotEnoughMemory where the first node is too big for there to be as many; PeerError or
    PeerFailed for what nodes do wrong.
    """

    def node(number: int) -> PeerProcess:
        return start_peer(
            contestant.name,
            command=command,
            seed=number + 1,
            params=PARAMS,
            sign=None if signed else "none",
            quiet=True,
            arguments=contestant.arguments,
            start_timeout=START_SECONDS,
        )

    names = [f"benchmark-{number}" for number in range(topics)]
    async with running([node(0)]) as first:
        await _check_memory(first[0], workload)
        async with running([node(number) for number in range(1, workload.nodes)]) as others:
            nodes = [*first, *others]
            await join(nodes, workload.edges(seed), names)
            yield Network(workload, nodes, names)


@asynccontextmanager
async def running(nodes: Sequence[PeerProcess]) -> AsyncIterator[Sequence[PeerProcess]]:
    """All of them up inside the block, some started at once; all ended after it, together.

    The first failure of a node that does not come up is raised.
    """
    failure: GossipSubError | None = None
    waiting = len(nodes)
    places = anyio.CapacityLimiter(STARTING_AT_ONCE)
    are_up = anyio.Event()

    async def attend(node: PeerProcess) -> None:
        nonlocal failure, waiting
        try:
            async with AsyncExitStack() as stack:
                async with places:
                    await stack.enter_async_context(node)
                waiting -= 1
                if not waiting:
                    are_up.set()
                await anyio.sleep_forever()
        except GossipSubError as error:
            failure = failure or error
            are_up.set()

    async with anyio.create_task_group() as tasks:
        for node in nodes:
            tasks.start_soon(attend, node)
        await are_up.wait()
        try:
            if failure is None:
                yield nodes
        except GossipSubError as error:  # raised below: out of the group it would come wrapped
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _check_memory(node: PeerProcess, workload: Workload) -> None:
    free = _free_bytes()
    size = float((await node.command("stats"))["rss_bytes"]) * MEMORY_GROWTH * workload.nodes
    if free is not None and size > free * MEMORY_SHARE:
        raise NotEnoughMemory(
            f"{workload.nodes} nodes would take about {size / 1e9:.1f} GB, "
            f"and of memory {free / 1e9:.1f} GB are free"
        )


def _free_bytes() -> int | None:
    """None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # not Linux
        pass
    return None


async def join(
    nodes: Sequence[PeerProcess], edges: Sequence[tuple[int, int]], topics: Sequence[str]
) -> None:
    """Connect all, then subscribe one after the other: who subscribes with neighbours that have
    grafts them at once, and nobody waits for a heartbeat."""
    neighbours = await connect(nodes, edges)
    for topic in topics:
        await subscribe(nodes, range(len(nodes)), neighbours, topic)


async def connect(
    nodes: Sequence[PeerProcess], edges: Sequence[tuple[int, int]]
) -> dict[int, list[int]]:
    """Whose neighbours they are then, by number."""
    neighbours: dict[int, list[int]] = {number: [] for number in range(len(nodes))}
    for dialler, listener in edges:
        await nodes[dialler].command(
            "connect", addr=nodes[listener].addresses[0], timeout=SETTLE_SECONDS
        )
        neighbours[dialler].append(listener)
        neighbours[listener].append(dialler)
    return neighbours


async def subscribe(
    nodes: Sequence[PeerProcess],
    numbers: range,
    neighbours: Mapping[int, Sequence[int]],
    topic: str,
) -> None:
    """These nodes, behind those of lower numbers; return when all up to the last know of each other
    and are in each other's mesh."""
    for number in numbers:
        earlier = {nodes[each].peer_id for each in neighbours[number] if each < number}
        await _until(nodes[number], "topic_peers", topic, earlier, len(earlier))
        await nodes[number].command("subscribe", topic=topic)
    for number in range(numbers.stop):
        around = {nodes[each].peer_id for each in neighbours[number] if each < numbers.stop}
        await _until(nodes[number], "topic_peers", topic, around, len(around))
        await _until(nodes[number], "mesh", topic, around, min(len(around), MESH_LEAST))


async def _until(node: PeerProcess, question: str, topic: str, peers: set[str], least: int) -> None:
    await node.wait_answer(
        question,
        lambda answer: len(peers.intersection(answer["peers"])) >= least,
        topic=topic,
        timeout=SETTLE_SECONDS,
    )
