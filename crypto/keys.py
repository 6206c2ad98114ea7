"""Identity keys and their encodings (libp2p specs, peer-ids.md, "Keys").

Four types, each able to sign and verify: Ed25519 (ours by default), secp256k1, ECDSA on P-256,
and RSA. Encodings are canonical whatever was read: type first, both fields present.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

from gossipsub.crypto.fields import bytes_field, read_fields, varint_field
from gossipsub.crypto.peer_id import MAX_INLINE_KEY_BYTES, PeerId
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError


class KeyType(IntEnum):
    """The numbers of peer-ids.md. RSA's 0 is written like any other (trap T18)."""

    RSA = 0
    ED25519 = 1
    SECP256K1 = 2
    ECDSA = 3


MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""The range go accepts: below is too weak, above a message costs us more than its sender."""

# go's limit (crypto/rsa). OpenSSL would raise a 3072-bit number to any exponent of that size.
_MAX_RSA_EXPONENT = 2**31 - 1
_MAX_RSA_DATA_BYTES = 1100
_P256_DATA_BYTES = 91
_SEED_BYTES = 32
_ED25519_PREFIX = b"\x08\x01\x12\x20"

_SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

_Public = ed25519.Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey
_Private = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class PublicKey:
    """A public key that was checked to be one: its length, its point, its size.

    `data` is the type's own encoding: 32 bytes (Ed25519), a compressed point of 33 bytes
    (secp256k1), PKIX in DER (ECDSA, RSA). Raises RemoteProtocolError when `data` is anything
    else; RSA keys must have 2048 to 8192 bits and an exponent below 2^31.
    """

    __slots__ = ("_key", "data", "type")

    def __init__(self, type: KeyType, data: bytes) -> None:
        self.type = type
        self.data = data
        try:
            self._key = _load_public(type, data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise RemoteProtocolError(f"bad {type.name} public key: {error}") from error

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """Read the protobuf; field order and unknown fields are forgiven, as go and rust do.

        Raises RemoteProtocolError for anything that is no such key.
        """
        if len(encoded) == 36 and encoded.startswith(_ED25519_PREFIX):
            return cls(KeyType.ED25519, encoded[4:])
        return cls(*_read_key(encoded))

    @classmethod
    def from_peer_id(cls, peer: bytes) -> Self | None:
        """The key that `peer` contains, or None if it is only a hash of one.

        Raises RemoteProtocolError if `peer` is no peer id, or not the id of the key inside: one
        key must not appear under several ids.
        """
        peer_id = PeerId.from_bytes(peer)
        if peer_id[0] != 0:
            return None
        key = cls.decode(peer[2:])
        if key.peer_id() != peer_id:
            raise RemoteProtocolError("peer id holds a key in an encoding that is not canonical")
        return key

    def encode(self) -> bytes:
        """The canonical protobuf."""
        return varint_field(1, self.type) + bytes_field(2, self.data)

    def peer_id(self) -> PeerId:
        """The id of the peer whose key it is."""
        return PeerId.of_key(self.encode())

    def is_inlined_in_peer_id(self) -> bool:
        """Whether the peer id holds the key itself, so that it need not be sent beside it."""
        return len(self.encode()) <= MAX_INLINE_KEY_BYTES

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's for `data`; garbage is False, nothing is raised.

        secp256k1 signatures must have the lower of their two S values (BIP 62), as rust, js, nim
        and py-libp2p demand; go alone takes both.
        """
        key = self._key
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, data)
            elif isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, data, PKCS1v15(), SHA256())
            else:
                if self.type is KeyType.SECP256K1 and _has_high_s(signature):
                    return False
                key.verify(signature, data, ec.ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PublicKey):
            return NotImplemented
        return self.type is other.type and self.data == other.data

    def __hash__(self) -> int:
        return hash((self.type, self.data))

    def __repr__(self) -> str:
        return f"<PublicKey {self.type.name} of {self.peer_id()}>"


class PrivateKey:
    """An identity: signs, and shows itself only by its public half.

    Wraps a private key of `cryptography`; LocalProtocolError if libp2p has no such type (another
    curve, RSA outside 2048 to 8192 bits).
    """

    __slots__ = ("_key", "public_key")

    def __init__(self, key: object) -> None:
        if not isinstance(key, _Private):
            raise LocalProtocolError(f"not a key of libp2p: {type(key).__name__}")
        self._key: _Private = key
        try:
            self.public_key = PublicKey(*_describe(key.public_key()))
        except (RemoteProtocolError, ValueError) as error:
            raise LocalProtocolError(f"not a key of libp2p: {error}") from error

    @classmethod
    def generate(cls, type: KeyType | str = KeyType.ED25519, *, rsa_bits: int = 2048) -> Self:
        """A new random key; `type` also by name in any case ("ed25519")."""
        match _key_type(type):
            case KeyType.ED25519:
                return cls(ed25519.Ed25519PrivateKey.generate())
            case KeyType.SECP256K1:
                return cls(ec.generate_private_key(ec.SECP256K1()))
            case KeyType.ECDSA:
                return cls(ec.generate_private_key(ec.SECP256R1()))
            case KeyType.RSA:
                if not MIN_RSA_BITS <= rsa_bits <= MAX_RSA_BITS:
                    raise LocalProtocolError(
                        f"RSA keys have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, not {rsa_bits}"
                    )
                return cls(rsa.generate_private_key(65537, rsa_bits))

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The Ed25519 key of a 32-byte seed."""
        if len(seed) != _SEED_BYTES:
            raise LocalProtocolError(f"an Ed25519 seed has 32 bytes, not {len(seed)}")
        return cls(ed25519.Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_node_number(cls, number: int) -> Self:
        """The key of node `number` in test networks: the seed is the number, little-endian.

        Everybody can compute it. The same numbers give the same peer ids in libp2p's
        gossipsub-interop test plans.
        """
        if not 0 <= number < 2**64:
            raise LocalProtocolError(f"node numbers are 0 to 2^64-1, not {number}")
        return cls.from_seed(number.to_bytes(_SEED_BYTES, "little"))

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """Read the PrivateKey protobuf, Ed25519 also in the old form of 96 bytes.

        Raises LocalProtocolError for anything else. No message shows any of the key.
        """
        try:
            return cls(_load_private(*_read_key(encoded)))
        except LocalProtocolError:
            raise
        except (RemoteProtocolError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise LocalProtocolError(f"bad private key: {error}") from error

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read an unencrypted PKCS#8 (or traditional) PEM; LocalProtocolError for others."""
        from gossipsub.crypto import key_formats

        try:
            return cls(key_formats.read_private_pem(pem))
        except LocalProtocolError:
            raise
        except TypeError as error:
            raise LocalProtocolError("bad private key: PEM is encrypted") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise LocalProtocolError(f"bad private key: {error}") from error

    def encode(self) -> bytes:
        """The PrivateKey protobuf, secret: the contents of a key file."""
        return varint_field(1, self.public_key.type) + bytes_field(2, self._secret())

    def to_pem(self) -> bytes:
        """An unencrypted PKCS#8 PEM, secret, as OpenSSL and others read it."""
        from gossipsub.crypto import key_formats

        return key_formats.private_pem(self._key)

    def peer_id(self) -> PeerId:
        """The id of the peer whose key it is."""
        return self.public_key.peer_id()

    def sign(self, data: bytes) -> bytes:
        """A signature over `data` (over its SHA-256 for all types but Ed25519)."""
        key = self._key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(data)
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(data, PKCS1v15(), SHA256())
        signature = key.sign(data, ec.ECDSA(SHA256()))
        if self.public_key.type is KeyType.SECP256K1 and _has_high_s(signature):
            r, s = decode_dss_signature(signature)
            return encode_dss_signature(r, _SECP256K1_ORDER - s)
        return signature

    def _secret(self) -> bytes:
        key = self._key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.private_bytes_raw() + self.public_key.data
        is_secp256k1 = self.public_key.type is KeyType.SECP256K1
        if is_secp256k1 and isinstance(key, ec.EllipticCurvePrivateKey):
            return key.private_numbers().private_value.to_bytes(32, "big")
        from gossipsub.crypto import key_formats

        return key_formats.private_der(key)

    def __repr__(self) -> str:
        return f"<PrivateKey {self.public_key.type.name} of {self.peer_id()}>"


def _key_type(type: KeyType | str) -> KeyType:
    if isinstance(type, KeyType):
        return type
    for key_type in KeyType:
        if key_type.name == type.upper():
            return key_type
    names = ", ".join(key_type.name.lower() for key_type in KeyType)
    raise LocalProtocolError(f"unknown key type {type!r}, known are {names}")


def _read_key(encoded: bytes) -> tuple[KeyType, bytes]:
    number: int | None = None
    data: bytes | None = None
    for field, value in read_fields(encoded):
        if field == 1 and isinstance(value, int):
            number = value
        elif field == 2 and isinstance(value, bytes):
            data = value
    if number is None or data is None:
        raise RemoteProtocolError("key without a type or without data")
    if number > max(KeyType):
        raise RemoteProtocolError(f"unknown key type {number}")
    return KeyType(number), data


def _load_public(type: KeyType, data: bytes) -> _Public:
    match type:
        case KeyType.ED25519:
            return ed25519.Ed25519PublicKey.from_public_bytes(data)
        case KeyType.SECP256K1:
            if len(data) != 33:
                raise ValueError(f"{len(data)} bytes, not a compressed point")
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), data)
        case KeyType.ECDSA:
            if len(data) != _P256_DATA_BYTES:
                raise ValueError(f"{len(data)} bytes, not P-256 in PKIX form")
        case KeyType.RSA:
            if len(data) > _MAX_RSA_DATA_BYTES:
                raise ValueError(f"{len(data)} bytes, more than {MAX_RSA_BITS} bits take")
    from gossipsub.crypto import key_formats

    key = key_formats.read_public_der(data)
    if isinstance(key, rsa.RSAPublicKey):
        _check_rsa(key)
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("another kind of key inside")
    # Other spellings of the same key (PKCS#1, compressed points) would give it other peer ids.
    if _describe(key) != (type, data):
        raise ValueError("not the canonical encoding of such a key")
    return key


def _check_rsa(key: rsa.RSAPublicKey) -> None:
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise ValueError(f"{key.key_size} bits, not {MIN_RSA_BITS} to {MAX_RSA_BITS}")
    if key.public_numbers().e > _MAX_RSA_EXPONENT:
        raise ValueError("exponent above 2^31-1")


def _describe(key: _Public) -> tuple[KeyType, bytes]:
    """The type and the canonical `data` of a key; ValueError for a curve libp2p lacks."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return KeyType.ED25519, key.public_bytes_raw()
    from gossipsub.crypto import key_formats

    if isinstance(key, rsa.RSAPublicKey):
        type = KeyType.RSA
    elif isinstance(key.curve, ec.SECP256K1):
        return KeyType.SECP256K1, key_formats.compressed_point(key)
    elif isinstance(key.curve, ec.SECP256R1):
        type = KeyType.ECDSA
    else:
        raise ValueError(f"curve {key.curve.name} is not used by libp2p")
    return type, key_formats.public_der(key)


def _load_private(type: KeyType, data: bytes) -> _Private:
    match type:
        case KeyType.ED25519:
            return _load_ed25519(data)
        case KeyType.SECP256K1:
            if len(data) != 32:
                raise ValueError(f"{len(data)} bytes, a secp256k1 scalar has 32")
            return ec.derive_private_key(int.from_bytes(data, "big"), ec.SECP256K1())
        case KeyType.ECDSA:
            key = _read_der(data)
            if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1":
                return key
        case KeyType.RSA:
            key = _read_der(data)
            if isinstance(key, rsa.RSAPrivateKey):
                return key
    raise ValueError(f"another kind of key inside, not {type.name}")


def _read_der(data: bytes) -> object:
    from gossipsub.crypto import key_formats

    return key_formats.read_private_der(data)


def _load_ed25519(data: bytes) -> ed25519.Ed25519PrivateKey:
    """Seed and public key; an older form repeats the public key (peer-ids.md, "Ed25519")."""
    if len(data) not in (64, 96):
        raise ValueError(f"{len(data)} bytes, an Ed25519 key has 64 or 96")
    key = ed25519.Ed25519PrivateKey.from_private_bytes(data[:_SEED_BYTES])
    # Signing for a public key that is not the seed's own would give the seed away.
    public = key.public_key().public_bytes_raw()
    if any(data[start : start + 32] != public for start in range(32, len(data), 32)):
        raise ValueError("the public key inside does not belong to the seed")
    return key


def _has_high_s(signature: bytes) -> bool:
    return decode_dss_signature(signature)[1] > _SECP256K1_ORDER // 2
