"""Why a message is no good as a CHORUS envelope."""

from __future__ import annotations

from enum import StrEnum

from gossipsub.wire.errors import GossipSubError, RemoteProtocolError


class RefusalReason(StrEnum):
    """What was wrong with a message that was refused; the keys of the counters."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    AMBIGUOUS_FIELD = "ambiguous_field"
    """A field's name in another case: Go would read it as the field, others would not."""
    BAD_TIMESTAMP = "bad_timestamp"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    HOP_LIMIT = "hop_limit"
    IMPERSONATION = "impersonation"
    """The envelope's `from` is not the peer that signed the message."""
    BAD_PAYLOAD = "bad_payload"
    """`data` does not satisfy the schema of its type."""
    FORBIDDEN = "forbidden"
    """The access rules of the topic do not let this agent say this."""
    RATE_LIMIT = "rate_limit"
    """More than this agent may say in that time."""
    CHECK_FAILED = "check_failed"
    """A check of the application raised something else than a refusal."""

    @property
    def is_local(self) -> bool:
        """True where a limit of this node was passed, or its check failed: another node may take
        it, so nobody is to blame."""
        return self in _LOCAL


_LOCAL = frozenset(
    (
        RefusalReason.TOO_LARGE,
        RefusalReason.TOO_DEEP,
        RefusalReason.HOP_LIMIT,
        RefusalReason.RATE_LIMIT,
        RefusalReason.CHECK_FAILED,
    )
)


class MalformedEnvelope(RemoteProtocolError):
    """These bytes are no envelope, or none this node takes; `reason` says why.

    Only the message dies of it: `fatal_to` is `"message"`.
    """

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(detail, fatal_to="message")
        self.reason = reason


class RedactionFailed(GossipSubError):
    """The redactor raised, or returned what is no payload: nothing was sent, since it might have
    held what must not leave."""


class EventLogFailed(GossipSubError):
    """A message that was to be durable before it is sent is not: it was not sent. A log that
    comes to itself may keep it all the same."""
