"""The message cache (v1.0, "Message cache"): what can be gossiped about and asked for."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from gossipsub.wire.rpc import Message


@dataclass(slots=True)
class _Window:
    """The messages that came between two heartbeats, with all that is noted of them: thousands are
    then forgotten in one step."""

    messages: dict[bytes, Message] = field(default_factory=dict)
    topics: dict[str, list[bytes]] = field(default_factory=dict)
    transmissions: dict[bytes, dict[bytes, int]] = field(default_factory=dict)
    expiry: dict[bytes, float] = field(default_factory=dict)
    held_bytes: int = 0

    def expire(self, now: float) -> None:
        done = {i: None for i, expiry in self.expiry.items() if expiry <= now}
        if done:
            for ids in self.topics.values():
                ids[:] = [message_id for message_id in ids if message_id not in done]
            for message_id in done:
                self.held_bytes -= _size(self.messages.pop(message_id))
                self.transmissions.pop(message_id, None)
                del self.expiry[message_id]


class MessageCache:
    """Accepted messages of the last `length` heartbeats, in windows; the newest `gossip` windows
    are gossiped about. At most `max_bytes` are kept: beyond it the oldest windows are
    emptied early, and a message larger than that is not kept at all.
    """

    def __init__(self, *, length: int, gossip: int, max_bytes: int) -> None:
        self._gossip = gossip
        self._max_bytes = max_bytes
        self._windows = deque(_Window() for _ in range(length))
        self.held_bytes = 0
        """What the messages take."""

    def __len__(self) -> int:
        return sum(len(window.messages) for window in self._windows)

    def put(self, message_id: bytes, message: Message, expiry: float = math.inf) -> None:
        """Keep a message in the newest window, until `expiry` at most; one that is kept already
        stays where it is."""
        size = _size(message)
        if size > self._max_bytes:
            return
        for window in self._windows:
            if message_id in window.messages:
                return
        if self.held_bytes + size > self._max_bytes:
            self._make_room(size)
        self.held_bytes += size
        window = self._windows[0]
        window.held_bytes += size
        window.messages[message_id] = message
        if expiry < math.inf:
            window.expiry[message_id] = expiry
        ids = window.topics.get(message.topic)
        if ids is None:
            window.topics[message.topic] = [message_id]
        else:
            ids.append(message_id)

    def gossip_ids(self, topic: str) -> list[bytes]:
        """Ids of the topic's messages in the newest windows, newest window first."""
        return [
            message_id
            for _, window in zip(range(self._gossip), self._windows, strict=False)
            for message_id in window.topics.get(topic, ())
        ]

    def get(self, message_id: bytes) -> Message | None:
        for window in self._windows:
            message = window.messages.get(message_id)
            if message is not None:
                return message
        return None

    def take_for(self, message_id: bytes, peer: bytes, limit: int) -> Message | None:
        """The message for a peer that asked, unless it was sent `limit` times to it."""
        for window in self._windows:
            message = window.messages.get(message_id)
            if message is not None:
                counts = window.transmissions.setdefault(message_id, {})
                count = counts.get(peer, 0)
                if count >= limit:
                    return None
                counts[peer] = count + 1
                return message
        return None

    def expire(self, now: float) -> None:
        """Forget messages whose time is over."""
        for window in self._windows:
            if window.expiry:
                self.held_bytes -= window.held_bytes
                window.expire(now)
                self.held_bytes += window.held_bytes

    def shift(self) -> None:
        """Open a new window; the oldest goes, with its messages and counts."""
        self.held_bytes -= self._windows.pop().held_bytes
        self._windows.appendleft(_Window())

    def _make_room(self, size: int) -> None:
        for index in reversed(range(len(self._windows))):
            if self.held_bytes + size <= self._max_bytes:
                return
            self.held_bytes -= self._windows[index].held_bytes
            self._windows[index] = _Window()


def _size(message: Message) -> int:
    """Bytes of all that an author can make large: data, and what this version does not know."""
    return len(message.data or b"") + len(message.unknown) + len(message.key or b"")
