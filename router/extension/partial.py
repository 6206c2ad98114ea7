"""Partial messages: who gets parts in place of messages, and which groups are known (v1.3
extension "Partial Messages").

A group is what would be one message; its parts, and the metadata that says who has which, are the
application's. The router says who takes part and keeps each group's peers in mind.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field

from gossipsub.router.effects import Lane, PartialGossip, PartialPeer, PartialReceived
from gossipsub.router.extension.params import PartialMode
from gossipsub.router.outbox import Outbox
from gossipsub.router.params import GossipParams
from gossipsub.router.peers import Peer, PeerTable
from gossipsub.router.topic_table import TopicTable
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import PartialMessagesExtension, Rpc, SubOpts

_NOBODY: Mapping[bytes, None] = {}


@dataclass(slots=True)
class _Group:
    heartbeats: int
    """How many more it is remembered."""
    initiator: bytes | None
    """The peer that named it first; None once it was published here."""
    peers: dict[bytes, None] = field(default_factory=dict)
    """Those that heard of it from us, or spoke of it."""


@dataclass(slots=True)
class _Topic:
    groups: dict[bytes, _Group] = field(default_factory=dict)
    initiated: dict[bytes, int] = field(default_factory=dict)
    """Groups that only peers began, by the peer. They are counted until forgotten, even where the
    peer left: it cannot begin more by coming back."""


class PartialMessages:
    """Groups per topic. `joined` and `meshes` are read only.

    Peers can begin `max_partial_groups_per_peer` groups each and `max_partial_groups_per_topic`
    together in a topic; what they send for further ones is ignored until some are forgotten.
    Peers whose score is below the publish threshold are sent nothing.
    """

    def __init__(
        self,
        params: GossipParams,
        *,
        topics: TopicTable,
        joined: Container[str],
        meshes: Mapping[str, Mapping[bytes, None]],
        peers: PeerTable,
        outbox: Outbox,
        score: Callable[[bytes], float],
    ) -> None:
        self.is_on = params.extensions.partial_messages
        """Where it is not, nobody takes part."""
        self._heartbeats = params.extensions.partial_group_heartbeats
        self._limits = params.limits
        self._threshold = params.thresholds.publish
        self._topics = topics
        self._joined = joined
        self._meshes = meshes
        self._peers = peers
        self._outbox = outbox
        self._score = score
        self._groups: dict[str, _Topic] = {}

    def __len__(self) -> int:
        """Groups remembered."""
        return sum(len(entry.groups) for entry in self._groups.values())

    # Who takes part

    def mode(self, topic: str) -> PartialMode | None:
        return self._topics.of(topic).partial_messages if self.is_on else None

    def requesting(self, topic: str) -> Mapping[bytes, None]:
        """Those that get parts from us and no full messages."""
        if self.mode(topic) is None:
            return _NOBODY
        return self._flagged(topic, requests_only=True)

    def serving(self, topic: str) -> Mapping[bytes, None]:
        """Those that send us parts and no full messages."""
        if self.mode(topic) is not PartialMode.REQUEST:
            return _NOBODY
        return self._flagged(topic, requests_only=False)

    def note_flags(self, peer: Peer, option: SubOpts) -> None:
        """The peer subscribed, perhaps again and with other flags; requesting implies serving."""
        if self.is_on and option.topic in peer.topics:
            if option.requests_partial or option.supports_sending_partial:
                peer.partial[option.topic] = option.requests_partial
            else:
                peer.partial.pop(option.topic, None)

    # What the application sends

    def publish(
        self, topic: str, group_id: bytes, targets: Iterable[bytes]
    ) -> tuple[PartialPeer, ...]:
        """This node has something of a group: remember it, and say whom to tell.

        Of mesh, direct peers and `targets` (the fanout) those that exchange parts, and all that
        the group is known to have reached already.
        """
        self._check(topic, group_id)
        entry = self._groups.setdefault(topic, _Topic())
        group = entry.groups.get(group_id)
        if group is None:
            group = entry.groups[group_id] = _Group(self._heartbeats, None)
        group.heartbeats = self._heartbeats
        self._disown(entry, group)
        for peer in self._exchanging(topic, targets):
            group.peers[peer] = None
        connected = self._peers.connected
        return tuple(
            PartialPeer(peer, self._requests(connected[peer], topic))
            for peer in group.peers
            if self._is_served(connected[peer], topic)
        )

    def send(
        self,
        peer: bytes,
        topic: str,
        group_id: bytes,
        message: bytes | None,
        metadata: bytes | None,
    ) -> bool:
        """Queue parts, metadata or both; parts only for a peer that requests them ("MUST NOT send
        this peer encoded partialMessage data since it did not request it"). False: nothing left."""
        self._check(topic, group_id)
        record = self._peers.connected.get(peer)
        if record is None or not self._takes_part(record) or not self._is_served(record, topic):
            return False
        if not self._requests(record, topic):
            message = None
        if not message and not metadata:
            return False
        entry = self._groups.get(topic)
        if entry is not None and group_id in entry.groups:
            entry.groups[group_id].peers[peer] = None
        partial = PartialMessagesExtension(topic, group_id, message or None, metadata or None)
        self._outbox.send(peer, Rpc(partial=partial), Lane.OWN)
        return True

    # What peers send

    def receive(self, peer: Peer, partial: PartialMessagesExtension) -> None:
        """Hand on what a peer sent, be it in the mesh or not, subscribed or not: who publishes
        by fanout is neither. Parts count only where they were requested."""
        topic, group_id = partial.topic, partial.group_id
        if topic is None or not group_id or not self._takes_part(peer):
            return
        if not self._peers.is_welcome(peer.id, topic):
            return
        mode = self.mode(topic)
        metadata = partial.parts_metadata or None
        is_asked = mode is PartialMode.REQUEST and topic in self._joined
        message = (partial.partial_message or None) if is_asked else None
        if mode is None or (message is None and metadata is None):
            return
        limits = self._limits
        if len(group_id) > limits.max_group_id_bytes:
            return
        if metadata is not None and len(metadata) > limits.max_parts_metadata_bytes:
            return
        group = self._known_or_new(peer.id, topic, group_id)
        if group is not None:
            group.peers[peer.id] = None
            self._outbox.effects.append(
                PartialReceived(peer.id, topic, group_id, message, metadata)
            )

    # Time, and what ends

    def emit_gossip(self, topic: str, chosen: Iterable[bytes]) -> None:
        """Have the application tell of its groups those of the `chosen` peers that did not hear
        of them, and mesh and direct peers that came since it published."""
        entry = self._groups.get(topic)
        if entry is None:
            return
        peers = dict.fromkeys(chosen)
        peers.update(dict.fromkeys(self._exchanging(topic, ())))
        for group_id, group in entry.groups.items():
            if group.initiator is None:
                new = tuple(peer for peer in peers if peer not in group.peers)
                group.peers.update(dict.fromkeys(new))
                if new:
                    self._outbox.effects.append(PartialGossip(topic, group_id, new))

    def age(self) -> None:
        """A heartbeat passed: forget the groups whose time is over."""
        for topic in list(self._groups):
            entry = self._groups[topic]
            for group_id, group in list(entry.groups.items()):
                group.heartbeats -= 1
                if group.heartbeats <= 0:
                    self._forget(entry, group_id)
            if not entry.groups:
                del self._groups[topic]

    def forget_topic(self, topic: str) -> None:
        """It was left, or its mode is another one."""
        self._groups.pop(topic, None)

    def remove_peer(self, peer: bytes) -> None:
        """It, or a stream between us, is gone."""
        for topic in list(self._groups):
            self.peer_left(peer, topic)

    def peer_left(self, peer: bytes, topic: str) -> None:
        """It left the topic."""
        entry = self._groups.get(topic)
        if entry is not None:
            for group in entry.groups.values():
                group.peers.pop(peer, None)

    # Parts of the above

    def _takes_part(self, peer: Peer) -> bool:
        """Both sides announced the extension, and our stream is one that may carry it."""
        theirs = peer.extensions
        return (
            self.is_on
            and theirs is not None
            and theirs.partial_messages
            and peer.features.extensions
        )

    def _requests(self, peer: Peer, topic: str) -> bool:
        return self._takes_part(peer) and peer.partial.get(topic, False)

    def _flagged(self, topic: str, *, requests_only: bool) -> dict[bytes, None]:
        return {
            peer.id: None
            for peer in self._peers.audience(topic)
            if topic in peer.partial
            and (peer.partial[topic] or not requests_only)
            and self._takes_part(peer)
        }

    def _is_served(self, peer: Peer, topic: str) -> bool:
        """Direct peers whatever their score, others from the publish threshold on."""
        is_good = peer.direct or self._score(peer.id) >= self._threshold
        return is_good and self._peers.is_welcome(peer.id, topic)

    def _exchanging(self, topic: str, others: Iterable[bytes]) -> list[bytes]:
        """Of the mesh, direct peers and `others` those that request parts, or serve them where we
        request. Direct peers get no full messages either, so go's choice would leave them out."""
        able = self.serving(topic) or self.requesting(topic)
        flooded = self._peers.flooded_in(topic) or ()
        return [p for p in (*self._meshes.get(topic, ()), *flooded, *others) if p in able]

    def _check(self, topic: str, group_id: bytes) -> None:
        if self.mode(topic) is None:
            raise LocalProtocolError(f"partial messages are off in this topic: {topic}")
        limit = self._limits.max_group_id_bytes
        if not 0 < len(group_id) <= limit:
            raise LocalProtocolError(f"a group id has 1 to {limit} bytes: {len(group_id)}")

    def _known_or_new(self, peer: bytes, topic: str, group_id: bytes) -> _Group | None:
        entry = self._groups.get(topic)
        group = None if entry is None else entry.groups.get(group_id)
        if group is not None or topic not in self._joined:
            return group
        if entry is None:
            entry = self._groups[topic] = _Topic()
        limits, initiated = self._limits, entry.initiated
        if (
            initiated.get(peer, 0) >= limits.max_partial_groups_per_peer
            or sum(initiated.values()) >= limits.max_partial_groups_per_topic
        ):
            return None
        initiated[peer] = initiated.get(peer, 0) + 1
        group = entry.groups[group_id] = _Group(self._heartbeats, peer)
        return group

    def _forget(self, entry: _Topic, group_id: bytes) -> None:
        self._disown(entry, entry.groups.pop(group_id))

    @staticmethod
    def _disown(entry: _Topic, group: _Group) -> None:
        """It no longer counts as begun by a peer."""
        initiator, group.initiator = group.initiator, None
        if initiator is not None:
            entry.initiated[initiator] -= 1
            if not entry.initiated[initiator]:
                del entry.initiated[initiator]
