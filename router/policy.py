"""Signature policies as seen on receipt (pubsub README, "Signature Policy Options").

Only which fields are there: the signature itself is verified by the driver, on `Validate`.
"""

from __future__ import annotations

from gossipsub.router.params import SignaturePolicy as SignaturePolicy
from gossipsub.wire.rpc import Message

MISSING_SIGNATURE = "missing signature"
INVALID_SEQNO = "invalid sequence number"
UNEXPECTED_SIGNATURE = "unexpected signature"
UNEXPECTED_AUTH_INFO = "unexpected auth info"


def refusal(policy: SignaturePolicy, message: Message) -> str | None:
    """Why `policy` refuses a received message, or None; the reasons bear go's names."""
    if message.signature is None and policy.is_lax:
        return None
    if policy is not SignaturePolicy.STRICT_NO_SIGN:  # a signed one is held to StrictSign
        if not message.signature or not message.from_peer:
            return MISSING_SIGNATURE
        # The spec has a 64-bit number; rust, js and nim refuse other lengths, go does not look.
        if message.seqno is None or len(message.seqno) != 8:
            return INVALID_SEQNO
        return None
    if message.signature is not None:
        return UNEXPECTED_SIGNATURE
    if message.from_peer is not None or message.seqno is not None or message.key is not None:
        return UNEXPECTED_AUTH_INFO  # no implementation checks all four fields; the spec names them
    return None
