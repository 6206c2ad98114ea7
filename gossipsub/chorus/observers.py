"""Who follows everything that is said in CHORUS on this node."""

from __future__ import annotations

import inspect
import logging

from gossipsub.chorus.delivery import Delivery, Observer
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.observers")


class Observers:
    """Told one after the other, in the order they were added."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def add(self, observer: Observer) -> None:
        if not callable(observer):
            kind = type(observer).__name__
            raise LocalProtocolError(f"an observer is a function, not of type {kind}")
        if inspect.iscoroutinefunction(observer):
            raise LocalProtocolError("an observer is a plain function, not a coroutine function")
        self._observers.append(observer)

    def remove(self, observer: Observer) -> None:
        """LocalProtocolError when it was not added."""
        if observer not in self._observers:
            raise LocalProtocolError("this observer was not added")
        self._observers.remove(observer)

    def tell(self, delivery: Delivery) -> None:
        """An exception in one of them is logged and keeps nothing from the others."""
        for observer in tuple(self._observers):
            try:
                observer(delivery)
            except Exception:
                logger.exception("an observer failed name=%r", observer)
