"""What the application sees: a message that arrived, and what became of one it published."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from enum import Enum

from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.router.effects import Verdict
from gossipsub.wire.rpc import Message


@dataclass(frozen=True, slots=True, init=False)
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
    received_at: float = field(default_factory=time.time, compare=False)
    """Seconds since the epoch, by this host's clock, when it was handed to the application; to a
    validator that is a moment earlier."""
    wire: Message | None = field(default=None, compare=False, repr=False)
    """As it was on the wire; None for messages made up by tests. Never change it."""

    def __init__(
        self,
        topic: str,
        data: bytes,
        sender: PeerId | None,
        received_from: PeerId,
        message_id: bytes,
        seqno: bytes | None,
        received_at: float | None = None,
        wire: Message | None = None,
    ) -> None:
        # What a frozen dataclass writes itself takes five times as long, 2 us for each message.
        (set_topic, set_data, set_sender, set_from, set_id, set_seqno, set_at, set_wire) = _SETTERS
        set_topic(self, topic)
        set_data(self, data)
        set_sender(self, sender)
        set_from(self, received_from)
        set_id(self, message_id)
        set_seqno(self, seqno)
        set_at(self, time.time() if received_at is None else received_at)
        set_wire(self, wire)

    @property
    def signed(self) -> SignedMessage | None:
        """The whole of it with its signature, to be kept or passed on; None where it has none."""
        if self.wire is None or self.sender is None or self.seqno is None:
            return None
        return SignedMessage(self.wire, genuine=True)


_SETTERS = tuple(vars(ReceivedMessage)[each.name].__set__ for each in fields(ReceivedMessage))


class UnsentReason(Enum):
    """Why a publication went to nobody; the values are sentences for a log."""

    DUPLICATE = "a message with this id was published or delivered before"
    LOCAL_ONLY = "it was published to this host's own subscriptions alone"
    NO_PEERS = "no connected peer is subscribed to the topic"
    LOW_SCORES = "the scores of all its subscribers are below the publish threshold"
    NOT_IN_MESH = "flood publishing is off, and no peer is in the topic's mesh"
    NOT_WANTED = "its subscribers have it, refused it, or are kept out by a filter or limit"
    QUEUES_FULL = "the outbound queues of all it was for are full, or they take no stream"


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What happened to one publication."""

    message_id: bytes
    queued_to: tuple[PeerId, ...]
    """Peers it is on its way to. Empty when nobody is there yet: peers that come within the next
    heartbeats may hear of it and ask for it."""
    dropped_by: tuple[PeerId, ...]
    """Peers whose outbound queue was full, or that take no stream."""
    reason: UnsentReason | None = None
    """Why `queued_to` is empty; None where it is not."""

    @property
    def reached_nobody(self) -> bool:
        """It was queued to no peer; `reason` says why."""
        return not self.queued_to


Validator = Callable[[ReceivedMessage], Verdict | bool | Awaitable[Verdict | bool]]
"""Decides on a message: `Verdict` ACCEPT, REJECT, IGNORE or THROTTLED, or True for ACCEPT and False
for REJECT."""
