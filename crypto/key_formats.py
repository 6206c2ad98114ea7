"""Keys in DER, in PEM and as points, which Ed25519 keys do without.

`keys.py` imports it where it meets another type: reading and writing these forms loads what
`cryptography` has for files of SSH as well, a third of a megabyte.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
)


def read_public_der(data: bytes) -> object:
    """A public key of any kind in PKIX form. ValueError or UnsupportedAlgorithm."""
    return load_der_public_key(data)


def read_private_der(data: bytes) -> object:
    """A private key of any kind. ValueError, TypeError or UnsupportedAlgorithm."""
    return load_der_private_key(data, None)


def read_private_pem(data: bytes) -> object:
    """A private key of any kind. ValueError, UnsupportedAlgorithm, or TypeError: encrypted."""
    return load_pem_private_key(data, None)


def public_der(key: RSAPublicKey | EllipticCurvePublicKey) -> bytes:
    """PKIX form."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def compressed_point(key: EllipticCurvePublicKey) -> bytes:
    """33 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def private_der(key: RSAPrivateKey | EllipticCurvePrivateKey) -> bytes:
    """The "traditional" form, as the specification says: PKCS#1 for RSA, SEC 1 for ECDSA."""
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def private_pem(key: Ed25519PrivateKey | RSAPrivateKey | EllipticCurvePrivateKey) -> bytes:
    """Unencrypted PKCS#8."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
