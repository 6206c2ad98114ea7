"""Messages that were refused, kept for looking at: the newest of them, and not all of each."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gossipsub.chorus.errors import RefusalReason
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

KEPT_BYTES = 4096
"""Bytes kept of one message: what hostile peers send must not fill the memory."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was refused, and why."""

    topic: str
    reason: RefusalReason
    detail: str
    """The reason in words."""
    sender: PeerId | None
    """Who signed it."""
    received_from: PeerId
    """Who handed it to this node."""
    received_at: Timestamp
    data: bytes
    """The first 4096 bytes of it."""
    size: int
    """Bytes of the whole message."""


class DeadLetters:
    """Keeps the newest `bound` refused messages, and counts all of them by reason."""

    def __init__(self, bound: int) -> None:
        if bound < 1:
            raise LocalProtocolError(f"the dead-letter buffer holds at least 1: {bound}")
        self._letters: deque[DeadLetter] = deque(maxlen=bound)
        self._counts: Counter[RefusalReason] = Counter()

    def add(self, letter: DeadLetter) -> None:
        """When full, the oldest makes room."""
        self._letters.append(letter)
        self._counts[letter.reason] += 1

    def letters(self) -> tuple[DeadLetter, ...]:
        """Oldest first."""
        return tuple(self._letters)

    def counts(self) -> Mapping[RefusalReason, int]:
        return MappingProxyType(dict(self._counts))
