"""Noise_XX_25519_ChaChaPoly_SHA256: handshake and ciphers, without anything of libp2p.

After "The Noise Protocol Framework", revision 34, sections 5 and 7: bare messages, any prologue,
any payloads. Lengths, identities and the meaning of payloads are `gossipsub.crypto.noise`.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

# Exactly as long as a SHA-256 digest, so it is the first handshake hash as it stands (5.2).
PROTOCOL_NAME = b"Noise_XX_25519_ChaChaPoly_SHA256"

KEY_BYTES = 32
TAG_BYTES = 16

RESERVED_NONCE = 2**64 - 1
"""Never used for a message (Noise, section 5.1): the last message carries 2^64 - 2."""

# One tuple per message; the initiator writes the even ones. In the names of the exchanges the
# first letter is the initiator's key, the second the responder's.
_XX = (("e",), ("e", "ee", "s", "es"), ("s", "se"))

# In XX an ephemeral key always travels in clear and a static key always sealed.
_KEY_FIELD_BYTES = {"e": KEY_BYTES, "s": KEY_BYTES + TAG_BYTES}


class CipherState:
    """One key and its message counter: one direction of a connection.

    `nonce` is the counter's first value; only tests start elsewhere than at 0.
    """

    __slots__ = ("_cipher", "_nonce")

    def __init__(self, key: bytes, *, nonce: int = 0) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._nonce = nonce

    def encrypt(self, plaintext: bytes | memoryview, associated_data: bytes | None = None) -> bytes:
        """The ciphertext with its tag; LocalProtocolError when the nonces are used up."""
        nonce = self._nonce
        if nonce >= RESERVED_NONCE:
            raise LocalProtocolError("the nonces of this Noise connection are used up")
        # 4 zero bytes and the counter in 8 little-endian bytes, made in one step (12.3).
        sealed = self._cipher.encrypt(
            (nonce << 32).to_bytes(12, "little"), plaintext, associated_data
        )
        self._nonce = nonce + 1
        return sealed

    def decrypt(
        self, ciphertext: bytes | memoryview, associated_data: bytes | None = None
    ) -> bytes:
        """The plaintext; RemoteProtocolError for a forgery or when the nonces are used up."""
        nonce = self._nonce
        if nonce >= RESERVED_NONCE:
            raise RemoteProtocolError("the peer used up the nonces of this Noise connection")
        try:
            opened = self._cipher.decrypt(
                (nonce << 32).to_bytes(12, "little"), ciphertext, associated_data
            )
        except InvalidTag as error:
            raise RemoteProtocolError("a Noise message does not authenticate") from error
        self._nonce = nonce + 1
        return opened


def _derive_two(chaining_key: bytes, key_material: bytes) -> tuple[bytes, bytes]:
    """HKDF with two outputs (section 4.3)."""
    secret = hmac.digest(chaining_key, key_material, "sha256")
    first = hmac.digest(secret, b"\x01", "sha256")
    return first, hmac.digest(secret, first + b"\x02", "sha256")


class SymmetricState:
    """Chaining key, handshake hash and the cipher of the moment (section 5.2)."""

    __slots__ = ("_chaining_key", "_cipher", "handshake_hash")

    def __init__(self, prologue: bytes) -> None:
        self._chaining_key = PROTOCOL_NAME
        self._cipher: CipherState | None = None
        self.handshake_hash = PROTOCOL_NAME
        self.mix_hash(prologue)  # an empty prologue is mixed too; leaving it out changes the hash

    def mix_hash(self, data: bytes) -> None:
        self.handshake_hash = sha256(self.handshake_hash + data).digest()

    def mix_key(self, key_material: bytes) -> None:
        self._chaining_key, key = _derive_two(self._chaining_key, key_material)
        self._cipher = CipherState(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        """Before the first `mix_key` the plaintext is returned, and hashed, as it is."""
        sealed = plaintext
        if self._cipher is not None:
            sealed = self._cipher.encrypt(plaintext, self.handshake_hash)
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        opened = ciphertext
        if self._cipher is not None:
            opened = self._cipher.decrypt(ciphertext, self.handshake_hash)
        self.mix_hash(ciphertext)
        return opened

    def split(self) -> tuple[CipherState, CipherState]:
        """The ciphers of what the initiator sends, and of what the responder sends."""
        first, second = _derive_two(self._chaining_key, b"")
        return CipherState(first), CipherState(second)


class XXHandshake:
    """One side of an XX handshake: three messages, then `split()`.

    Without keys given, both are fresh; an ephemeral key must never serve twice. After an error
    from `read_message` the object is of no more use.
    """

    def __init__(
        self,
        *,
        initiator: bool,
        static_key: X25519PrivateKey | None = None,
        ephemeral_key: X25519PrivateKey | None = None,
        prologue: bytes = b"",
    ) -> None:
        self._initiator = initiator
        self._private = {
            "e": X25519PrivateKey.generate() if ephemeral_key is None else ephemeral_key,
            "s": X25519PrivateKey.generate() if static_key is None else static_key,
        }
        self._remote: dict[str, bytes] = {}
        self._symmetric = SymmetricState(prologue)
        self._messages = 0

    @property
    def complete(self) -> bool:
        """All three messages passed."""
        return self._messages == len(_XX)

    @property
    def messages(self) -> int:
        """How many messages passed, in both directions."""
        return self._messages

    @property
    def handshake_hash(self) -> bytes:
        """Once complete, a value unique to this connection and equal on both sides."""
        return self._symmetric.handshake_hash

    @property
    def static_public_key(self) -> bytes:
        """Our X25519 static key, 32 bytes."""
        return self._private["s"].public_key().public_bytes_raw()

    @property
    def remote_static_public_key(self) -> bytes:
        """The peer's X25519 static key, 32 bytes; LocalProtocolError before it arrived."""
        if "s" not in self._remote:
            raise LocalProtocolError("the peer's static key has not arrived yet")
        return self._remote["s"]

    def write_message(self, payload: bytes) -> bytes:
        """The next message; LocalProtocolError when it is not ours to write.

        The payload of message 1 travels in clear.
        """
        tokens = self._next_tokens(writing=True)
        message = bytearray()
        for token in tokens:
            if token in _KEY_FIELD_BYTES:
                public_key = self._private[token].public_key().public_bytes_raw()
                message += self._symmetric.encrypt_and_hash(public_key)
            else:
                self._symmetric.mix_key(self._shared_secret(token))
        message += self._symmetric.encrypt_and_hash(payload)
        self._messages += 1
        return bytes(message)

    def read_message(self, message: bytes) -> bytes:
        """The payload of the peer's next message.

        Raises RemoteProtocolError when the message is too short, does not authenticate, or
        brings a key that would make a shared secret everyone knows; LocalProtocolError when the
        next message is not the peer's.
        """
        tokens = self._next_tokens(writing=False)
        offset = 0
        for token in tokens:
            if token in _KEY_FIELD_BYTES:
                field = message[offset : offset + _KEY_FIELD_BYTES[token]]
                if len(field) < _KEY_FIELD_BYTES[token]:
                    raise RemoteProtocolError("a Noise handshake message is too short")
                self._remote[token] = self._symmetric.decrypt_and_hash(field)
                offset += len(field)
            else:
                self._symmetric.mix_key(self._shared_secret(token))
        payload = self._symmetric.decrypt_and_hash(message[offset:])
        self._messages += 1
        return payload

    def split(self) -> tuple[CipherState, CipherState]:
        """The ciphers to send with and to receive with; LocalProtocolError before completion."""
        if not self.complete:
            raise LocalProtocolError("the Noise handshake is not complete")
        first, second = self._symmetric.split()
        return (first, second) if self._initiator else (second, first)

    def _next_tokens(self, *, writing: bool) -> tuple[str, ...]:
        if self.complete:
            raise LocalProtocolError("the Noise handshake is complete")
        if ((self._messages % 2 == 0) == self._initiator) != writing:
            turn = "the peer's" if writing else "ours"
            raise LocalProtocolError(f"the next Noise handshake message is {turn}")
        return _XX[self._messages]

    def _shared_secret(self, token: str) -> bytes:
        private_key = self._private[token[0 if self._initiator else 1]]
        public_key = self._remote[token[1 if self._initiator else 0]]
        try:
            return private_key.exchange(X25519PublicKey.from_public_bytes(public_key))
        except ValueError as error:  # all zeros: the key lies in a small subgroup
            raise RemoteProtocolError("a Noise key of low order") from error
