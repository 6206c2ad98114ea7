"""The peers we are connected to, and the topics they announced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gossipsub.router.callbacks import Callbacks
from gossipsub.router.features import Features
from gossipsub.wire.rpc import Extensions


@dataclass(slots=True)
class Peer:
    """One connected peer."""

    id: bytes
    protocol: str
    features: Features
    outbound: bool
    """True where we dialled the connection; the first connection decides (OUT-04)."""
    ip: str | None
    direct: bool = False
    """Outside of all meshes by agreement; gets every message."""
    signed_record: bytes | None = None
    """Its addresses, signed by itself: handed on in peer exchange."""
    in_meshes: bool = False
    """Whether it can be grafted and gossiped to at all. The table's own, and looked at more often
    than anything else here."""
    topics: dict[str, None] = field(default_factory=dict)
    ihave_rpcs: int = 0
    """RPCs with IHAVE since the last heartbeat."""
    ids_asked: int = 0
    """Ids it offered since the last heartbeat that were noted, to be asked for."""
    iwant_rpcs: int = 0
    """RPCs with IWANT from it since the last heartbeat."""
    has_spoken: bool = False
    """An RPC came on its present stream."""
    extensions: Extensions | None = None
    """What the first RPC of that stream announced (v1.3)."""
    partial: dict[str, bool] = field(default_factory=dict)
    """Topics in which it sends parts of messages; True where it requests them too."""


class PeerTable:
    """Connected peers by id, and per topic those that subscribed to it.

    Topics without a subscriber have no entry. All orders are those of arrival.
    """

    def __init__(
        self,
        *,
        max_topics: int,
        max_topic_length: int,
        peer_filter: Callable[[bytes, str], bool] | None = None,
        callbacks: Callbacks | None = None,
    ) -> None:
        self._peer_filter = peer_filter
        self._callbacks = callbacks or Callbacks()
        self._max_topics = max_topics
        self._max_topic_length = max_topic_length
        self.connected: dict[bytes, Peer] = {}
        self._topics: dict[str, dict[bytes, Peer]] = {}
        self._flooded: dict[str, dict[bytes, Peer]] = {}
        self._random: dict[str, dict[bytes, Peer]] = {}

    def add(self, peer: Peer) -> None:
        self.connected[peer.id] = peer
        self._relist(peer)

    def remove(self, peer: bytes) -> None:
        """Forget the peer with all it announced."""
        for topic in list(self.connected[peer].topics):
            self.unsubscribe(self.connected[peer], topic)
        del self.connected[peer]

    def change_protocol(self, peer: Peer, protocol: str, features: Features) -> None:
        """The peer's stream was opened anew; what it announced stays."""
        peer.protocol, peer.features = protocol, features
        self._relist(peer)

    def set_direct(self, peer: Peer, direct: bool) -> None:
        """The peer becomes a direct one, or an ordinary one."""
        peer.direct = direct
        self._relist(peer)

    def subscribe(self, peer: Peer, topic: str) -> bool:
        """Note a subscription; False where it is known already or above the limits."""
        if topic in peer.topics or len(peer.topics) >= self._max_topics:
            return False
        if len(topic) > self._max_topic_length:
            return False
        peer.topics[topic] = None
        self._topics.setdefault(topic, {})[peer.id] = peer
        self._list_outside(peer, topic)
        return True

    def unsubscribe(self, peer: Peer, topic: str) -> bool:
        """Forget a subscription; False where there is none."""
        if topic not in peer.topics:
            return False
        del peer.topics[topic]
        peer.partial.pop(topic, None)
        self._unlist(self._topics, topic, peer)
        self._unlist_outside(peer, topic)
        return True

    def in_topic(self, topic: str) -> Mapping[bytes, Peer]:
        """Those subscribed, floodsub peers included."""
        return self._topics.get(topic, {})

    def mesh_capable(self, topic: str) -> Iterable[Peer]:
        """Those subscribed that can be grafted and gossiped to."""
        return [peer for peer in self.audience(topic) if peer.in_meshes]

    def audience(self, topic: str) -> Iterable[Peer]:
        """Those subscribed that the peer filter lets have to do with the topic."""
        peers = self.in_topic(topic).values()
        if self._peer_filter is None:
            return peers
        return [peer for peer in peers if self.is_welcome(peer.id, topic)]

    def is_welcome(self, peer: bytes, topic: str) -> bool:
        """What the peer filter says."""
        return self._peer_filter is None or self._callbacks.allow(self._peer_filter, peer, topic)

    def flooded_in(self, topic: str) -> Mapping[bytes, Peer] | None:
        """Those subscribed that get every message, mesh or not: direct peers and those that speak
        only floodsub. None where there are none."""
        return self._flooded.get(topic)

    def random_in(self, topic: str) -> Mapping[bytes, Peer] | None:
        """Those subscribed that speak only randomsub, without direct peers; None where there are
        none."""
        return self._random.get(topic)

    def known_topics(self) -> int:
        """Number of topics with a subscriber."""
        return len(self._topics)

    def _relist(self, peer: Peer) -> None:
        peer.in_meshes = peer.features.mesh and not peer.direct
        for topic in peer.topics:
            self._unlist_outside(peer, topic)
            self._list_outside(peer, topic)

    def _list_outside(self, peer: Peer, topic: str) -> None:
        if not peer.in_meshes:
            is_random = peer.features.random and not peer.direct
            table = self._random if is_random else self._flooded
            table.setdefault(topic, {})[peer.id] = peer

    def _unlist_outside(self, peer: Peer, topic: str) -> None:
        self._unlist(self._flooded, topic, peer)
        self._unlist(self._random, topic, peer)

    @staticmethod
    def _unlist(table: dict[str, dict[bytes, Peer]], topic: str, peer: Peer) -> None:
        listed = table.get(topic)
        if listed is not None and listed.pop(peer.id, None) is not None and not listed:
            del table[topic]
