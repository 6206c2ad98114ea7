"""What CHORUS asks of an event log; any object with these methods will do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from gossipsub.pubsub.signed_message import SignedMessage


@runtime_checkable
class EventLogger(Protocol):
    """Told of what is said; `EventLog` and `MemoryEventLog` are ours."""

    def append(
        self,
        log_type: str,
        data: Mapping[str, object],
        *,
        signed: SignedMessage | None = None,
    ) -> None:
        """Take one entry: what kind it is, what is to be kept, and the message it came in. The
        values in `data` are the message's own and must not be changed.

        Called in the event loop, so it is quick and does no I/O.
        """

    async def flush(self) -> None:
        """Return when all that was appended is durable; raise when it cannot be."""

    def statistics(self) -> Mapping[str, object]:
        """The log in numbers."""
