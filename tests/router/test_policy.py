"""Signature policies on receipt."""

from __future__ import annotations

import pytest

from gossipsub.router.params import SignaturePolicy
from gossipsub.router.policy import refusal
from gossipsub.wire.rpc import Message

SEQNO = bytes(8)


@pytest.mark.rule("POL-01", "SIGN-11")
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Message("t", b"d", b"a", SEQNO, b"s"), None),
        (Message("t", b"d", b"a", SEQNO, b"s", b"key"), None),
        (Message("t", b"d", b"a", SEQNO), "missing signature"),
        (Message("t", b"d", b"a", SEQNO, b""), "missing signature"),
        (Message("t", b"d", None, SEQNO, b"s"), "missing signature"),
        (Message("t", b"d", b"a", None, b"s"), "invalid sequence number"),
        (Message("t", b"d", b"a", bytes(7), b"s"), "invalid sequence number"),
        (Message("t", b"d", b"a", bytes(9), b"s"), "invalid sequence number"),
    ],
)
def test_strict_sign_wants_signature_origin_and_eight_bytes_of_seqno(
    message: Message, reason: str | None
) -> None:
    assert refusal(SignaturePolicy.STRICT_SIGN, message) == reason


@pytest.mark.rule("POL-02", "POL-03")
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Message("t", b"d"), None),
        (Message("t", b"d", signature=b"s"), "unexpected signature"),
        (Message("t", b"d", signature=b""), "unexpected signature"),
        (Message("t", b"d", from_peer=b"a"), "unexpected auth info"),
        (Message("t", b"d", seqno=SEQNO), "unexpected auth info"),
        (Message("t", b"d", key=b"k"), "unexpected auth info"),
        (Message("t", b"d", from_peer=b""), "unexpected auth info"),
    ],
)
def test_strict_no_sign_refuses_each_of_the_four_fields(
    message: Message, reason: str | None
) -> None:
    assert refusal(SignaturePolicy.STRICT_NO_SIGN, message) == reason


@pytest.mark.rule("POL-04", "POL-05")
@pytest.mark.parametrize("policy", [SignaturePolicy.LAX_SIGN, SignaturePolicy.LAX_NO_SIGN])
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Message("t", b"d"), None),
        (Message("t", b"d", b"a", SEQNO), None),
        (Message("t", b"d", b"a", SEQNO, b"s"), None),
        (Message("t", b"d", b"a", SEQNO, b""), "missing signature"),
        (Message("t", b"d", None, SEQNO, b"s"), "missing signature"),
        (Message("t", b"d", b"a", None, b"s"), "invalid sequence number"),
    ],
)
def test_the_lax_policies_take_unsigned_messages_and_hold_signed_ones_to_strict_sign(
    policy: SignaturePolicy, message: Message, reason: str | None
) -> None:
    assert refusal(policy, message) == reason


def test_which_policies_sign_and_which_tell_the_origin() -> None:
    told = {policy: (policy.signs, policy.has_origin) for policy in SignaturePolicy}
    assert told == {
        SignaturePolicy.STRICT_SIGN: (True, True),
        SignaturePolicy.STRICT_NO_SIGN: (False, False),
        SignaturePolicy.LAX_SIGN: (True, True),
        SignaturePolicy.LAX_NO_SIGN: (False, True),
    }
