"""An envelope that this node stands behind: accepted from another agent, or its own about to be
sent. The log, presence, and whatever else follows the conversation hear of each once."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self

from gossipsub.chorus.envelope import Envelope, EnvelopeLimits
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.pubsub.signed_message import SignedMessage


@dataclass(frozen=True, slots=True)
class Delivery:
    """One envelope, where it came from, and the message it came in."""

    envelope: Envelope
    topic: str
    sender: PeerId
    """The agent that signed it."""
    signed: SignedMessage
    """The message as it was signed, to be kept and proved; `signed.origin` names it."""
    received_at: int
    """Nanoseconds since 1970 by this node's clock."""
    is_own: bool = False
    """This node's own, about to be sent."""
    is_caught_up: bool = False
    """Told by another node's log, after the fact: it may be old."""


_NO_LIMITS = EnvelopeLimits(max_bytes=1 << 31, max_depth=256, max_hop_count=1 << 53)


def envelope_of(signed: SignedMessage) -> Envelope:
    """The envelope of a message that was delivered before, by whatever limits."""
    return Envelope.decode(signed.data, _NO_LIMITS)


@dataclass(frozen=True, slots=True)
class WaitingDelivery:
    """A delivery that is kept for later, as it was signed: decoded, it can take twenty times the
    memory."""

    topic: str
    sender: PeerId
    signed: SignedMessage
    received_at: int
    is_own: bool
    is_caught_up: bool

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        return cls(
            delivery.topic,
            delivery.sender,
            delivery.signed,
            delivery.received_at,
            delivery.is_own,
            delivery.is_caught_up,
        )

    def delivery(self) -> Delivery:
        """As it was."""
        return Delivery(
            envelope_of(self.signed),
            self.topic,
            self.sender,
            self.signed,
            self.received_at,
            is_own=self.is_own,
            is_caught_up=self.is_caught_up,
        )


handled: ContextVar[Delivery | None] = ContextVar("gossipsub_chorus_delivery", default=None)


def current_delivery() -> Delivery | None:
    """In a handler, and in what it calls or awaits: the delivery it was called for. It has the
    topic, the signed message, and whether this is old news. None elsewhere."""
    return handled.get()


Observer = Callable[[Delivery], None]
"""Hears of every delivery in its order, before handlers do and whatever roles it is for. It must be
quick; an exception is logged and stops nothing."""

Check = Callable[[Envelope, ReceivedMessage], None]
"""Asked about every envelope of others that is in order so far; raises MalformedEnvelope to refuse
it. It must be quick, and is no coroutine function. Any other exception is logged, and refuses
too."""
