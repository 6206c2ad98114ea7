"""Whom own messages go to: everybody (v1.1, "Flood Publishing"), the mesh, or the fanout."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from random import Random

from gossipsub.router.fanout import Fanout
from gossipsub.router.outside import OutsideMesh
from gossipsub.router.params import GossipParams
from gossipsub.router.peers import PeerTable
from gossipsub.router.topic_table import TopicTable
from gossipsub.wire.rpc import Message


class OwnTargets:
    """Besides peers outside of the mesh, which get every message. `meshes` is read only."""

    def __init__(
        self,
        params: GossipParams,
        *,
        topics: TopicTable,
        meshes: Mapping[str, dict[bytes, None]],
        peers: PeerTable,
        outside: OutsideMesh,
        fanout: Fanout,
        score: Callable[[bytes], float],
        rng: Random,
    ) -> None:
        self._flood_publish = params.flood_publish
        self._threshold = params.thresholds.publish
        bandwidth = params.flood_publish_bandwidth
        self._flood_bytes = None if bandwidth is None else bandwidth * params.heartbeat_interval
        self._topics = topics
        self._meshes = meshes
        self._peers = peers
        self._outside = outside
        self._fanout = fanout
        self._score = score
        self._rng = rng

    def of(self, message: Message, now: float, have_it: Collection[bytes] = ()) -> Iterable[bytes]:
        """The peers for a message published now. Those in `have_it`, which are not sent it, may
        be among them; where not all can be, they take nobody's place."""
        topic = message.topic
        mesh = self._meshes.get(topic)
        if self._flood_publish:
            mesh = mesh or {}
            everybody = [*mesh, *self._others(topic, mesh)]
            willing = [peer for peer in everybody if self._score(peer) >= self._threshold]
            if self._flood_bytes is None:
                return willing
            candidates = [peer for peer in willing if peer not in have_it]
            room = self._copies(message, self._flood_bytes)
            room -= len(self._outside.targets(topic, have_it))
            return self._some(candidates, mesh, room)
        if mesh is None:
            return self._fanout.publish(topic, self._topics.of(topic).mesh.d, now=now)
        return mesh

    def _others(self, topic: str, mesh: Mapping[bytes, None]) -> list[bytes]:
        return [peer.id for peer in self._peers.mesh_capable(topic) if peer.id not in mesh]

    def _copies(self, message: Message, flood: float) -> int:
        """How often the message can be sent within one heartbeat, or D_low."""
        size = max(len(message.data or b""), 1)
        return max(int(flood / size), self._topics.of(message.topic).mesh.d_low)

    def _some(self, peers: list[bytes], mesh: Mapping[bytes, None], room: int) -> list[bytes]:
        """The mesh, and of the others as many as there is room for; nim takes those it finds
        first, here chance decides."""
        chosen = [peer for peer in peers if peer in mesh]
        others = [peer for peer in peers if peer not in mesh]
        room = min(max(room - len(chosen), 0), len(others))
        return chosen + self._rng.sample(others, room)
