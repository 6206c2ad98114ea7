"""The audit trail: what was cut where, kept for a while and told to whoever asks."""

from __future__ import annotations

import hmac
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType

from gossipsub.chorus.redaction.finding import RedactionFinding, RedactionRecord
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.redaction.audit")

AuditSink = Callable[[RedactionRecord], object]
"""Told of every cut as it is made. It must be quick; an exception is logged and stops nothing."""

SALT_BYTES = 32
SHORTEST_SALT_BYTES = 16


class AuditTrail:
    """Keeps the newest `bound` records and tells each to its sinks."""

    def __init__(self, *, bound: int, salt: bytes | None, clock: Callable[[], int]) -> None:
        if bound < 1:
            raise LocalProtocolError(f"the audit trail keeps at least 1: {bound}")
        if salt is not None and len(salt) < SHORTEST_SALT_BYTES:
            raise LocalProtocolError(f"a salt has at least {SHORTEST_SALT_BYTES} bytes")
        self._records: deque[RedactionRecord] = deque(maxlen=bound)
        self._salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
        self._clock = clock
        self._sinks: list[AuditSink] = []
        self.failures = 0
        """How often a sink raised."""

    def add_sink(self, sink: AuditSink) -> None:
        if not callable(sink):
            raise LocalProtocolError(f"a sink is a function, not of type {type(sink).__name__}")
        self._sinks.append(sink)

    def remove_sink(self, sink: AuditSink) -> None:
        """LocalProtocolError when it was not added."""
        if sink not in self._sinks:
            raise LocalProtocolError("this sink was not added")
        self._sinks.remove(sink)

    def add(self, finding: RedactionFinding, secret: str, labels: Mapping[str, str]) -> None:
        digest = hmac.digest(self._salt, secret.encode("utf-8", "surrogatepass"), "sha256").hex()
        record = RedactionRecord(finding, labels, digest, self._clock())
        self._records.append(record)
        for sink in tuple(self._sinks):
            try:
                sink(record)
            except Exception:
                self.failures += 1
                logger.exception("an audit sink failed name=%r", sink)

    def records(self) -> tuple[RedactionRecord, ...]:
        """Oldest first."""
        return tuple(self._records)


def frozen_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    """A copy that stays as it is."""
    return MappingProxyType({str(name): str(label) for name, label in labels.items()})
