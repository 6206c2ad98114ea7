"""The RPC of pubsub as plain data (pubsub README, gossipsub v1.0 to v1.3, partial messages).

Encoding and decoding are in `rpc_codec`; the router sees only these classes. An absent field
is None (or an empty sequence): proto2 tells absent from empty, and so do signatures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class SubOpts:
    """A subscription announced (`subscribe`) or withdrawn."""

    topic: str
    subscribe: bool = True
    requests_partial: bool = False
    supports_sending_partial: bool = False


@dataclass(slots=True)
class Message:
    """One published message. Never changed after it was built or decoded."""

    topic: str
    data: bytes | None = None
    from_peer: bytes | None = None
    seqno: bytes | None = None
    signature: bytes | None = None
    key: bytes | None = None
    unknown: bytes = b""
    """Fields this version does not know, as received, tags included; they are signed too."""
    encoding: bytes | None = None
    """The submessage's bytes, as received or as first encoded; forwarded unchanged."""
    signed_bytes: int = field(default=0, compare=False, repr=False)
    """How many of the encoding's first bytes its signature covers; 0 where it does not cover them
    as they stand, or that is not known."""


@dataclass(slots=True)
class IHave:
    topic: str
    message_ids: Sequence[bytes] = ()


@dataclass(slots=True)
class IWant:
    message_ids: Sequence[bytes] = ()


@dataclass(slots=True)
class Graft:
    topic: str


@dataclass(slots=True)
class PeerInfo:
    """A peer offered in exchange; `signed_peer_record` is an encoded envelope."""

    peer_id: bytes | None = None
    signed_peer_record: bytes | None = None


@dataclass(slots=True)
class Prune:
    topic: str
    peers: Sequence[PeerInfo] = ()
    backoff: int | None = None
    """Whole seconds; None where the peer speaks v1.0."""


@dataclass(slots=True)
class IDontWant:
    message_ids: Sequence[bytes] = ()


@dataclass(slots=True)
class Extensions:
    """What the sender supports (v1.3); sent once, in the first RPC of a stream."""

    partial_messages: bool = False
    test_extension: bool = False


@dataclass(slots=True)
class Control:
    ihave: Sequence[IHave] = ()
    iwant: Sequence[IWant] = ()
    graft: Sequence[Graft] = ()
    prune: Sequence[Prune] = ()
    idontwant: Sequence[IDontWant] = ()
    extensions: Extensions | None = None


@dataclass(slots=True)
class PartialMessagesExtension:
    """Parts of a message, or what one has of them (partial messages extension)."""

    topic: str | None = None
    group_id: bytes | None = None
    partial_message: bytes | None = None
    parts_metadata: bytes | None = None


@dataclass(slots=True)
class Rpc:
    """What one frame carries. Once handed to be sent it is shared between peers: never changed."""

    subscriptions: Sequence[SubOpts] = ()
    publish: Sequence[Message] = ()
    control: Control | None = None
    partial: PartialMessagesExtension | None = None
    test_extension: bool = False
    encoding: bytes | None = None
    """The bytes of this RPC once encoded, so that it is encoded once for all peers."""
