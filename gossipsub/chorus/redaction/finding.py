"""What was found, and where; never what it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gossipsub.chorus.redaction.rule import RedactionCategory, RedactionSeverity


@dataclass(frozen=True, slots=True)
class RedactionFinding:
    """One secret in a payload or text."""

    rule: str
    severity: RedactionSeverity
    category: RedactionCategory
    tags: tuple[str, ...]
    place: str
    """JSON pointer (RFC 6901) to the value, or to the field whose name it was found in; `#` goes
    on within a text that is JSON itself. Secrets in names are cut. Empty for a text of its own."""
    is_name: bool
    """Found in the name of the field, not in its value."""
    start: int
    """Where in the text it starts."""
    length: int
    """Characters that are cut."""


@dataclass(frozen=True, slots=True)
class RedactionRecord:
    """One cut, for the audit trail."""

    finding: RedactionFinding
    labels: Mapping[str, str]
    """What the redactor was told: source, topic, message_type."""
    digest: str
    """HMAC-SHA256 of what was cut, hexadecimal: equal for equal secrets under the same salt."""
    at: int
    """Nanoseconds since 1970."""
