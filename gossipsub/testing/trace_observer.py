"""The trace of a simulation: what every node would have written, in one stream of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossipsub.router.effects import Trace
from gossipsub.testing.observer import Observer
from gossipsub.tracing.trace_writer import HostTrace, TraceSink
from gossipsub.wire.rpc import Rpc

if TYPE_CHECKING:
    from gossipsub.testing.nodes import Node


class TraceObserver(Observer):
    """Gives the events of all nodes to a sink, such as a `TraceFile`; their times are virtual,
    from 1970 on. The network's parameters need `tracing`.

    An RPC that a link loses or its queue refuses is told as sent and as dropped.
    """

    def __init__(self, sink: TraceSink) -> None:
        self._sink = sink
        self._now = 0.0
        self._traces: dict[bytes, HostTrace] = {}

    def traced(self, now: float, node: Node, trace: Trace) -> None:
        self._of(now, node).happened(trace)

    def sent(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        self._of(now, sender).sent(receiver.id, rpc)

    def dropped(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        self._of(now, sender).dropped(receiver.id, rpc)

    def _of(self, now: float, node: Node) -> HostTrace:
        self._now = now
        trace = self._traces.get(node.id)
        if trace is None:
            trace = self._traces[node.id] = HostTrace(
                self._sink,
                node=node.id,
                clock=lambda: round(self._now * 1e9),
                message_id=lambda message: node.router.message_id(message),
            )
        return trace
