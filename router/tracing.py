"""Traces of what the router does (go's trace events), as effects among the others.

There is a `Tracer` only while tracing is on; whoever has something to tell asks for it:
`if (tracer := outbox.tracer) is not None`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossipsub.router.effects import Trace, TraceKind
from gossipsub.wire.rpc import Message, Rpc

if TYPE_CHECKING:
    from gossipsub.router.outbox import Outbox


class Tracer:
    """Appends traces to the effects, in the order in which things happen."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def published(self, message: Message, message_id: bytes) -> None:
        """Here; `delivered` follows."""
        self._add(TraceKind.PUBLISH_MESSAGE, topic=message.topic, message_id=message_id)

    def delivered(self, message: Message, message_id: bytes, peer: bytes | None) -> None:
        """Valid and new, whether or not there is a subscriber; `peer` is None for own messages."""
        self._add(TraceKind.DELIVER_MESSAGE, peer, message.topic, message_id)

    def duplicate(self, peer: bytes | None, message: Message, message_id: bytes) -> None:
        """`peer` is None where it is published here again."""
        self._add(TraceKind.DUPLICATE_MESSAGE, peer, message.topic, message_id)

    def rejected(
        self, peer: bytes, message: Message, reason: str, message_id: bytes | None = None
    ) -> None:
        """`reason` by go's name, where go has it."""
        self._add(TraceKind.REJECT_MESSAGE, peer, message.topic, message_id, reason)

    def peer_added(self, peer: bytes, protocol: str) -> None:
        self._add(TraceKind.ADD_PEER, peer, detail=protocol)

    def peer_removed(self, peer: bytes) -> None:
        self._add(TraceKind.REMOVE_PEER, peer)

    def peer_throttled(self, peer: bytes) -> None:
        """The gater ignores what the peer published."""
        self._add(TraceKind.THROTTLE_PEER, peer)

    def received(self, peer: bytes, rpc: Rpc) -> None:
        self._outbox.effects.append(Trace(TraceKind.RECV_RPC, peer, rpc=rpc))

    def joined(self, topic: str) -> None:
        self._add(TraceKind.JOIN, topic=topic)

    def left(self, topic: str) -> None:
        self._add(TraceKind.LEAVE, topic=topic)

    def grafted(self, peer: bytes, topic: str) -> None:
        """The peer is in the topic's mesh now, by whose wish ever."""
        self._add(TraceKind.GRAFT, peer, topic)

    def pruned(self, peer: bytes, topic: str) -> None:
        """The peer is in the topic's mesh no more, for whatever reason: go tells nothing where a
        peer disconnected, we do, so that every graft has its prune."""
        self._add(TraceKind.PRUNE, peer, topic)

    def _add(
        self,
        kind: TraceKind,
        peer: bytes | None = None,
        topic: str | None = None,
        message_id: bytes | None = None,
        detail: str | None = None,
    ) -> None:
        self._outbox.effects.append(Trace(kind, peer, topic, message_id, detail))
