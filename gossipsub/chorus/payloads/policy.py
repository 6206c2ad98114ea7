"""What becomes of other agents' messages whose payload does not satisfy its schema."""

from __future__ import annotations

import logging
from enum import StrEnum

from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.payloads.catalogue import check_payload
from gossipsub.chorus.payloads.kinds import BadPayload

logger = logging.getLogger("gossipsub.chorus.payloads.policy")


class PayloadPolicy(StrEnum):
    """For what others send; a node's own messages are checked whatever it says."""

    STRICT = "strict"
    """Refuse it: a dead letter with the reason `bad_payload`."""
    WARN = "warn"
    """Hand it over all the same; count and log it."""
    OFF = "off"
    """Do not look."""


def judge_payload(envelope: Envelope, policy: PayloadPolicy) -> bool:
    """True for an envelope of another agent that nothing is wrong with, or not looked at; False
    for a bad payload that is to be handed over all the same, which is logged.

    MalformedEnvelope for a bad payload under a strict policy.
    """
    if policy is PayloadPolicy.OFF:
        return True
    try:
        check_payload(envelope.type, envelope.data)
    except BadPayload as error:
        if policy is PayloadPolicy.STRICT:
            detail = f"{envelope.type}: {error}"
            raise MalformedEnvelope(RefusalReason.BAD_PAYLOAD, detail) from error
        logger.debug("bad payload type=%s path=%s", envelope.type, error.path)
        return False
    return True
