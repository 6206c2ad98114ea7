"""The message cache (v1.0, "Message cache"): what can be gossiped about and asked for."""

from __future__ import annotations

import math
from collections import deque

from gossipsub.wire.rpc import Message


class MessageCache:
    """Accepted messages of the last `length` heartbeats, in windows; the newest `gossip` windows
    are gossiped about. At most `max_bytes` are kept: beyond it the oldest windows are
    emptied early, and a message larger than that is not kept at all.
    """

    def __init__(self, *, length: int, gossip: int, max_bytes: int) -> None:
        self._gossip = gossip
        self._max_bytes = max_bytes
        self.held_bytes = 0
        """What the messages take."""
        self._messages: dict[bytes, Message] = {}
        self._windows: deque[dict[str, list[bytes]]] = deque({} for _ in range(length))
        self._transmissions: dict[bytes, dict[bytes, int]] = {}
        self._expiry: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message_id: bytes, message: Message, expiry: float = math.inf) -> None:
        """Keep a message in the newest window, until `expiry` at most; one that is kept already
        stays where it is."""
        messages = self._messages
        size = _size(message)
        if message_id in messages or size > self._max_bytes:
            return
        if self.held_bytes + size > self._max_bytes:
            self._make_room(size)
        self.held_bytes += size
        messages[message_id] = message
        if expiry < math.inf:
            self._expiry[message_id] = expiry
        window = self._windows[0]
        ids = window.get(message.topic)
        if ids is None:
            window[message.topic] = [message_id]
        else:
            ids.append(message_id)

    def gossip_ids(self, topic: str) -> list[bytes]:
        """Ids of the topic's messages in the newest windows, newest window first."""
        return [
            message_id
            for _, window in zip(range(self._gossip), self._windows, strict=False)
            for message_id in window.get(topic, ())
        ]

    def get(self, message_id: bytes) -> Message | None:
        return self._messages.get(message_id)

    def take_for(self, message_id: bytes, peer: bytes, limit: int) -> Message | None:
        """The message for a peer that asked, unless it was sent `limit` times to it."""
        message = self._messages.get(message_id)
        if message is None:
            return None
        counts = self._transmissions.setdefault(message_id, {})
        count = counts.get(peer, 0)
        if count >= limit:
            return None
        counts[peer] = count + 1
        return message

    def expire(self, now: float) -> None:
        """Forget messages whose time is over."""
        done = {i: None for i, expiry in self._expiry.items() if expiry <= now}
        if done:
            for window in self._windows:
                for ids in window.values():
                    ids[:] = [message_id for message_id in ids if message_id not in done]
            for message_id in done:
                self._forget(message_id)

    def shift(self) -> None:
        """Open a new window; the oldest goes, with its messages and counts."""
        self._empty(self._windows.pop())
        self._windows.appendleft({})

    def _make_room(self, size: int) -> None:
        for window in reversed(self._windows):
            if self.held_bytes + size <= self._max_bytes:
                return
            self._empty(window)

    def _empty(self, window: dict[str, list[bytes]]) -> None:
        for ids in window.values():
            for message_id in ids:
                self._forget(message_id)
        window.clear()

    def _forget(self, message_id: bytes) -> None:
        self.held_bytes -= _size(self._messages.pop(message_id))
        self._transmissions.pop(message_id, None)
        self._expiry.pop(message_id, None)


def _size(message: Message) -> int:
    """Bytes of all that an author can make large: data, and what this version does not know."""
    return len(message.data or b"") + len(message.unknown) + len(message.key or b"")
