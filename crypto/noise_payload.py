"""What libp2p puts into a Noise handshake (noise/README.md, "The libp2p Handshake Payload").

Messages 2 and 3 carry a protobuf: the sender's identity key (1), its signature over the X25519
static key (2) and extensions (4), of which the list of stream muxers (2) is understood here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gossipsub.crypto.fields import bytes_field, read_fields
from gossipsub.wire.errors import RemoteProtocolError

SIGNATURE_PREFIX = b"noise-libp2p-static-key:"

MAX_MUXERS = 100
"""A longer list of muxers counts as none: no honest list is, and go reads it the same way."""

_IDENTITY_KEY = 1
_IDENTITY_SIGNATURE = 2
_EXTENSIONS = 4
_STREAM_MUXERS = 2


@dataclass(slots=True)
class NoisePayload:
    """One side's claim of an identity, not verified yet."""

    identity_key: bytes
    """A PublicKey protobuf; the key that signs, not the X25519 key that is signed."""
    identity_signature: bytes
    muxers: Sequence[bytes] = ()
    """Protocol names in UTF-8, most wanted first; empty when there is no list."""


def bytes_to_sign(static_public_key: bytes) -> bytes:
    """What the identity key signs to vouch for the 32-byte X25519 static key."""
    return SIGNATURE_PREFIX + static_public_key


def encode_payload(payload: NoisePayload) -> bytes:
    encoded = bytes_field(_IDENTITY_KEY, payload.identity_key)
    encoded += bytes_field(_IDENTITY_SIGNATURE, payload.identity_signature)
    if payload.muxers:
        muxers = b"".join(bytes_field(_STREAM_MUXERS, muxer) for muxer in payload.muxers)
        encoded += bytes_field(_EXTENSIONS, muxers)
    return encoded


def decode_payload(data: bytes) -> NoisePayload:
    """Read a payload; unknown fields are skipped, a repeated field's last value counts.

    Raises RemoteProtocolError when the bytes are no protobuf, have more than 1024 fields on one
    level, or lack the key or the signature.
    """
    identity_key = identity_signature = None
    muxers: list[bytes] = []
    for number, value in read_fields(data):
        if isinstance(value, int):  # none of ours: an unknown field
            continue
        if number == _IDENTITY_KEY:
            identity_key = value
        elif number == _IDENTITY_SIGNATURE:
            identity_signature = value
        elif number == _EXTENSIONS:  # a message in several pieces is their concatenation
            muxers += _read_muxers(value)
    if identity_key is None or identity_signature is None:
        raise RemoteProtocolError("a Noise payload without identity key or signature")
    if len(muxers) > MAX_MUXERS:
        muxers = []
    return NoisePayload(identity_key, identity_signature, muxers)


def _read_muxers(extensions: bytes) -> list[bytes]:
    return [
        value
        for number, value in read_fields(extensions)
        if number == _STREAM_MUXERS and isinstance(value, bytes)
    ]


def choose_muxer(
    ours: Sequence[bytes], theirs: Sequence[bytes], *, initiator: bool
) -> bytes | None:
    """The first muxer in the initiator's list that the responder has too, or None.

    None lets multistream-select decide. The specification wants no overlap to fail at once; go
    falls back to multistream-select there, and rust, nim and py send no list at all.
    """
    wanted, available = (ours, theirs) if initiator else (theirs, ours)
    return next((muxer for muxer in wanted if muxer in available), None)
