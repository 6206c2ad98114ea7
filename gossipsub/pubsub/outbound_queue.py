"""RPCs waiting for one peer, in classes: what must not starve leaves first.

Bounded in number and bytes. When full, the newest RPC of the lowest class makes room; the
caller is told, so that the router can send GRAFT and PRUNE again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gossipsub.router.effects import Lane
from gossipsub.wire.rpc import Message, Rpc
from gossipsub.wire.varint import encode_uvarint


@dataclass(slots=True, eq=False)
class Queued:
    rpc: Rpc
    body: bytes
    lane: Lane


class OutboundQueue:
    """Order is kept within a lane; lanes leave in the order of `Lane`."""

    def __init__(self, *, max_rpcs: int, max_bytes: int) -> None:
        self._lanes: tuple[deque[Queued], ...] = tuple(deque() for _ in Lane)
        self._max_rpcs = max_rpcs
        self._max_bytes = max_bytes
        self._messages: dict[int, Queued] = {}  # by identity; what is queued stays alive
        self._lane_bytes = [0] * len(Lane)
        self.rpcs = 0
        self.bytes = 0
        self.dropped = 0

    def __bool__(self) -> bool:
        return self.rpcs > 0

    def is_behind(self) -> bool:
        """More than half full: a publisher does well to wait."""
        return self.rpcs * 2 > self._max_rpcs or self.bytes * 2 > self._max_bytes

    def push(self, rpc: Rpc, body: bytes, lane: Lane) -> list[Rpc]:
        """Queue it; returns what had to be dropped for it, or it alone when all that waits below
        would not make room."""
        dropped: list[Rpc] = []
        while self.rpcs >= self._max_rpcs or self.bytes + len(body) > self._max_bytes:
            victim = self._evict_below(lane) if dropped or self._can_hold(body, lane) else None
            if victim is None:
                self.dropped += 1
                return [rpc]
            dropped.append(victim)
        queued = Queued(rpc, body, lane)
        if len(rpc.publish) == 1:
            self._messages[id(rpc.publish[0])] = queued
        self._lanes[lane].append(queued)
        self._lane_bytes[lane] += len(body)
        self.rpcs += 1
        self.bytes += len(body)
        return dropped

    def remove(self, message: Message) -> bool:
        """Take out the RPC that carries this very object and nothing else; False if there is
        none."""
        queued = self._messages.get(id(message))
        if queued is None or queued.rpc != Rpc(publish=(message,), encoding=queued.rpc.encoding):
            return False
        self._lanes[queued.lane].remove(queued)
        self._left(queued)
        return True

    def _can_hold(self, body: bytes, lane: Lane) -> bool:
        """Whether what may not be dropped for it leaves room."""
        kept = sum(self._lane_bytes[: lane + 1])
        return kept + len(body) <= self._max_bytes

    def _evict_below(self, lane: Lane) -> Rpc | None:
        for lower in range(len(self._lanes) - 1, lane, -1):
            if self._lanes[lower]:
                victim = self._lanes[lower].pop()
                self._left(victim)
                self.dropped += 1
                return victim.rpc
        return None

    def _left(self, queued: Queued) -> None:
        self.rpcs -= 1
        self.bytes -= len(queued.body)
        self._lane_bytes[queued.lane] -= len(queued.body)
        if len(queued.rpc.publish) == 1:
            self._messages.pop(id(queued.rpc.publish[0]), None)

    def take_frames(self, room: int) -> bytes:
        """Length-prefixed RPCs, joined, up to `room` bytes but at least one if any waits."""
        parts: list[bytes] = []
        size = 0
        for lane in self._lanes:
            while lane:
                body = lane[0].body
                if parts and size + len(body) + 4 > room:
                    return b"".join(parts)
                self._left(lane.popleft())
                prefix = encode_uvarint(len(body))
                parts.append(prefix)
                parts.append(body)
                size += len(prefix) + len(body)
        return b"".join(parts)

    def clear(self) -> None:
        for lane in self._lanes:
            lane.clear()
        self._messages.clear()
        self._lane_bytes = [0] * len(Lane)
        self.rpcs = 0
        self.bytes = 0
