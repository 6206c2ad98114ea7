"""Trace events as plain data: what a trace file holds, whichever its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gossipsub.router.effects import Trace, TraceKind
from gossipsub.wire.rpc import Control, Message, Rpc, SubOpts


@dataclass(frozen=True, slots=True)
class MessageMeta:
    """A message in an RPC."""

    message_id: bytes
    topic: str


@dataclass(frozen=True, slots=True)
class RpcMeta:
    """What an RPC carries, without the data of its messages."""

    messages: tuple[MessageMeta, ...] = ()
    subscriptions: tuple[SubOpts, ...] = ()
    control: Control | None = None
    """Of a PRUNE only the topic and the ids of its peers are traced, and no extensions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEvent:
    """One event. Which of the fields that may be None are set, its kind decides."""

    kind: TraceKind
    node: bytes
    """Peer id of the node that traced."""
    timestamp: int
    """Nanoseconds since 1970."""
    peer: bytes | None = None
    """The peer it happened with; where an own message is told of: the node itself."""
    topic: str | None = None
    message_id: bytes | None = None
    reason: str | None = None
    """REJECT_MESSAGE alone."""
    protocol: str | None = None
    """ADD_PEER alone."""
    meta: RpcMeta | None = None
    """RECV_RPC, SEND_RPC and DROP_RPC."""


def rpc_meta(rpc: Rpc, id_of: Callable[[Message], bytes]) -> RpcMeta:
    """What is traced of an RPC; `id_of` must not raise."""
    return RpcMeta(
        messages=tuple(MessageMeta(id_of(message), message.topic) for message in rpc.publish),
        subscriptions=tuple(rpc.subscriptions),
        control=rpc.control,
    )


_FROM_SOMEBODY = (TraceKind.DELIVER_MESSAGE, TraceKind.DUPLICATE_MESSAGE)


def event_of(
    trace: Trace, *, node: bytes, timestamp: int, id_of: Callable[[Message], bytes]
) -> TraceEvent:
    """A router's trace as an event of `node`."""
    kind, peer = trace.kind, trace.peer
    if peer is None and kind in _FROM_SOMEBODY:
        peer = node
    is_add = kind is TraceKind.ADD_PEER
    return TraceEvent(
        kind=kind,
        node=node,
        timestamp=timestamp,
        peer=peer,
        topic=trace.topic,
        message_id=trace.message_id,
        reason=None if is_add else trace.detail,
        protocol=trace.detail if is_add else None,
        meta=None if trace.rpc is None else rpc_meta(trace.rpc, id_of),
    )
