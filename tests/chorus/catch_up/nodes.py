"""Nodes in a memory network that say things, go away and come back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from gossipsub import Host, PeerStream, SignedMessage
from gossipsub.chorus import ChorusPubSub, MessageType
from gossipsub.chorus.catch_up.catch_up import CatchUp
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.envelope import Envelope
from gossipsub.crypto.keys import PrivateKey
from gossipsub.testing.memory import Machine, MemoryNetwork, Path
from gossipsub.testing.mesh import ON_THE_LOOP

START_NS = 1_735_787_045 * 10**9
PATIENCE = 60.0


def clock() -> int:
    """Nanoseconds since 1970, by the time of the event loop."""
    return START_NS + int(anyio.current_time() * 1e9)


class PlainLog:
    """An event log that keeps everything in a dictionary, and outlives its node."""

    def __init__(self) -> None:
        self.messages: dict[bytes, SignedMessage] = {}
        self._waiting: dict[bytes, SignedMessage] = {}

    def append(
        self, log_type: str, data: Mapping[str, object], *, signed: SignedMessage | None = None
    ) -> None:
        if signed is not None:
            self._waiting[signed.origin] = signed

    async def flush(self) -> None:
        self.messages |= self._waiting
        self._waiting.clear()

    def statistics(self) -> Mapping[str, object]:
        return {"count": len(self.messages)}

    def contains(self, origin: bytes) -> bool:
        return origin in self.messages or origin in self._waiting

    async def origins_between(self, start: int, end: int) -> Iterable[bytes]:
        await self.flush()
        return [o for o, each in self.messages.items() if start <= sent_at(each) < end]

    async def signed_message(self, origin: bytes) -> SignedMessage | None:
        return self.messages.get(origin)


def sent_at(signed: SignedMessage) -> int:
    return Envelope.decode(signed.data).timestamp.unix_ns


class Node:
    """A host with CHORUS and catching up, and what it was told."""

    def __init__(
        self, host: Host, machine: Machine, chorus: ChorusPubSub, catch_up: CatchUp
    ) -> None:
        self.host = host
        self.machine = machine
        self.chorus = chorus
        self.catch_up = catch_up
        self.observed: list[Delivery] = []
        self.handled: list[str] = []
        chorus.add_observer(self.observed.append)

    def listen(self) -> None:
        self.chorus.set_bzzz_message_handler(
            lambda envelope, sender: self.handled.append(str((envelope.data or {})["task_id"]))
        )

    async def say(self, *tasks: str) -> None:
        for task in tasks:
            await self.chorus.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": task})

    def tasks(self) -> list[str]:
        """What was said, in the order it was heard."""
        return [str((each.envelope.data or {})["task_id"]) for each in self.observed]


class Fleet:
    """Opens nodes on one network, each in a task of its own, so that any may `stop` first."""

    def __init__(self, stack: AsyncExitStack, tasks: TaskGroup) -> None:
        self.network = MemoryNetwork(Path(latency=0.01))
        self._stack = stack
        self._tasks = tasks
        self._stops: dict[Node, anyio.Event] = {}
        self._stopped: dict[Node, anyio.Event] = {}

    async def start(
        self,
        *known: Node,
        log: object | None = None,
        key: PrivateKey | None = None,
        chorus: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Node:
        machine = self.network.machine()
        host = Host(
            network=machine,
            key=key,
            bootstrap=[address for each in known for address in each.host.addresses],
            config=ON_THE_LOOP,
        )
        agent = ChorusPubSub(host, logger=log, **{"clock": clock, **(chorus or {})})
        node = Node(host, machine, agent, CatchUp(agent, **{"clock": clock, **options}))
        await self._tasks.start(self._run, node)
        return node

    async def _run(self, node: Node, *, task_status: TaskStatus[None]) -> None:
        stop, stopped = anyio.Event(), anyio.Event()
        self._stops[node], self._stopped[node] = stop, stopped
        try:
            async with node.host, node.chorus, node.catch_up:
                node.listen()
                task_status.started()
                await stop.wait()
        finally:
            stopped.set()

    async def stop(self, node: Node) -> None:
        self._stops[node].set()
        await self._stopped[node].wait()

    async def end(self) -> None:
        for node in self._stops:
            await self.stop(node)

    async def stranger(
        self, *known: Node, serve: Callable[[PeerStream], Awaitable[None]] | None = None
    ) -> Host:
        """A host without CHORUS that takes part in the coordination topic."""
        host = await self._stack.enter_async_context(
            Host(network=self.network.machine(), config=ON_THE_LOOP)
        )
        if serve is not None:
            host.set_stream_handler("/chorus/catch-up/1.0.0", serve)
        topic = await host.join("CHORUS/coordination/v1")
        await self._stack.enter_async_context(topic.subscribe())
        for node in known:
            await host.connect(node.host.addresses)
        return host


@asynccontextmanager
async def fleet() -> AsyncIterator[Fleet]:
    async with anyio.create_task_group() as tasks, AsyncExitStack() as stack:
        nodes = Fleet(stack, tasks)
        yield nodes
        await nodes.end()


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.sleep(0.05)
