"""The application's handlers: which one a message goes to, and what happens if it fails."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable

from gossipsub.chorus.envelope import Envelope
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.handlers")

Handler = Callable[[Envelope, PeerId], Awaitable[None] | None]
"""Takes a message and the peer that signed it. A plain function must be quick, a coroutine
function may take its time: the next message of the topic waits for it, other topics do not."""


class Handlers:
    """The handlers of one topic: one for each message type, and one for all others."""

    def __init__(self) -> None:
        self._by_type: dict[str, Handler] = {}
        self._other: Handler | None = None

    def set(self, handler: Handler | None, types: Iterable[str] | None) -> None:
        """Replaces the handler of these types, or of all types without one; None removes it."""
        if handler is not None and not callable(handler):
            kind = type(handler).__name__
            raise LocalProtocolError(f"a handler is a function, not of type {kind}")
        if types is None:
            self._other = handler
            return
        for kind in types:
            if handler is None:
                self._by_type.pop(kind, None)
            else:
                self._by_type[kind] = handler

    def find(self, kind: str) -> Handler | None:
        return self._by_type.get(kind, self._other)


async def call_handler(handler: Handler, envelope: Envelope, sender: PeerId) -> bool:
    """Run the handler; False when it failed, which is logged and goes no further."""
    try:
        outcome = handler(envelope, sender)
        if inspect.isawaitable(outcome):
            await outcome
    except Exception:
        logger.exception("a handler failed name=%s type=%s", _name(handler), envelope.type)
        return False
    return True


def _name(handler: Handler) -> str:
    return getattr(handler, "__qualname__", repr(handler))
