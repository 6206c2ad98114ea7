"""Old messages, told by another node's log, that wait for the handlers of their topic."""

from __future__ import annotations

from collections import deque

from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wake import Wake

MAX_WAITING = 4096
MAX_WAITING_BYTES = 16 << 20


class CaughtUp:
    """A queue with bounds. It keeps messages as they were signed: decoded, one can take twenty
    times the memory."""

    def __init__(self) -> None:
        self._waiting: deque[SignedMessage] = deque()
        self._bytes = 0
        self._wake = Wake()
        self._is_ended = False

    def has_room_for(self, signed: SignedMessage) -> bool:
        if self._is_ended:
            return False
        return not self._waiting or (
            len(self._waiting) < MAX_WAITING and self._bytes + len(signed.data) <= MAX_WAITING_BYTES
        )

    def put(self, signed: SignedMessage) -> None:
        """There must be room for it."""
        self._waiting.append(signed)
        self._bytes += len(signed.data)
        self._wake.set()

    def end(self) -> None:
        """No more come, and those that wait are lost."""
        self._is_ended = True
        self._waiting.clear()
        self._wake.set()

    async def next(self) -> SignedMessage | None:
        """The one that waited longest, when there is one; None at the end."""
        while not self._waiting:
            if self._is_ended:
                return None
            await self._wake.wait()
        signed = self._waiting.popleft()
        self._bytes -= len(signed.data)
        return signed
