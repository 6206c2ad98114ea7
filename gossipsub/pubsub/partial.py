"""Partial messages as the application sees them: its handler, and what it sends to each peer."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gossipsub.crypto.peer_id import PeerId
from gossipsub.router.effects import PartialGossip, PartialReceived
from gossipsub.wire.errors import LocalProtocolError

if TYPE_CHECKING:
    from gossipsub.pubsub.driver import PubSub

logger = logging.getLogger("gossipsub.partial")

_OVERHEAD = 64
"""Tags and lengths of an RPC with parts, at most."""


@dataclass(frozen=True, slots=True)
class PartialMessage:
    """What one peer is sent of a group: parts in the application's encoding, metadata about the
    parts this host has, or both."""

    message: bytes | None = None
    metadata: bytes | None = None


class PartialHandler(Protocol):
    """What a topic tells of partial messages. Both are called in the task that serves the network:
    they return soon, and do not wait. They may publish and send at once."""

    def received(
        self, peer: PeerId, group_id: bytes, message: bytes | None, metadata: bytes | None
    ) -> None:
        """A peer sent parts, metadata or both. Nothing of it was checked."""

    def gossip(self, group_id: bytes, peers: tuple[PeerId, ...]) -> None:
        """These peers have not heard of a group this host published: tell them, with
        `publish_partial` (which now includes them) or `send_partial`."""


class PartialTopics:
    """The handlers of all topics; calls them once the router's effects are performed."""

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub
        self._handlers: dict[str, PartialHandler] = {}
        self._waiting: deque[PartialReceived | PartialGossip] = deque()
        self._is_telling = False

    def set_handler(self, topic: str, handler: PartialHandler | None) -> None:
        if handler is None:
            self._handlers.pop(topic, None)
        else:
            self._handlers[topic] = handler

    def publish(
        self,
        topic: str,
        group_id: bytes,
        message_for: Callable[[PeerId, bool], PartialMessage | None],
    ) -> tuple[PeerId, ...]:
        now = self._pubsub.timers.now()
        sent: list[PeerId] = []
        try:
            for target in self._pubsub.router.publish_partial(topic, group_id, now=now):
                peer = PeerId(target.peer)
                answer = message_for(peer, target.requests)
                if answer is not None and self._send(topic, group_id, peer, answer):
                    sent.append(peer)
        finally:
            self._pubsub.flush()
        return tuple(sent)

    def send(self, topic: str, group_id: bytes, peer: PeerId, partial: PartialMessage) -> bool:
        is_sent = self._send(topic, group_id, peer, partial)
        self._pubsub.flush()
        return is_sent

    def _send(self, topic: str, group_id: bytes, peer: PeerId, partial: PartialMessage) -> bool:
        message, metadata = partial.message, partial.metadata
        size = sum(map(len, (topic.encode(), group_id, message or b"", metadata or b"")))
        limit = self._pubsub.config.max_rpc_bytes
        if size + _OVERHEAD > limit:
            raise LocalProtocolError(f"{size} bytes for one peer, an RPC has at most {limit}")
        return self._pubsub.router.send_partial(
            peer, topic, group_id, message=message, metadata=metadata
        )

    # -- what the router says --------------------------------------------------------------

    def put(self, effect: PartialReceived | PartialGossip) -> None:
        self._waiting.append(effect)

    def tell(self) -> None:
        """Call the handlers. What they send is performed before the next call."""
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._waiting:
                self._call(self._waiting.popleft())
        finally:
            self._is_telling = False

    def _call(self, effect: PartialReceived | PartialGossip) -> None:
        handler = self._handlers.get(effect.topic)
        if handler is None:
            return
        try:
            if isinstance(effect, PartialReceived):
                peer = PeerId(effect.peer)
                handler.received(peer, effect.group_id, effect.message, effect.metadata)
            else:
                handler.gossip(effect.group_id, tuple(map(PeerId, effect.peers)))
        except Exception:
            logger.exception("partial message handler failed handler=%r", handler)
