"""Peer ids: the multihash of a public key (libp2p specs, peer-ids.md, "Peer Ids")."""

from __future__ import annotations

from hashlib import sha256
from typing import Self

from gossipsub.crypto.multibase import (
    decode_base58,
    decode_multibase,
    encode_base32,
    encode_base58,
)
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

IDENTITY = 0x00
SHA2_256 = 0x12

MAX_INLINE_KEY_BYTES = 42
"""Encoded public keys up to this length are the peer id themselves; longer ones are hashed."""

_SHA2_256_BYTES = 32
_CID_V1_LIBP2P_KEY = b"\x01\x72"

# Base 2, the longest text of a peer id, takes 369 characters; decoding takes quadratic time.
_MAX_TEXT_CHARACTERS = 400


class PeerId(bytes):
    """The bytes of a multihash, with a text form.

    Equal to and hashed as the plain bytes. The constructor checks nothing: bytes from a peer go
    through `from_bytes`, text through `parse`.
    """

    __slots__ = ()

    @classmethod
    def of_key(cls, encoded_public_key: bytes) -> Self:
        """The id of a public key, given its canonical protobuf encoding."""
        if len(encoded_public_key) <= MAX_INLINE_KEY_BYTES:
            return cls(bytes((IDENTITY, len(encoded_public_key))) + encoded_public_key)
        return cls(bytes((SHA2_256, _SHA2_256_BYTES)) + sha256(encoded_public_key).digest())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Check bytes that a peer sent.

        Raises RemoteProtocolError unless they are exactly one multihash: SHA2-256 with 32 bytes,
        or identity with 1 to 42 bytes. Whether an identity holds a key is not looked at.
        """
        defect = _defect(data)
        if defect:
            raise RemoteProtocolError(f"not a peer id: {defect}")
        return cls(data)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read base58 (`12D3KooW…`, `16Uiu2…`, `Qm…`) or a CIDv1 of codec libp2p-key in any base.

        Raises LocalProtocolError that names the text and the defect.
        """
        try:
            data = _decode_text(text)
        except LocalProtocolError as error:
            raise LocalProtocolError(f"not a peer id: {text[:80]!r}: {error}") from error
        defect = _defect(data)
        if defect:
            raise LocalProtocolError(f"not a peer id: {text[:80]!r}: {defect}")
        return cls(data)

    def to_cid(self) -> str:
        """The newer text form, CIDv1 in base32 (`bafz…`); `str()` gives base58."""
        return "b" + encode_base32(_CID_V1_LIBP2P_KEY + self)

    def short(self) -> str:
        """First two and last six characters, for people: never unique."""
        text = encode_base58(self)
        return f"{text[:2]}*{text[-6:]}"

    def __str__(self) -> str:
        return encode_base58(self)

    def __repr__(self) -> str:
        return f"PeerId({encode_base58(self)!r})"


def _decode_text(text: str) -> bytes:
    if len(text) > _MAX_TEXT_CHARACTERS:
        raise LocalProtocolError(f"more than {_MAX_TEXT_CHARACTERS} characters")
    if not text:
        raise LocalProtocolError("empty")
    if text.startswith(("1", "Qm")):
        return decode_base58(text)
    cid = decode_multibase(text)
    if not cid.startswith(_CID_V1_LIBP2P_KEY):
        raise LocalProtocolError("not a CIDv1 of codec libp2p-key")
    return cid[2:]


def _defect(data: bytes) -> str | None:
    if len(data) < 2:
        return f"{len(data)} bytes are no multihash"
    code, length = data[0], data[1]
    if code == SHA2_256:
        if length != _SHA2_256_BYTES:
            return "a SHA2-256 multihash holds 32 bytes"
    elif code == IDENTITY:
        if not 0 < length <= MAX_INLINE_KEY_BYTES:
            return f"an identity multihash holds 1 to {MAX_INLINE_KEY_BYTES} bytes"
    else:
        return f"hash function 0x{code:02x} is not used for peer ids"
    if len(data) != 2 + length:
        return f"multihash of {length} bytes in {len(data) - 2}"
    return None
