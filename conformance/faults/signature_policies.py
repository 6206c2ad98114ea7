"""Faults of signature policies."""

from __future__ import annotations

from collections.abc import Callable

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.crypto.ed25519 import Ed25519Verify
from gossipsub.crypto.message_signing import MessageSigner, verify_message
from gossipsub.peer import options
from gossipsub.pubsub import publisher
from gossipsub.pubsub.validation import pipeline
from gossipsub.router import messages, policy
from gossipsub.router.params import SignaturePolicy
from gossipsub.router.policy import MISSING_SIGNATURE, UNEXPECTED_AUTH_INFO, refusal
from gossipsub.wire.message_codec import encode_message
from gossipsub.wire.rpc import Message

Refusal = Callable[[SignaturePolicy, Message], str | None]


def _refuse(judge: Refusal) -> None:
    replace(messages, "refusal", judge)
    replace(policy, "refusal", judge)


@fault
def unsigned_messages_are_taken() -> None:
    def judge(policy: SignaturePolicy, message: Message) -> str | None:
        if not message.signature and policy is not SignaturePolicy.STRICT_NO_SIGN:
            return None
        return refusal(policy, message)

    def verify_batch(batch: list[Message], ed25519: Ed25519Verify) -> list[bool]:
        return [not message.signature or verify_message(message, ed25519) for message in batch]

    def any_id(message: Message) -> bytes:
        return (message.from_peer or b"") + (message.seqno or b"") + (message.data or b"")

    _refuse(judge)
    replace(pipeline, "verify_batch", verify_batch)
    replace(options, "origin_id", any_id)


@fault
def own_messages_lack_their_origin() -> None:
    def sign(self: MessageSigner, message: Message) -> None:
        message.signature = bytes(64)
        message.from_peer = None

    replace(MessageSigner, "sign", sign)
    replace(options, "origin_id", options.content_id)


@fault
def unsigned_policy_publishes_an_origin() -> None:
    def encode(message: Message) -> bytes:
        message.seqno, message.encoding = bytes(8), None
        return encode_message(message)

    replace(publisher, "encode_message", encode)


@fault
def unsigned_policy_takes_signed_messages() -> None:
    _refuse(lambda policy, message: None)


@fault
def unsigned_policy_looks_at_the_signature_alone() -> None:
    def judge(policy: SignaturePolicy, message: Message) -> str | None:
        reason = refusal(policy, message)
        return None if reason == UNEXPECTED_AUTH_INFO else reason

    _refuse(judge)


@fault
def unsigned_messages_are_refused_anyway() -> None:
    _refuse(lambda policy, message: MISSING_SIGNATURE if not message.signature else None)


@fault
def lax_signing_is_strict() -> None:
    replace(options, "_SIGN", options._SIGN | {"lax": SignaturePolicy.STRICT_SIGN})


@fault
def missing_signatures_cost_nothing() -> None:
    original = messages.Messages._refuse

    def _refuse_one(self: messages.Messages, peer: bytes, message: Message, reason: str) -> None:
        if reason == MISSING_SIGNATURE:
            self._drop_unread(peer, message, reason)
        else:
            original(self, peer, message, reason)

    replace(messages.Messages, "_refuse", _refuse_one)
