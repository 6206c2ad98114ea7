"""What catching up may take: time, bytes, sessions."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gossipsub.wire.errors import LocalProtocolError


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUpLimits:
    """Checked at construction (LocalProtocolError). Times are seconds."""

    window: float = 86400.0
    """How old messages are caught up, by the timestamps of their envelopes."""
    max_ahead: float = 300.0
    """How far ahead of this node's clock a timestamp may be; what is further is left alone."""
    interval: float = 30.0
    """Between two sessions with neighbours that were asked before."""
    answer_timeout: float = 10.0
    """Until the other side must go on."""
    session_timeout: float = 60.0
    """Until a session is ended, whatever is left."""
    session_bytes: int = 8 << 20
    """What may be read in one session, and what may be written."""
    max_message_bytes: int = 384 << 10
    """Larger messages are neither given nor taken."""
    max_messages: int = 100_000
    """Messages of the window that are remembered, by their names alone (about 120 bytes each);
    beyond, the oldest are not compared any more."""
    sessions: int = 2
    """Neighbours that are asked at one time."""
    sessions_served: int = 16
    """Sessions of others that are answered at one time, at most two of one peer."""
    sessions_per_minute: int = 12
    """Of one peer; it is turned away beyond."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not value > 0:
                raise LocalProtocolError(f"{field.name} must be a positive number: {value!r}")
            if field.type == "int" and not isinstance(value, int):
                raise LocalProtocolError(f"{field.name} must be a whole number: {value!r}")
        if self.session_bytes < 4 * self.max_message_bytes:
            raise LocalProtocolError(
                "need 4 * max_message_bytes <= session_bytes, or large messages never fit: "
                f"{self.max_message_bytes}, {self.session_bytes}"
            )


DEFAULT_LIMITS = CatchUpLimits()
