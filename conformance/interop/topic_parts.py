"""Groups of parts as the public experiments exchange them: 8 parts of 1024 bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gossipsub import PartExchange, PartialMessage, PeerId
from gossipsub.peer.part_groups import GROUP_BYTES, PART_BYTES, PARTS, made_part
from gossipsub.pubsub.partial import PartialHandler
from gossipsub.pubsub.parts import PartialTopic

__all__ = ["GROUP_BYTES", "TopicParts"]


class TopicParts:
    """The parts of a topic's groups; `completed(group)` is called when the last of one is here.

    Contents are not looked at: the public node of go fills parts otherwise than it says (all but
    the last word is zero), and nobody checks them there.
    """

    def __init__(self, topic: PartialTopic, completed: Callable[[bytes], None]) -> None:
        self._targets = _Targets(topic)
        self._exchange = PartExchange(
            self._targets,
            parts=PARTS,
            part_bytes=PART_BYTES,
            complete=lambda group, parts: completed(group),
            accept_group=lambda group: len(group) == GROUP_BYTES,
        )

    def add(self, group: bytes, bitmap: int) -> None:
        """Own these parts. Peers hear of them when they speak of the group, or by `publish`."""
        self._targets.is_silent = True
        try:
            self._exchange.add(
                group, {i: made_part(group, i) for i in range(PARTS) if bitmap >> i & 1}
            )
        finally:
            self._targets.is_silent = False

    def publish(self, group: bytes, peers: Sequence[PeerId] = ()) -> None:
        """Tell the topic's peers, or these alone, what is here; nobody where the group is not
        known."""
        if peers:
            self._targets.chosen[group] = dict.fromkeys(peers)
        self._exchange.publish(group)


class _Targets:
    """A topic as the exchange sees it: whom it tells of a group may have been chosen."""

    def __init__(self, topic: PartialTopic) -> None:
        self._topic = topic
        self.is_silent = False
        self.chosen: dict[bytes, dict[PeerId, None]] = {}
        """Peers by group; by the script, so there are few."""

    def set_partial_handler(self, handler: PartialHandler | None) -> None:
        self._topic.set_partial_handler(handler)

    def publish_partial(
        self, group_id: bytes, message_for: Callable[[PeerId, bool], PartialMessage | None]
    ) -> tuple[PeerId, ...]:
        if self.is_silent:
            return ()
        chosen = self.chosen.get(group_id)
        if chosen is None:
            return self._topic.publish_partial(group_id, message_for)
        asked: dict[PeerId, None] = {}

        def message_if_chosen(peer: PeerId, requests: bool) -> PartialMessage | None:
            asked[peer] = None
            return message_for(peer, requests) if peer in chosen else None

        told = self._topic.publish_partial(group_id, message_if_chosen)
        return (
            *told,
            *(
                peer
                for peer in chosen
                if peer not in asked and self._tell(peer, group_id, message_for)
            ),
        )

    def _tell(
        self,
        peer: PeerId,
        group_id: bytes,
        message_for: Callable[[PeerId, bool], PartialMessage | None],
    ) -> bool:
        """A chosen peer that the router would not have told."""
        answer = message_for(peer, True)
        return answer is not None and self.send_partial(peer, group_id, answer)

    def send_partial(self, peer: PeerId, group_id: bytes, partial: PartialMessage) -> bool:
        return self._topic.send_partial(peer, group_id, partial)
