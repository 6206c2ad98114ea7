"""What this node stands behind, once each: known messages are told apart, new ones are logged and
told to those who follow everything."""

from __future__ import annotations

from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.journal import Journal
from gossipsub.chorus.observers import Observers

REMEMBERED_ORIGINS = 16384
"""Of 46 bytes each. An event log remembers the others."""


class Intake:
    """Owns the origins of the newest messages."""

    def __init__(self, journal: Journal, observers: Observers) -> None:
        self._journal = journal
        self._observers = observers
        self._origins: dict[bytes, None] = {}

    def is_known(self, origin: bytes) -> bool:
        """Whether that message was taken before, in this life or, where the event log can tell,
        in an earlier one."""
        return origin in self._origins or self._journal.contains(origin)

    def take(self, delivery: Delivery) -> None:
        """Log it, then tell the observers. It must not be known."""
        self.log(delivery)
        self.tell(delivery)

    def log(self, delivery: Delivery, *, data_text: str | None = None) -> bool:
        """Log and remember it; False where the log failed. `tell` is to follow. `data_text` as in
        `log_data`."""
        self.remember(delivery.signed.origin)
        return self._journal.append(delivery, data_text=data_text)

    def tell(self, delivery: Delivery) -> None:
        self._observers.tell(delivery)

    def remember(self, origin: bytes) -> None:
        """When full, the oldest makes room."""
        if len(self._origins) >= REMEMBERED_ORIGINS:
            del self._origins[next(iter(self._origins))]
        self._origins[origin] = None
