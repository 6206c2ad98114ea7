"""Faults in signing messages, and in verifying those of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.crypto import message_signing
from gossipsub.crypto.keys import KeyType, PrivateKey, PublicKey
from gossipsub.crypto.message_signing import MessageSigner, SequenceNumbers, verify_message
from gossipsub.pubsub import streams
from gossipsub.router import messages as router_messages
from gossipsub.router.messages import Messages
from gossipsub.router.params import SignaturePolicy
from gossipsub.router.policy import INVALID_SEQNO, refusal
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.message_codec import bytes_to_sign
from gossipsub.wire.rpc import Message, Rpc
from gossipsub.wire.rpc_codec import RpcLimits, decode_rpc


def _change_own(change: Callable[[Message, PrivateKey], None]) -> None:
    """Change own messages after they are signed."""

    original = MessageSigner.sign

    def sign(self: MessageSigner, message: Message) -> None:
        original(self, message)
        message.encoding = None
        change(message, self._key)

    replace(MessageSigner, "sign", sign)


def _verify(judge: Callable[[Message], bool]) -> None:
    replace(message_signing, "verify_message", lambda message, ed25519: judge(message))


@fault
def signatures_lack_their_prefix() -> None:
    replace(message_signing, "SIGNATURE_PREFIX", b"")


@fault
def messages_name_their_author_in_text() -> None:
    def change(message: Message, key: PrivateKey) -> None:
        message.from_peer = str(key.peer_id()).encode()

    _change_own(change)


@fault
def messages_always_carry_the_key() -> None:
    def change(message: Message, key: PrivateKey) -> None:
        message.key = key.public_key.encode()

    _change_own(change)


@fault
def sequence_numbers_begin_at_one() -> None:
    def __init__(self: SequenceNumbers, start: int) -> None:
        self.last = 0

    replace(SequenceNumbers, "__init__", __init__)


@fault
def a_key_in_a_message_is_refused() -> None:
    _verify(lambda message: message.key is None and verify_message(message))


@fault
def anybody_may_sign() -> None:
    original = message_signing._key_of

    def _key_of(author: bytes, encoded_key: bytes | None) -> PublicKey | None:
        return original(author, None) if encoded_key is None else PublicKey.decode(encoded_key)

    replace(message_signing, "_key_of", _key_of)


@fault
def what_cannot_be_verified_is_taken() -> None:
    def judge(message: Message) -> bool:
        is_hidden = message.key is None and PublicKey.from_peer_id(message.from_peer or b"") is None
        return is_hidden or verify_message(message)

    _verify(judge)


@fault
def message_signatures_are_not_verified() -> None:
    _verify(lambda message: True)


@fault
def a_malformed_author_ends_the_stream() -> None:
    def decode(frame: bytes, limits: RpcLimits) -> Rpc:
        rpc = decode_rpc(frame, limits)
        if any(len(message.from_peer or b"") < 34 for message in rpc.publish):
            raise RemoteProtocolError("malformed author", fatal_to="stream")
        return rpc

    replace(streams, "decode_rpc", decode)


@fault
def sequence_numbers_of_any_length_are_taken() -> None:
    def refuse(policy: SignaturePolicy, message: Message) -> str | None:
        reason = refusal(policy, message)
        return None if reason == INVALID_SEQNO else reason

    def judge(message: Message) -> bool:
        key = message_signing._key_of(message.from_peer or b"", message.key)
        signed = message_signing.SIGNATURE_PREFIX + bytes_to_sign(message)
        return key is not None and key.verify(signed, message.signature or b"")

    replace(router_messages, "refusal", refuse)
    _verify(judge)


@fault
def its_own_name_on_a_message_is_believed() -> None:
    original = Messages.__init__

    def __init__(self: Messages, *args: Any, **parts: Any) -> None:
        original(self, *args, **parts)
        self._me = b""

    replace(Messages, "__init__", __init__)


def _believe(type: KeyType, verdict: bool) -> None:
    original = PublicKey.verify

    def verify(self: PublicKey, data: bytes, signature: bytes) -> bool:
        return verdict if self.type is type else original(self, data, signature)

    replace(PublicKey, "verify", verify)


@fault
def rsa_is_unknown() -> None:
    _believe(KeyType.RSA, False)


@fault
def any_secp256k1_signature_is_good() -> None:
    _believe(KeyType.SECP256K1, True)


@fault
def any_ecdsa_signature_is_good() -> None:
    _believe(KeyType.ECDSA, True)
