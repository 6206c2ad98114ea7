"""Test peers without processes: what one publishes is with everybody at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel

from gossipsub.conformance.driver import PeerFailed

RATE = 1000
"""Messages a second, by what receivers say of the time; in truth they take none."""
RESIDENT_BYTES = 1_000_000


@dataclass
class World:
    """All nodes, and in which ways they are not as they should be."""

    nodes: dict[str, PretendedNode] = field(default_factory=dict)
    carries: int = 10**6
    """Messages under way beyond which one is lost."""
    broken: Sequence[str] = ()
    """Flags with which a node does not start."""
    resident_bytes: int = RESIDENT_BYTES
    duplicates: int = 0
    started: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    published: list[dict[str, Any]] = field(default_factory=list)
    most_under_way: int = 0
    credit_beyond: int = 0
    """Messages that a publisher was told had arrived, and that it had not sent in that run."""
    up: int = 0

    def start_peer(self, name: str, **options: Any) -> PretendedNode:
        """In place of the driver's."""
        return PretendedNode(self, name, options)


class PretendedNode:
    """Answers what the benchmark asks."""

    def __init__(self, world: World, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self.peer_id = f"{name}-{options['seed']}-{len(world.started)}"
        self.addresses = [f"/{self.peer_id}"]
        self.ready = {"versions": {"pretended": "1"}, "impl": "pretended"}
        self.topics: list[str] = []
        self.links: dict[str, None] = {}
        self._world = world
        self._options = options
        self._reset()
        world.started.append((name, options))

    def _reset(self) -> None:
        self.received = 0
        self._reset_ns = time.time_ns()
        self._every = 0
        self._told: deque[dict[str, Any]] = deque()

    async def __aenter__(self) -> PretendedNode:
        await anyio.lowlevel.checkpoint()
        if any(flag in self._world.broken for flag in (self.name, *self._options["arguments"])):
            raise PeerFailed(f"the {self.name} peer closed its standard output")
        self._world.nodes[self.peer_id] = self
        self._world.up += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        del self._world.nodes[self.peer_id]
        self._world.up -= 1

    async def command(self, name: str, /, timeout: float = 1, **fields: Any) -> dict[str, Any]:
        await anyio.lowlevel.checkpoint()
        if name == "publish_many":
            return await self._publish_many(**fields)
        return dict(getattr(self, f"_{name}")(**fields) or {})

    async def wait_answer(
        self, name: str, /, where: Callable[..., bool], *, timeout: float = 1, **fields: Any
    ) -> dict[str, Any]:
        answer = await self.command(name, **fields)
        assert where(answer), f"{self.name} says of {name}: {answer}"
        return answer

    async def wait_event(self, kind: str, *, timeout: float = 1) -> dict[str, Any]:
        while not self._told:
            await anyio.sleep(0.001)
        return self._told.popleft()

    def events(self, kind: str) -> list[dict[str, Any]]:
        told, self._told = list(self._told), deque()
        return told

    async def credit(self, received: int) -> None:
        self._world.credit_beyond = max(self._world.credit_beyond, received - self._sent)
        self._credit = received

    def _connect(self, addr: str) -> None:
        other = self._world.nodes[addr[1:]]
        self.links[other.peer_id] = other.links[self.peer_id] = None

    def _subscribe(self, topic: str) -> None:
        self.topics.append(topic)

    def _topic_peers(self, topic: str) -> dict[str, Any]:
        peers = [each for each in self.links if topic in self._world.nodes[each].topics]
        return {"peers": peers}

    def _mesh(self, topic: str) -> dict[str, Any]:
        return self._topic_peers(topic)

    def _reset_stats(self) -> None:
        self._reset()

    def _progress(self, every: int) -> None:
        self._every = every

    def _publish_stop(self) -> None:
        self._is_stopped = True

    async def _publish_many(
        self,
        topic: str,
        count: int,
        size: int,
        first_seq: int,
        timeout_ms: int,
        window: int = 0,
        rate: float = 0,
    ) -> dict[str, Any]:
        self._credit, self._is_stopped, self._sent = 0, False, 0
        self._world.published.append({"topic": topic, "count": count, "window": window})
        while self._sent < count and not self._is_stopped:
            if window and self._sent - self._credit >= window:
                await anyio.sleep(0.001)
                continue
            self._sent += 1
            self._world.most_under_way = max(self._world.most_under_way, self._sent - self._credit)
            if self._sent - self._credit <= self._world.carries:
                self._spread(topic, {self.peer_id})
        return {"sent": self._sent, "failed": 0}

    def _spread(self, topic: str, reached: set[str]) -> None:
        for peer in self.links:
            node = self._world.nodes[peer]
            if peer not in reached and topic in node.topics:
                reached.add(peer)
                node._hear()
                node._spread(topic, reached)

    def _hear(self) -> None:
        self.received += 1
        if self._every and self.received % self._every == 0:
            self._told.append({"event": "progress", "received": self.received})

    def _stats(self) -> dict[str, Any]:
        return {
            "received": self.received,
            "last_ns": self._reset_ns + self.received * 10**9 // RATE,
            "duplicates": self._world.duplicates,
            "cpu_since_reset_s": 0.001,
            "rss_bytes": self._world.resident_bytes,
            "latency_us": {"count": self.received, "p50": 1000, "p90": 2000, "p99": 3000,
                           "max": 4000},
        }  # fmt: skip
