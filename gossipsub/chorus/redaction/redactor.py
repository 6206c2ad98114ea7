"""What CHORUS asks of whatever redacts what an agent says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Redactor(Protocol):
    """Asked about everything this node publishes, before it is signed.

    Whatever these raise blocks the publication: nothing leaves that was not looked at. They are
    called on the event loop and must be quick. Labels are `source`, `topic` and `message_type`.
    """

    def redact_map_with_labels(
        self, payload: dict[str, Any], labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """What of `payload` may leave; it is a deep copy and may be changed."""
        ...

    def redact_text_with_labels(self, text: str, labels: Mapping[str, str]) -> str:
        """What of `text` may leave: a publication that is not a JSON object."""
        ...
