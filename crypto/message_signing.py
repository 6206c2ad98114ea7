"""Signatures of pubsub messages (pubsub README, "Message Signing"; policy StrictSign)."""

from __future__ import annotations

from collections.abc import Sequence

from gossipsub.crypto.ed25519 import Ed25519Verify, verify_with_cryptography
from gossipsub.crypto.keys import PrivateKey, PublicKey
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.message_codec import bytes_to_sign, encode_signed, signed_fields
from gossipsub.wire.rpc import Message

SIGNATURE_PREFIX = b"libp2p-pubsub:"
SEQNO_BYTES = 8

_ED25519_AUTHOR = bytes.fromhex("002408011220")
"""How the peer id of an Ed25519 key begins; the key's 32 bytes follow."""
_ED25519_AUTHOR_BYTES = 38


class SequenceNumbers:
    """The sequence numbers of one author: 8 bytes big-endian, each above the one before.

    The first is `start` + 1. They must grow across restarts too, or peers take every message
    for a replay (trap T22): start at the wall clock in nanoseconds, or at the `last` that was
    stored if that is higher. Raises LocalProtocolError when 64 bits are used up.
    """

    __slots__ = ("last",)

    def __init__(self, start: int) -> None:
        if not 0 <= start < 2**64:
            raise LocalProtocolError(f"sequence numbers are 0 to 2^64-1, not {start}")
        self.last = start

    def next(self) -> bytes:
        if self.last == 2**64 - 1:
            raise LocalProtocolError("sequence numbers are used up")
        self.last += 1
        return self.last.to_bytes(SEQNO_BYTES, "big")


class MessageSigner:
    """Signs the messages of one author."""

    def __init__(self, key: PrivateKey) -> None:
        self.author = key.peer_id()
        self._key = key
        # Only where the peer id does not contain it (RSA, ECDSA), as go does.
        is_known = key.public_key.is_inlined_in_peer_id()
        self._sent_key = None if is_known else key.public_key.encode()

    def sign(self, message: Message) -> None:
        """Make a message the author's own: `from_peer`, `signature` and `encoding` are set, and
        `key` where it is sent. Raises LocalProtocolError without a sequence number of 8 bytes."""
        if message.seqno is None or len(message.seqno) != SEQNO_BYTES:
            raise LocalProtocolError("a message to sign needs a sequence number of 8 bytes")
        message.from_peer = self.author
        message.key = self._sent_key
        parts = signed_fields(message)
        message.signature = self._key.sign(b"".join((SIGNATURE_PREFIX, *parts, message.unknown)))
        encode_signed(message, parts)


def sign_message(message: Message, key: PrivateKey) -> Message:
    """A copy that `key` has signed; `message` stays as it is.

    Raises LocalProtocolError without a sequence number of 8 bytes, or when `from_peer` is already
    that of somebody else.
    """
    signer = MessageSigner(key)
    if message.from_peer is not None and message.from_peer != signer.author:
        raise LocalProtocolError(f"this key is {signer.author}'s, not the author's")
    signed = Message(
        topic=message.topic, data=message.data, seqno=message.seqno, unknown=message.unknown
    )
    signer.sign(signed)
    return signed


def verify_message(message: Message, ed25519: Ed25519Verify = verify_with_cryptography) -> bool:
    """Whether `message` satisfies StrictSign. Never raises, whatever a peer put into the fields.

    True only if author, signature and a sequence number of 8 bytes are there (go does not look
    at that length; rust, js and nim do), the author's key is known, from `key` or else from the
    peer id itself, it belongs to the author, and the signature is its own. `ed25519` verifies
    where the peer id itself is the key, which is nearly always.
    """
    author, seqno, signature = message.from_peer, message.seqno, message.signature
    if author is None or signature is None or seqno is None or len(seqno) != SEQNO_BYTES:
        return False
    if (
        message.key is None
        and len(author) == _ED25519_AUTHOR_BYTES
        and author.startswith(_ED25519_AUTHOR)
    ):
        public_key = author[len(_ED25519_AUTHOR) :]
        return ed25519(public_key, signature, _signed(message))
    try:
        key = _key_of(author, message.key)
    except RemoteProtocolError:
        return False
    if key is None:
        return False
    return key.verify(_signed(message), signature)


def _signed(message: Message) -> bytes:
    """What the signature is made of."""
    size, encoding = message.signed_bytes, message.encoding
    if not size or encoding is None:
        return SIGNATURE_PREFIX + bytes_to_sign(message)
    with memoryview(encoding) as view:  # copied once, however large
        return b"".join((SIGNATURE_PREFIX, view[:size]))


def verify_batch(
    messages: Sequence[Message], ed25519: Ed25519Verify = verify_with_cryptography
) -> list[bool]:
    """`verify_message` of each. For a worker thread: verifying lets go of the interpreter lock,
    and handing over 16 to 32 at a time makes the hand-over cheap."""
    return [verify_message(message, ed25519) for message in messages]


def _key_of(author: bytes, encoded_key: bytes | None) -> PublicKey | None:
    if encoded_key is None:
        return PublicKey.from_peer_id(author)
    key = PublicKey.decode(encoded_key)
    return key if key.peer_id() == author else None
