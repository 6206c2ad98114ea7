"""Inputs of the router that are about partial messages: publish and send."""

from __future__ import annotations

from collections.abc import Iterable

from gossipsub.router.adjustments import Adjustments
from gossipsub.router.effects import PartialPeer


class PartialInputs(Adjustments):
    """What the application does with groups of parts; what peers send comes in with their RPCs."""

    def publish_partial(
        self, topic: str, group_id: bytes, *, now: float
    ) -> tuple[PartialPeer, ...]:
        """This node has (more) parts of a group: whom to tell, by `send_partial`.

        They are the mesh and direct peers, or the fanout where the topic is not joined, as far as
        they exchange parts, and those that spoke of the group. The group is gossiped about until
        `partial_group_heartbeats` have passed without publishing it again. LocalProtocolError
        where the topic has no partial messages, or the id is too long.
        """
        parts = self._parts
        partial = parts.partial
        targets: Iterable[bytes] = ()
        if topic not in parts.joined and partial.mode(topic) is not None:
            targets = parts.fanout.publish(topic, parts.topics.of(topic).mesh.d, now=now)
        return partial.publish(topic, group_id, targets)

    def send_partial(
        self,
        peer: bytes,
        topic: str,
        group_id: bytes,
        *,
        message: bytes | None = None,
        metadata: bytes | None = None,
    ) -> bool:
        """Send parts of a group, metadata about those this node has, or both, to one peer.

        Parts are left out where the peer does not request them. False where nothing is sent: the
        peer is gone, does not exchange parts, or has too low a score. LocalProtocolError as above.
        """
        return self._parts.partial.send(peer, topic, group_id, message, metadata)
