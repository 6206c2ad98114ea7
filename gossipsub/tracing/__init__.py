"""Traces in go-libp2p-pubsub's format: events, files, a reader."""

from __future__ import annotations

from gossipsub.router.effects import TraceKind
from gossipsub.tracing.errors import TraceUnreadable
from gossipsub.tracing.event import MessageMeta, RpcMeta, TraceEvent
from gossipsub.tracing.trace_reader import read_trace
from gossipsub.tracing.trace_writer import TraceFile

__all__ = [
    "MessageMeta",
    "RpcMeta",
    "TraceEvent",
    "TraceFile",
    "TraceKind",
    "TraceUnreadable",
    "read_trace",
]
