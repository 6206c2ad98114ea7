from __future__ import annotations

import logging

import pytest

from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads.policy import PayloadPolicy, judge_payload
from gossipsub.chorus.timestamp import Timestamp


def said(kind: MessageType | str, data: dict[str, object] | None) -> Envelope:
    return Envelope(kind, "sender", Timestamp("2026-11-23T12:00:00Z"), data)


BAD = said(MessageType.TASK_PROGRESS, {"task_id": "t", "progress": "half"})


def test_strict_refuses_a_bad_payload_and_says_why() -> None:
    with pytest.raises(MalformedEnvelope) as caught:
        judge_payload(BAD, PayloadPolicy.STRICT)
    assert caught.value.reason is RefusalReason.BAD_PAYLOAD
    assert str(caught.value) == "task_progress: progress is text, not a number"


def test_warn_logs_a_bad_payload_and_lets_it_pass(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "gossipsub.chorus.payloads.policy")
    assert judge_payload(BAD, PayloadPolicy.WARN) is False
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "bad payload type=task_progress path=progress")
    ]


def test_off_does_not_look() -> None:
    assert judge_payload(BAD, PayloadPolicy.OFF) is True


@pytest.mark.parametrize("policy", PayloadPolicy)
def test_what_is_in_order_or_of_an_unknown_type_passes(policy: PayloadPolicy) -> None:
    for envelope in (
        said(MessageType.TASK_CLAIM, {"task_id": 7, "colour": "red"}),
        said(MessageType.META_DISCUSSION, None),
        said("acknowledgement", {"task_id": {}}),
    ):
        assert judge_payload(envelope, policy) is True


def test_a_policy_is_named_by_its_value() -> None:
    assert PayloadPolicy("strict") is PayloadPolicy.STRICT
    with pytest.raises(ValueError, match="'sometimes' is not a valid PayloadPolicy"):
        PayloadPolicy("sometimes")
