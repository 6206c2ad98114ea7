"""The application's handlers: which one a message goes to, and what happens if it fails."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

from gossipsub.cancellation import is_task_cancelled
from gossipsub.chorus.delivery import Delivery, handled
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.payloads.catalogue import check_payload
from gossipsub.chorus.payloads.kinds import BadPayload
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

Said = TypeVar("Said")

logger = logging.getLogger("gossipsub.chorus.handlers")

Handler = Callable[[Envelope, PeerId], Awaitable[None] | None]
"""Takes a message and the peer that signed it. A plain function must be quick, a coroutine
function may take its time: the next message of the topic waits for it, other topics do not."""

HandlerWrapper = Callable[[Handler], Handler]
"""Given a handler, returns what is called in its place, which as a rule calls it."""


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


class HandlerCalls:
    """How handlers are called: within what the application wraps around all of them."""

    def __init__(self) -> None:
        self._wrappers: list[HandlerWrapper] = []

    def add(self, wrapper: HandlerWrapper) -> None:
        if not callable(wrapper):
            kind = type(wrapper).__name__
            raise LocalProtocolError(f"a wrapper is a function, not of type {kind}")
        self._wrappers.append(wrapper)

    def remove(self, wrapper: HandlerWrapper) -> None:
        """LocalProtocolError when it was not added."""
        if wrapper not in self._wrappers:
            raise LocalProtocolError("this wrapper was not added")
        self._wrappers.remove(wrapper)

    async def call(self, handler: Handler, delivery: Delivery) -> bool:
        """Run the handler, with `current_delivery` set; False when it failed, which is logged and
        goes no further."""
        token = handled.set(delivery)
        try:
            envelope = delivery.envelope
            run = self._wrapped(handler) if self._wrappers else handler
            return await call_contained(run, envelope, delivery.sender, what=envelope.type)
        finally:
            handled.reset(token)

    def _wrapped(self, handler: Handler) -> Handler:
        wrappers = tuple(self._wrappers)

        def run(envelope: Envelope, sender: PeerId) -> Awaitable[None] | None:
            wrapped = handler
            for wrapper in wrappers:
                wrapped = wrapper(wrapped)
            return wrapped(envelope, sender)

        run.__qualname__ = _name(handler)
        return run


async def call_contained(
    handler: Callable[[Said, PeerId], Awaitable[None] | None],
    said: Said,
    sender: PeerId,
    *,
    what: str,
) -> bool:
    """Run a function of the application; False when it failed, which is logged and goes no
    further: as an error, unless it had no use for a bad payload of another agent."""
    try:
        outcome = handler(said, sender)
        if inspect.isawaitable(outcome):
            await outcome
    except BadPayload as error:
        if not _has_bad_payload(said):
            _log_failure(handler, what)
        else:  # so wrote the sender: nothing for this node's operator to act on
            logger.debug("no use for a bad payload name=%s why=%s", _name(handler), error)
        return False
    except Exception:
        _log_failure(handler, what)
        return False
    except anyio.get_cancelled_exc_class():
        if is_task_cancelled():
            raise
        _log_failure(handler, what)
        return False
    return True


def _has_bad_payload(said: object) -> bool:
    """Whether it is an envelope whose data is not what its type promises."""
    try:
        if isinstance(said, Envelope):
            check_payload(said.type, said.data)
    except BadPayload:
        return True
    return False


def _log_failure(handler: object, what: str) -> None:
    """Called while the handler's exception is handled."""
    logger.exception("a handler failed name=%s type=%s", _name(handler), what)


def _name(handler: object) -> str:
    return getattr(handler, "__qualname__", repr(handler))
