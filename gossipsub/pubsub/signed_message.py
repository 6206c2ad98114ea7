"""A message as its author signed it, to be kept, passed on and proved later."""

from __future__ import annotations

from typing import Self

from gossipsub.crypto.message_signing import verify_message
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.message_codec import decode_message, encode_message
from gossipsub.wire.rpc import Message

MAX_EXTRA_FIELDS = 16
"""Unknown and repeated fields that `decode` takes."""


class SignedMessage:
    """One message with its author, sequence number and signature (pubsub "Message Signing").

    From `ReceivedMessage.signed`, `Topic.sign`, or `decode` of what `encoded` gave. Equal means
    the same bytes.
    """

    __slots__ = ("_genuine", "wire")

    def __init__(self, message: Message, *, genuine: bool | None = None) -> None:
        """`genuine` where it is known. LocalProtocolError when it is not signed."""
        if message.from_peer is None or message.seqno is None or message.signature is None:
            raise LocalProtocolError("the message is not signed")
        self._genuine = genuine
        self.wire = message
        """The message of the wire room. Never change it."""

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """Read the submessage `Message` of an RPC; the signature is not looked at.

        RemoteProtocolError, fatal to the message alone, when it is none or is not signed.
        """
        try:
            return cls(decode_message(encoded, MAX_EXTRA_FIELDS))
        except IndexError as error:
            raise RemoteProtocolError("the message is cut short", fatal_to="message") from error
        except (LocalProtocolError, RemoteProtocolError) as error:
            raise RemoteProtocolError(str(error), fatal_to="message") from error

    @property
    def topic(self) -> str:
        """The topic it was signed for."""
        return self.wire.topic

    @property
    def data(self) -> bytes:
        """What the application said."""
        return self.wire.data or b""

    @property
    def sender(self) -> PeerId:
        """Who claims to have signed it: proved only where `is_genuine`."""
        return PeerId(self.wire.from_peer or b"")

    @property
    def seqno(self) -> bytes:
        """Its author's sequence number, 8 bytes big-endian where it `is_genuine`."""
        return self.wire.seqno or b""

    @property
    def origin(self) -> bytes:
        """Author and sequence number: names the message everywhere, and is its id by default."""
        return (self.wire.from_peer or b"") + (self.wire.seqno or b"")

    @property
    def encoded(self) -> bytes:
        """The protobuf submessage, byte for byte as it is on the wire."""
        return encode_message(self.wire)

    def is_genuine(self) -> bool:
        """Whether the signature is its author's (StrictSign); about 110 us the first time."""
        if self._genuine is None:
            self._genuine = verify_message(self.wire)
        return self._genuine

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SignedMessage) and self.encoded == other.encoded

    def __hash__(self) -> int:
        return hash(self.encoded)

    def __repr__(self) -> str:
        return f"SignedMessage({self.topic!r}, sender={self.sender}, {len(self.data)} bytes)"
