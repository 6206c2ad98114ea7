"""CPU of CHORUS messages on the whole way: published on one host, received on another.

Each way is also run without CHORUS, with the same bytes in a topic that somebody reads; the layer's
part is the difference.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel

from gossipsub import Host, HostConfig, SignedMessage, Topic
from gossipsub.chorus import ChorusPubSub, Envelope, EventLog, MessageType, Sentinel, Timestamp
from gossipsub.crypto.keys import PrivateKey
from gossipsub.testing.memory import MemoryNetwork

MESSAGE_TYPE = MessageType.TASK_PROGRESS
UNDER_WAY = 32
"""Messages sent before their receiver is waited for."""
PATIENCE = 60.0

Data = Mapping[str, object]


@dataclass(slots=True)
class Cost:
    """CPU seconds of one message."""

    total: float
    """All threads together."""
    loop: float
    """The event loop's thread alone."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What an agent of a case has beside the layer itself."""

    name: str
    redacts: bool = False
    use_re2: bool | None = None
    logs: bool = False
    observers: int = 0


PLAIN = "without CHORUS"


class Stopwatch:
    """Runs from its making until `cost`."""

    def __init__(self) -> None:
        self._process = time.process_time()
        self._thread = time.thread_time()

    def cost(self, messages: int) -> Cost:
        total = time.process_time() - self._process
        return Cost(total / messages, (time.thread_time() - self._thread) / messages)


class Count:
    """Counts what arrives, and wakes who waits for a number of it."""

    def __init__(self) -> None:
        self._count = 0
        self._wanted = 0
        self._reached = anyio.Event()

    def add(self, *_: object) -> None:
        self._count += 1
        if self._count == self._wanted:
            self._reached.set()

    async def wait(self, more: int) -> None:
        """For so many since the last call."""
        self._wanted += more
        if self._count < self._wanted:
            self._reached = anyio.Event()
            with anyio.fail_after(PATIENCE):
                await self._reached.wait()


async def _read(topic: Topic, count: Count) -> None:
    async with topic.subscribe() as messages:
        async for _ in messages:
            count.add()


# -- publishing ------------------------------------------------------------------------------


async def published(
    data: Data, setups: Sequence[Setup], *, messages: int, repeats: int, folder: Path, seed: str
) -> dict[str, list[Cost]]:
    """One host alone: what it publishes goes to its own subscription, as it does on every host."""
    host_key = key_of(f"{seed} publisher")
    costs: dict[str, list[Cost]] = {PLAIN: [], **{setup.name: [] for setup in setups}}
    async with AsyncExitStack() as stack:
        network = MemoryNetwork()
        host = await stack.enter_async_context(Host(key=host_key, network=network.machine()))
        topic = await host.join("plain")
        tasks = await stack.enter_async_context(anyio.create_task_group())
        plain = Count()
        tasks.start_soon(_read, topic, plain)
        await anyio.wait_all_tasks_blocked()
        encoded = encoded_by(host_key, data)

        async def publish_plain() -> None:
            await topic.publish(encoded)

        agents = [
            (setup, await stack.enter_async_context(_agent(host, setup, folder, host_key)))
            for setup in setups
        ]
        for _ in range(repeats):
            costs[PLAIN].append(await _timed(publish_plain, messages, lambda: plain.wait(messages)))
            for setup, (chorus, log) in agents:
                costs[setup.name].append(await _publish(chorus, log, data, messages))
        tasks.cancel_scope.cancel()
    return costs


async def _publish(chorus: ChorusPubSub, log: EventLog | None, data: Data, messages: int) -> Cost:
    async def publish() -> None:
        await chorus.publish_bzzz_message(MESSAGE_TYPE, data)

    async def finish() -> None:
        if log is not None:
            await log.flush()

    before = chorus.statistics().topics[chorus.coordination_topic].own
    cost = await _timed(publish, messages, finish)
    own = chorus.statistics().topics[chorus.coordination_topic].own
    if own - before != messages:
        raise RuntimeError("not all own messages came back")
    return cost


async def _timed(
    publish: Callable[[], Awaitable[None]], messages: int, finish: Callable[[], Awaitable[None]]
) -> Cost:
    watch = Stopwatch()
    for _ in range(messages):
        await publish()
        # Its reader's turn.
        await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()
    await finish()
    return watch.cost(messages)


# -- receiving -------------------------------------------------------------------------------


async def received(
    data: Data, setups: Sequence[Setup], *, messages: int, repeats: int, folder: Path, seed: str
) -> dict[str, list[Cost]]:
    """Two hosts connected in memory: one without CHORUS sends envelopes signed before. Sending,
    transport and verification are in all figures, so that only differences mean something."""
    costs: dict[str, list[Cost]] = {PLAIN: [], **{setup.name: [] for setup in setups}}
    sender_key, receiver_key = key_of(f"{seed} sender"), key_of(f"{seed} receiver")
    config = HostConfig(validation_workers=0)
    encoded = encoded_by(sender_key, data)
    async with AsyncExitStack() as stack:
        network = MemoryNetwork()
        sender, receiver = [
            await stack.enter_async_context(Host(config=config, key=key, network=network.machine()))
            for key in (sender_key, receiver_key)
        ]
        tasks = await stack.enter_async_context(anyio.create_task_group())
        await sender.connect(receiver.addresses[0])
        ways: list[tuple[str, Topic, Count, EventLog | None]] = []
        plain = Count()
        tasks.start_soon(_read, await receiver.join("plain"), plain)
        ways.append((PLAIN, await sender.join("plain"), plain, None))
        for setup in setups:
            agent = _agent(receiver, setup, folder, receiver_key)
            chorus, log = await stack.enter_async_context(agent)
            count = Count()
            chorus.set_bzzz_message_handler(count.add)
            ways.append((setup.name, await sender.join(chorus.coordination_topic), count, log))
        for _, topic, _, _ in ways:
            await topic.wait_for_peers(1, timeout=PATIENCE)
        for _ in range(repeats):
            for name, topic, count, log in ways:
                signed = [topic.sign(encoded) for _ in range(messages)]
                costs[name].append(await _send(topic, signed, count, log))
        tasks.cancel_scope.cancel()
    return costs


async def _send(
    topic: Topic, signed: Sequence[SignedMessage], count: Count, log: EventLog | None
) -> Cost:
    watch = Stopwatch()
    for start in range(0, len(signed), UNDER_WAY):
        some = signed[start : start + UNDER_WAY]
        for message in some:
            await topic.publish_signed(message)
        await count.wait(len(some))
    if log is not None:
        await log.flush()
    return watch.cost(len(signed))


# -- what is measured ------------------------------------------------------------------------


@asynccontextmanager
async def _agent(
    host: Host, setup: Setup, folder: Path, key: PrivateKey
) -> AsyncIterator[tuple[ChorusPubSub, EventLog | None]]:
    """In topics of its own, so that one host may have several."""
    async with AsyncExitStack() as stack:
        log = None
        if setup.logs:
            path = folder / f"{host.peer_id} {setup.name}.db"
            log = await stack.enter_async_context(EventLog.open(path, key=key))
        chorus = await stack.enter_async_context(
            ChorusPubSub(
                host,
                *(f"{setup.name}/{part}" for part in ("coordination", "hmmm", "context")),
                logger=log,
                redactor=Sentinel(use_re2=setup.use_re2) if setup.redacts else None,
            )
        )
        for _ in range(setup.observers):
            chorus.add_observer(lambda _: None)
        yield chorus, log


def key_of(text: str) -> PrivateKey:
    """The same for the same text."""
    return PrivateKey.from_seed(text.encode().ljust(32, b".")[:32])


def encoded_by(key: PrivateKey, data: Data) -> bytes:
    """The envelope of that agent, as it is sent."""
    # Always as long: a clock's last digits may be zeros, which are not written.
    now = Timestamp("2026-11-22T09:30:00.123456789Z")
    return Envelope(MESSAGE_TYPE, str(key.peer_id()), now, data).encode()
