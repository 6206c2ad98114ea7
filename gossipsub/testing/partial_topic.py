"""A simulated node's topic for partial messages: what `PartExchange` and handlers ask of one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.partial import PartialHandler, PartialMessage
from gossipsub.router.effects import PartialGossip, PartialReceived
from gossipsub.router.router import Router

if TYPE_CHECKING:
    from gossipsub.testing.network import Network
    from gossipsub.testing.nodes import Node

PARTIAL = (PartialReceived, PartialGossip)
"""The effects that a handler hears of."""


class PartialTopic:
    """The partial messages of one topic at one node; as `gossipsub.Topic` has them."""

    def __init__(self, network: Network, node: Node, name: str) -> None:
        self._network = network
        self._node = node
        self._name = name

    def set_partial_handler(self, handler: PartialHandler | None) -> None:
        """As `Topic.set_partial_handler`."""
        if handler is None:
            self._node.partial_handlers.pop(self._name, None)
        else:
            self._node.partial_handlers[self._name] = handler

    def publish_partial(
        self, group_id: bytes, message_for: Callable[[PeerId, bool], PartialMessage | None]
    ) -> tuple[PeerId, ...]:
        """As `Topic.publish_partial`."""
        router = self._node.router
        sent: list[PeerId] = []
        for target in router.publish_partial(self._name, group_id, now=self._network.now):
            peer = PeerId(target.peer)
            answer = message_for(peer, target.requests)
            if answer is not None and self._send(peer, group_id, answer):
                sent.append(peer)
        self._network.settle(self._node)
        return tuple(sent)

    def send_partial(self, peer: PeerId, group_id: bytes, partial: PartialMessage) -> bool:
        """As `Topic.send_partial`."""
        is_sent = self._send(peer, group_id, partial)
        self._network.settle(self._node)
        return is_sent

    def _send(self, peer: PeerId, group_id: bytes, partial: PartialMessage) -> bool:
        return self._node.router.send_partial(
            peer, self._name, group_id, message=partial.message, metadata=partial.metadata
        )


def hear(network: Network, node: Node, effect: PartialReceived | PartialGossip) -> None:
    """Call the node's handler for the topic, if there is one, once this input is done with."""
    network.after(0.0, functools.partial(_tell, node, node.router, effect))


def _tell(node: Node, router: Router, effect: PartialReceived | PartialGossip) -> None:
    handler = node.partial_handlers.get(effect.topic)
    if handler is None or node.router is not router or not node.is_running:
        return
    if isinstance(effect, PartialReceived):
        peer = PeerId(effect.peer)
        handler.received(peer, effect.group_id, effect.message, effect.metadata)
    else:
        handler.gossip(effect.group_id, tuple(map(PeerId, effect.peers)))
