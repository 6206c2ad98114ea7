"""Links between nodes: delay, loss, bandwidth, and the sender's bounded queue.

A stream is ordered and reliable, so nothing is lost on the way: a lost RPC is one that the sender
could not queue, and the sender's router is told.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gossipsub.router.effects import Lane
from gossipsub.wire.rpc import Message, Rpc

if TYPE_CHECKING:
    from gossipsub.testing.nodes import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A connection's properties, the same in both directions."""

    latency: float = 0.05
    """Seconds one way."""
    jitter: float = 0.0
    """Each RPC takes up to this many seconds more or less, drawn evenly. Order is kept: an RPC
    waits for those before it."""
    loss: float = 0.0
    """Probability with which the sender fails to queue an RPC."""
    bandwidth: float | None = None
    """Bytes per second and direction, None for no limit. RPCs wait in the order of their lanes."""
    queue_rpcs: int = 1024
    """With `bandwidth`: RPCs waiting at most; beyond it the newest of the lowest class goes."""
    queue_bytes: int = 8 * 1024 * 1024
    """With `bandwidth`: the same in estimated bytes."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.jitter <= self.latency < math.inf:
            raise ValueError(f"need 0 <= jitter <= latency: {self.jitter}, {self.latency}")
        if not 0.0 <= self.loss <= 1.0:
            raise ValueError(f"loss must be in 0..1: {self.loss}")
        if self.bandwidth is not None and not self.bandwidth > 0.0:
            raise ValueError(f"bandwidth must be positive: {self.bandwidth}")
        if self.queue_rpcs < 1 or self.queue_bytes < 1:
            raise ValueError(
                f"queue_rpcs and queue_bytes must be positive: "
                f"{self.queue_rpcs}, {self.queue_bytes}"
            )


@dataclass(slots=True, eq=False)
class Pipe:
    """One direction of a connection."""

    sender: Node
    receiver: Node
    sender_id: bytes
    link: Link
    delay_ticks: float
    jitter_ticks: float
    is_instant: bool
    """RPCs depart when they are sent: there is neither loss nor bandwidth."""
    is_open: bool = True
    last_arrival: int = 0
    """Tick at which the newest RPC under way arrives."""
    queue: SendQueue | None = None
    """Only with a bandwidth."""


class SendQueue:
    """RPCs waiting to be sent through one pipe: a lane at a time, each in order."""

    def __init__(self, *, max_rpcs: int, max_bytes: int) -> None:
        self._lanes: tuple[deque[tuple[Rpc, int]], ...] = tuple(deque() for _ in Lane)
        self._max_rpcs = max_rpcs
        self._max_bytes = max_bytes
        self._rpcs = 0
        self._bytes = 0
        self.is_sending = False
        """The link is busy with an RPC that has left the queue."""
        self.free_at = 0.0
        """When the last byte of it has left: exact, or small RPCs would be sent in no time."""

    def push(self, rpc: Rpc, size: int, lane: Lane) -> list[Rpc]:
        """Queue an RPC; returns those that had to go, which may be this one."""
        dropped: list[Rpc] = []
        while self._rpcs >= self._max_rpcs or self._bytes + size > self._max_bytes:
            victim = self._take_newest_below(lane)
            if victim is None:
                dropped.append(rpc)
                return dropped
            dropped.append(victim)
        self._lanes[lane].append((rpc, size))
        self._rpcs += 1
        self._bytes += size
        return dropped

    def pop(self) -> tuple[Rpc, int] | None:
        """The next RPC to send, with its size."""
        for lane in self._lanes:
            if lane:
                rpc, size = lane.popleft()
                self._rpcs -= 1
                self._bytes -= size
                return rpc, size
        return None

    def remove(self, message: Message) -> bool:
        """Take out the RPC that carries this message and nothing else; False if none does."""
        wanted = Rpc(publish=(message,))
        for lane in self._lanes:
            for item in lane:
                rpc, size = item
                if rpc == wanted:
                    lane.remove(item)
                    self._rpcs -= 1
                    self._bytes -= size
                    return True
        return False

    def _take_newest_below(self, lane: Lane) -> Rpc | None:
        for lower in reversed(self._lanes[lane + 1 :]):
            if lower:
                rpc, size = lower.pop()
                self._rpcs -= 1
                self._bytes -= size
                return rpc
        return None
