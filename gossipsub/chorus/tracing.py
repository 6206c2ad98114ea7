"""Tracing: what an agent says, and does about what others say, belongs to one trace."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.handlers import Handler
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.chorus.trace_context import TraceContext, current_trace, use_trace
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.tracing")


@dataclass(frozen=True, slots=True)
class Span:
    """One handler's work on one message, for a program that collects them."""

    name: str
    """The message's type."""
    context: TraceContext
    parent_id: str
    """Span id of the one who sent the message."""
    start_ns: int
    """Nanoseconds since 1970, as is the end."""
    end_ns: int
    failed: bool
    """The handler raised, or was cancelled."""


class Tracing:
    """`async with Tracing(chorus):` inside the `async with` of `chorus`.

    While it is open, what is published carries the current trace context, unless its data holds
    a `traceparent` already; with `start_traces`, what belongs to no trace begins one. A handler
    of a message that carries one runs in a span of its own, the message's child, so that what it
    publishes belongs to the same trace. `on_span` is told of each when it is over; it must be
    quick, and an exception in it is logged and goes no further.

    Who sends a message decides what stands in it: never take a trace id for a proof of anything.
    """

    def __init__(
        self,
        chorus: ChorusPubSub,
        *,
        start_traces: bool = False,
        on_span: Callable[[Span], None] | None = None,
    ) -> None:
        self._chorus = chorus
        self._start_traces = start_traces
        self._on_span = on_span
        self._is_open = False

    async def __aenter__(self) -> Self:
        if self._is_open:
            raise LocalProtocolError("it is open already")
        self._chorus.add_publishing_hook(self._inject)
        self._chorus.add_handler_wrapper(self._continue)
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_open:
            self._is_open = False
            self._chorus.remove_handler_wrapper(self._continue)
            self._chorus.remove_publishing_hook(self._inject)

    def _inject(
        self, message_type: MessageType | str, data: Mapping[str, object]
    ) -> Mapping[str, object]:
        context = current_trace()
        if context is None and self._start_traces:
            context = TraceContext.new()
        if context is None or "traceparent" in data:
            return data
        return {**data, **context.to_data()}

    def _continue(self, handler: Handler) -> Handler:
        async def handle(envelope: Envelope, sender: PeerId) -> None:
            parent = TraceContext.from_data(envelope.data)
            context = None if parent is None else parent.child()
            start, failed = time.time_ns(), True
            try:
                with use_trace(context):
                    outcome = handler(envelope, sender)
                    if inspect.isawaitable(outcome):
                        await outcome
                failed = False
            finally:
                if context is not None and parent is not None:
                    end = time.time_ns()
                    self._tell(Span(envelope.type, context, parent.span_id, start, end, failed))

        return handle

    def _tell(self, span: Span) -> None:
        if self._on_span is None:
            return
        try:
            self._on_span(span)
        except Exception:
            logger.exception("on_span failed name=%r", self._on_span)
