"""What happens in each node while messages pass: frames, parses, effects, tasks, calls, counted.

Hosts in memory and virtual time, so that the counts are the same on every machine. Each host is
opened in a context of its own, which all its tasks inherit: so what is counted is known to be its.

`python -m tests.benchmarks.census` (`make counts`) counts anew what `exact_counts.json` has, for
the change that is meant to be seen in it: git shows what became more and what less.
"""

from __future__ import annotations

import json
import random
import struct
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import anyio
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gossipsub import GossipParams, Host, HostConfig, Topic
from gossipsub.crypto.keys import PrivateKey
from gossipsub.peer.profiling import layer_of
from gossipsub.testing.memory import MemoryNetwork
from gossipsub.testing.memory import Path as Link
from gossipsub.testing.virtual_time import run_in_virtual_time

STORED = Path(__file__).with_name("exact_counts.json")
MESSAGES = 120
WARM_UP = 16
SIZE = 1024
PACE = 0.1
"""Virtual seconds between messages, or bursts; the way to the next node takes less."""
PACE_OVER_TCP = 0.001
"""Real seconds between looks whether a message has come."""
HOUR = 3600.0
NOBODY = ""
NODE = ContextVar("NODE", default=NOBODY)
ROLES = {"pair": ("publisher", "receiver"), "relay": ("publisher", "relay", "receiver")}
BURSTS = {"one by one": 1, "in bursts": 40}
YAMUX_HEADER = struct.Struct(">BBHII")
YAMUX_KINDS = ("data", "window update", "ping", "goodbye")

FUNCTIONS = {
    "asyncio.base_events:BaseEventLoop.call_at": "asyncio: timers",
    "asyncio.base_events:BaseEventLoop.call_soon": "asyncio: callbacks",
    "asyncio.base_events:BaseEventLoop.create_task": "asyncio: tasks",
    "gossipsub.pubsub.driver:PubSub.flush": "flushes",
    "gossipsub.testing.memory_stream:Pipe.put": "socket writes",
    "gossipsub.testing.memory_stream:Pipe.take": "socket reads",
    "gossipsub.timers:Timers.at": "timers",
    "gossipsub.transport.socket:AsyncioSocket.buffer_updated": "socket reads",
    "gossipsub.transport.socket:AsyncioSocket.write": "socket writes",
    "nacl.bindings.crypto_sign:crypto_sign_open": "signatures verified",
}
"""What calls of a function in Python count as."""
BUILT_IN = {
    "FromString": "protobuf parses",
    "MergeFromString": "protobuf parses",
    "ParseFromString": "protobuf parses",
    "SerializeToString": "protobuf serializations",
    "sign": "signatures made",
    "verify": "signatures verified",
}
"""And of one in C, by its name alone."""


class Census:
    """Counts by node, from `taken` on."""

    def __init__(self) -> None:
        self.events: dict[str, Counter[str]] = {}
        self.calls: dict[str, Counter[str]] = {}
        """Of functions of ours in Python, by layer."""

    @contextmanager
    def taken(self) -> Iterator[None]:
        sys.setprofile(self._see)
        try:
            yield
        finally:
            sys.setprofile(None)

    def note(self, what: str, number: int = 1) -> None:
        self.events.setdefault(NODE.get(), Counter())[what] += number

    def _see(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            what = BUILT_IN.get(arg.__name__)
            if what is not None:
                self.note(what)
            return
        module = frame.f_globals.get("__name__", "")
        name = f"{module}:{frame.f_code.co_qualname}"
        if event == "return":
            if name == "gossipsub.router.router:Router.effects":
                for effect in arg or ():
                    self.note(f"effect {type(effect).__name__}")
            return
        if event != "call":
            return
        if name in FUNCTIONS:
            self.note(FUNCTIONS[name])
        if module.startswith("gossipsub.") and not module.startswith("gossipsub.testing"):
            counter = self.calls.setdefault(NODE.get(), Counter())
            counter[layer_of(name) or "other"] += 1


class CountingCipher:
    """Noise's cipher; of what is sealed the yamux frames are counted as well."""

    census: Census | None = None

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._body_left = 0

    def __getattr__(self, name: str) -> Any:
        work = getattr(self._cipher, name)

        def counted(nonce: bytes, data: bytes, *rest: Any) -> Any:
            if self.census is not None:
                self.census.note("noise frames sealed" if "en" in name else "noise frames opened")
                if "en" in name:
                    self._count_frames(self.census, bytes(data))
            return work(nonce, data, *rest)

        return counted

    def _count_frames(self, census: Census, plaintext: bytes) -> None:
        census.note("bytes sealed", len(plaintext))
        offset = self._body_left
        while offset < len(plaintext):
            _, kind, _, _, length = YAMUX_HEADER.unpack_from(plaintext, offset)
            census.note(f"yamux {YAMUX_KINDS[kind]} frames sent")
            offset += YAMUX_HEADER.size + (length if kind == 0 else 0)
        self._body_left = offset - len(plaintext)


@contextmanager
def in_node(role: str) -> Iterator[None]:
    token = NODE.set(role)
    try:
        yield
    finally:
        NODE.reset(token)


@asynccontextmanager
async def chain(
    roles: tuple[str, ...], network: MemoryNetwork | None
) -> AsyncIterator[dict[str, Topic]]:
    """Hosts in a row, each in the next one's mesh; what they publish and read is in their name.
    Without a network they are connected by TCP."""
    quiet = GossipParams(heartbeat_interval=HOUR, heartbeat_initial_delay=HOUR)
    config = HostConfig(validation_workers=0, keepalive_interval=HOUR)
    topics: dict[str, Topic] = {}
    hosts: list[Host] = []
    async with AsyncExitStack() as stack:
        for number, role in enumerate(roles):
            with in_node(role):
                host = Host(
                    network=None if network is None else network.machine(),
                    key=PrivateKey.from_node_number(number + 1),
                    params=quiet,
                    config=config,
                    rng=random.Random(number),
                )
                await stack.enter_async_context(host)
                if hosts:
                    await host.connect(hosts[-1].addresses[0])
                topics[role] = await host.join("t")
                hosts.append(host)
        await until(lambda: all(info.pubsub_protocol for host in hosts for info in host.peers()))
        for role in roles:
            with in_node(role):
                await stack.enter_async_context(topics[role].relay())
        links = 2 * (len(roles) - 1)
        await until(lambda: sum(len(topic.mesh()) for topic in topics.values()) == links)
        yield topics


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.sleep(0.01)
    await anyio.sleep(0.1)  # for what is left of it


@asynccontextmanager
async def traffic(
    shape: str, size: int, *, over_tcp: bool = False
) -> AsyncIterator[Callable[[int, int], Awaitable[None]]]:
    """What sends so many messages in bursts of so many, and returns when all were read."""
    roles = ROLES[shape]
    rng = random.Random(1)
    network = None if over_tcp else MemoryNetwork(Link(latency=0.001, jitter=0.0))
    async with chain(roles, network) as topics, anyio.create_task_group() as tasks:
        read: list[bytes] = []
        with in_node(roles[-1]):
            messages = topics[roles[-1]].subscribe()
            await messages.__aenter__()

            async def receive() -> None:
                async for message in messages:
                    read.append(message.data)

            tasks.start_soon(receive)

        async def send(number: int, burst: int) -> None:
            read.clear()
            sent = [rng.randbytes(size) for _ in range(number)]
            for start in range(0, number, burst):
                with in_node("publisher"):
                    for data in sent[start : start + burst]:
                        await topics["publisher"].publish(data)
                with anyio.fail_after(30):
                    while len(read) < min(start + burst, number):
                        await anyio.sleep(PACE_OVER_TCP if over_tcp else PACE)
            assert read == sent

        yield send
        tasks.cancel_scope.cancel()


async def count(shape: str, burst: int, census: Census) -> None:
    """Count what sending some messages causes, after the first few."""
    CountingCipher.census = None
    with patch("gossipsub.crypto.noise_core.ChaCha20Poly1305", CountingCipher):
        async with traffic(shape, SIZE) as send:
            await send(WARM_UP, 1)
            CountingCipher.census = census
            with census.taken():
                await send(MESSAGES, burst)
            CountingCipher.census = None


def counted(shape: str, way: str, backend: str = "asyncio") -> dict[str, Any]:
    """Of each node what happened for all messages together (`events`), and how many calls there
    were for one (`calls`)."""
    census = Census()
    run_in_virtual_time(count, shape, BURSTS[way], census, backend=backend)
    return {
        role: {
            "events": dict(sorted(census.events[role].items())),
            "calls": {
                layer: round(number / MESSAGES, 2)
                for layer, number in sorted(census.calls[role].items())
            },
        }
        for role in ROLES[shape]
    }


if __name__ == "__main__":
    found = {shape: {way: counted(shape, way) for way in BURSTS} for shape in ROLES}
    STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
