"""Who was asked for which messages with IWANT, and may still send them (v1.2, "IDONTWANT")."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class Asked:
    """Remembers who was asked during the last `heartbeats`. At most `limit` ids are noted in
    each; an id asked of two peers counts twice. Peers stay listed when they leave: whoever
    reads the list checks.
    """

    def __init__(self, *, heartbeats: int, limit: int) -> None:
        self._limit = limit
        self._room = limit
        self._windows: deque[dict[bytes, list[bytes]]] = deque({} for _ in range(heartbeats))

    def __len__(self) -> int:
        return sum(len(peers) for window in self._windows for peers in window.values())

    def put(self, peer: bytes, message_ids: Iterable[bytes]) -> None:
        window = self._windows[0]
        for message_id in message_ids:
            if self._room == 0:
                return
            self._room -= 1
            window.setdefault(message_id, []).append(peer)

    def take(self, message_id: bytes) -> list[bytes]:
        """Those asked for a message that has come; each may be listed more than once."""
        return [peer for window in self._windows for peer in window.pop(message_id, ())]

    def includes(self, peer: bytes, message_id: bytes) -> bool:
        """Whether this peer was asked for this message."""
        return any(peer in window.get(message_id, ()) for window in self._windows)

    def age(self) -> None:
        """A heartbeat passed."""
        self._windows.pop()
        self._windows.appendleft({})
        self._room = self._limit
