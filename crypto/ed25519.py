"""Whether an Ed25519 signature is good, by whichever library says it sooner (RFC 8032, 5.1.7).

libsodium, in PyNaCl, takes little more than half of OpenSSL's time. It also refuses more: keys and
signatures with points of small order, and keys that are not written canonically. OpenSSL, in
`cryptography`, and Go accept those, and peers must agree on what is good: who forwards a message
pays where it is not. So nothing is bad before `cryptography` has said so too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gossipsub.wire.errors import LocalProtocolError

Ed25519Verify = Callable[[bytes, bytes, bytes], bool]
"""Takes a public key, a signature and the data; whatever they are, nothing is raised."""

SIGNATURE_LIBRARIES = ("auto", "cryptography", "pynacl")

LARGE_BYTES = 40_960
"""Of so much data on libsodium's SHA-512 costs more than the rest saves."""

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64

# Good only where both sides of the equation are multiplied by eight, for the nonce's point has a
# part of order two. RFC 8032 leaves that to the implementation. OpenSSL and Go do not multiply,
# nor does libsodium in PyNaCl 1.6, but libsodium's later versions do: they would have us forward
# what others make us pay for.
_DISPUTED_KEY = bytes.fromhex("cecc1507dc1ddd7295951c290888f095adb9044d1b73d696e6df065d683bd4fc")
_DISPUTED_DATA = b"libp2p-pubsub:"
_DISPUTED_SIGNATURE = bytes.fromhex(
    "85b3f2ac54bb21b92ad954b2cc4a6b845462885097801f5f6ae75a0920b57914"
    "ba14e494397cbcdfbd0f2324e640d2d1123ece9bded04fc26686952754784c0d"
)


def verify_with_cryptography(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """`cryptography` alone: OpenSSL's verdict."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def choose_verify(library: str = "auto") -> Ed25519Verify:
    """What verifies with `library`; all give the same verdicts.

    "auto" is "pynacl" where that is installed and can be used, "cryptography" otherwise. Raises
    LocalProtocolError for "pynacl" where it cannot, and for other names.
    """
    if library not in SIGNATURE_LIBRARIES:
        raise LocalProtocolError(
            f"signature_library is one of {', '.join(SIGNATURE_LIBRARIES)}: {library!r}"
        )
    if library == "cryptography":
        return verify_with_cryptography
    try:
        return _verify_with_pynacl()
    except ImportError as error:
        if library == "auto":
            return verify_with_cryptography
        raise LocalProtocolError(f"signature_library: {error}") from error


def uses_pynacl(verify: Ed25519Verify) -> bool:
    """Whether `verify` asks PyNaCl first."""
    return verify is not verify_with_cryptography


@cache
def _verify_with_pynacl() -> Ed25519Verify:
    """ImportError where PyNaCl is missing, or is of another opinion than `cryptography`."""
    try:
        from nacl.bindings import crypto_sign_open
        from nacl.exceptions import BadSignatureError
    except ImportError as error:
        raise ImportError("PyNaCl is missing: pip install gossipsub[fast]") from error

    def verify(public_key: bytes, signature: bytes, data: bytes) -> bool:
        # libsodium reads 32 bytes of key and splits off 64 of signature, whatever it is given.
        has_sizes = len(public_key) == _KEY_BYTES and len(signature) == _SIGNATURE_BYTES
        if has_sizes and len(data) < LARGE_BYTES:
            try:
                crypto_sign_open(signature + data, public_key)
            except BadSignatureError:
                pass
            else:
                return True
        return verify_with_cryptography(public_key, signature, data)

    if verify(_DISPUTED_KEY, _DISPUTED_SIGNATURE, _DISPUTED_DATA):
        raise ImportError("this PyNaCl's libsodium accepts signatures that other peers refuse")
    return verify
