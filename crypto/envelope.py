"""Signed envelopes (libp2p RFC 0002): a typed payload, signed for one purpose only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gossipsub.crypto.fields import bytes_field, read_fields
from gossipsub.crypto.keys import PrivateKey, PublicKey
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.varint import encode_uvarint


@dataclass(frozen=True, slots=True)
class SignedEnvelope:
    """What an envelope says. `decode` does not look at the signature; `open` does."""

    public_key: PublicKey
    payload_type: bytes
    """A multicodec, as bytes; signed together with the payload."""
    payload: bytes
    signature: bytes

    @classmethod
    def seal(cls, key: PrivateKey, *, domain: str, payload_type: bytes, payload: bytes) -> Self:
        """Sign `payload`. `domain` names the purpose; it is signed but not sent.

        Raises LocalProtocolError if domain or type is empty: the signature could then be shown
        for another purpose.
        """
        if not domain:
            raise LocalProtocolError("an envelope needs a domain")
        if not payload_type:
            raise LocalProtocolError("an envelope needs a payload type")
        signature = key.sign(_bytes_to_sign(domain, payload_type, payload))
        return cls(key.public_key, payload_type, payload, signature)

    @classmethod
    def open(cls, encoded: bytes, *, domain: str, payload_type: bytes) -> Self:
        """Read an envelope and make sure that it is signed, for `domain` and of `payload_type`.

        Raises RemoteProtocolError otherwise. Whose key signed it is for the caller to judge.
        """
        envelope = cls.decode(encoded)
        if envelope.payload_type != payload_type:
            raise RemoteProtocolError(
                f"envelope of type {envelope.payload_type[:64].hex()}, not {payload_type.hex()}"
            )
        if not envelope.verify(domain):
            raise RemoteProtocolError("envelope signature is wrong")
        return envelope

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """Read the protobuf only; RemoteProtocolError if it is none or holds no usable key."""
        fields: dict[int, bytes] = {}
        for number, value in read_fields(encoded):
            if isinstance(value, bytes):
                fields[number] = value
        if 1 not in fields:
            raise RemoteProtocolError("envelope without a public key")
        return cls(
            PublicKey.decode(fields[1]),
            fields.get(2, b""),
            fields.get(3, b""),
            fields.get(5, b""),
        )

    def verify(self, domain: str) -> bool:
        """Whether the signature is good for `domain`; never raises."""
        signed = _bytes_to_sign(domain, self.payload_type, self.payload)
        return self.public_key.verify(signed, self.signature)

    def encode(self) -> bytes:
        """The protobuf; an empty payload is left out, as proto3 has it."""
        payload = bytes_field(3, self.payload) if self.payload else b""
        return (
            bytes_field(1, self.public_key.encode())
            + bytes_field(2, self.payload_type)
            + payload
            + bytes_field(5, self.signature)
        )


def _bytes_to_sign(domain: str, payload_type: bytes, payload: bytes) -> bytes:
    """Each part behind its length, so that no byte can wander from one to the next (trap T26)."""
    parts = (domain.encode(), payload_type, payload)
    return b"".join(encode_uvarint(len(part)) + part for part in parts)
