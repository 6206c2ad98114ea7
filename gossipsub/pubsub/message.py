"""What the application sees: a message that arrived, and what became of one it published."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gossipsub.crypto.peer_id import PeerId
from gossipsub.router.effects import Verdict


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that passed validation."""

    topic: str
    data: bytes
    sender: PeerId | None
    """Who published it, proved by its signature; None where messages are unsigned."""
    received_from: PeerId
    """Who handed it to this node: a neighbour, or this node itself."""
    message_id: bytes
    seqno: bytes | None


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What happened to one publication."""

    message_id: bytes
    queued_to: tuple[PeerId, ...]
    """Peers it is on its way to. Empty when nobody is there yet: it can still be asked for."""
    dropped_by: tuple[PeerId, ...]
    """Peers whose outbound queue was full."""


Validator = Callable[[ReceivedMessage], Verdict | bool | Awaitable[Verdict | bool]]
"""Decides on a message: `Verdict` ACCEPT, REJECT, IGNORE or THROTTLED, or True for ACCEPT and False
for REJECT."""
