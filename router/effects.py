"""What the router asks its driver to do, and the verdicts the driver reports back.

Effects are to be performed in the order given. They are not frozen: one is built per RPC and
peer, and a frozen dataclass costs several times as much to build.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from gossipsub.wire.rpc import Message, Rpc


class Lane(IntEnum):
    """Priority of an RPC in the outbound queue; lower goes first, higher is dropped first."""

    URGENT = 0
    """A stream's first RPC, and whatever is worthless when late."""
    CONTROL = 1
    """Subscriptions, GRAFT and PRUNE. Their order within a peer matters (QUE-04)."""
    OWN = 2
    """Messages published here."""
    FORWARDED = 3
    """Messages of others, answers to IWANT, IHAVE and IWANT alone."""


class Verdict(Enum):
    """What became of a message handed out with `Validate`; the values are go's names."""

    ACCEPT = "accepted"
    """Genuine and wanted: delivered and forwarded."""
    REJECT = "validation failed"
    """Genuine but invalid: dropped, and copies of it too."""
    IGNORE = "validation ignored"
    """Genuine, of no use: dropped without blame, and copies of it too."""
    INVALID_SIGNATURE = "invalid signature"
    """Not genuine: dropped; another copy with the same id may still be genuine."""
    QUEUE_FULL = "validation queue full"
    """Not looked at; another copy may be."""
    THROTTLED = "validation throttled"
    """Not looked at to the end; another copy may be."""


@dataclass(slots=True)
class SendRpc:
    """Queue `rpc` for `peer`. One Rpc object may be shared by many of these: never change it."""

    peer: bytes
    rpc: Rpc
    lane: Lane


@dataclass(slots=True)
class Unqueue:
    """Drop `message` from what waits to be sent to `peer`, if it still does: it was refused."""

    peer: bytes
    message: Message


@dataclass(slots=True)
class Validate:
    """Verify and validate `message`, then call `validation_result(ticket, ...)` exactly once."""

    ticket: int
    peer: bytes
    message: Message
    message_id: bytes


@dataclass(slots=True)
class Deliver:
    """Hand a message to the local subscribers; `received_from` is None for own messages."""

    message: Message
    message_id: bytes
    received_from: bytes | None


@dataclass(slots=True)
class Connect:
    """Dial `peer`: a direct one, or one that `told_by` named in peer exchange, maybe with a
    `signed_peer_record`. That record is to be verified, and its addresses are a stranger's."""

    peer: bytes
    signed_peer_record: bytes | None = None
    told_by: bytes | None = None


@dataclass(slots=True)
class Disconnect:
    """Close the connection to `peer`."""

    peer: bytes
    reason: str


@dataclass(slots=True)
class TopicPeer:
    """A peer subscribed to (`joined`) or left a topic, whether or not we are in it."""

    topic: str
    peer: bytes
    joined: bool


class TraceKind(IntEnum):
    """What a trace tells; the numbers are those of go's `TraceEvent.Type`."""

    PUBLISH_MESSAGE = 0
    REJECT_MESSAGE = 1
    DUPLICATE_MESSAGE = 2
    DELIVER_MESSAGE = 3
    ADD_PEER = 4
    REMOVE_PEER = 5
    RECV_RPC = 6
    SEND_RPC = 7
    """Queued. The router emits neither this nor the next: only its driver knows."""
    DROP_RPC = 8
    JOIN = 9
    LEAVE = 10
    GRAFT = 11
    PRUNE = 12
    THROTTLE_PEER = 100
    """The gater ignored what the peer sent; go's trace files have no such event, nor have ours."""


@dataclass(slots=True)
class PartialReceived:
    """A peer sent parts of a group's message, or metadata about those it has, or both."""

    peer: bytes
    topic: str
    group_id: bytes
    message: bytes | None
    metadata: bytes | None


@dataclass(slots=True)
class PartialGossip:
    """Tell these peers about a group published here: they did not hear of it yet."""

    topic: str
    group_id: bytes
    peers: tuple[bytes, ...]


@dataclass(slots=True)
class Trace:
    """Something that happened, for whoever watches; changes nothing. Only with
    `GossipParams.tracing`."""

    kind: TraceKind
    peer: bytes | None = None
    """The peer it happened with: the sender, the one added, grafted, ... None: this node."""
    topic: str | None = None
    message_id: bytes | None = None
    """None also where a message was refused before its id was known."""
    detail: str | None = None
    """REJECT_MESSAGE: the reason, by go's name. ADD_PEER: the protocol."""
    rpc: Rpc | None = None


Effect = (
    SendRpc
    | Unqueue
    | Validate
    | Deliver
    | Connect
    | Disconnect
    | TopicPeer
    | PartialReceived
    | PartialGossip
    | Trace
)


@dataclass(frozen=True, slots=True)
class PublishReceipt:
    """What `publish` did."""

    message_id: bytes
    peers: tuple[bytes, ...]
    """The peers it was queued to; the driver may still report drops."""
    duplicate: bool = False
    """True where this id had been delivered before: nothing was sent or delivered again."""


@dataclass(frozen=True, slots=True)
class PartialPeer:
    """A peer to tell about a group."""

    peer: bytes
    requests: bool
    """It wants parts; else only metadata may be sent to it."""
