"""What is wrong with an event log, or with the disk below it."""

from __future__ import annotations

from gossipsub.wire.errors import GossipSubError


class EventLogError(GossipSubError):
    """The log cannot be read or written, or entries were lost on the way to the disk."""


class CorruptLog(EventLogError):
    """The log is not what its node wrote; `index` is the first entry that shows it, 0 where no
    entry is to blame."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"entry {index}: {reason}" if index else reason)
        self.index = index
        self.reason = reason
