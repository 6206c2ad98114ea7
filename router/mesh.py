"""The meshes: who gets every message at once (v1.0 JOIN, LEAVE, heartbeat; v1.1 quotas)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from gossipsub.router.backoff import Backoffs, wire_seconds
from gossipsub.router.counts import TopicCountTable, count
from gossipsub.router.outbox import Outbox
from gossipsub.router.params import BackoffParams, MeshParams
from gossipsub.router.peer_exchange import PeerExchange
from gossipsub.router.peers import Peer, PeerTable
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.router.topic_table import TopicTable
from gossipsub.wire.rpc import Graft, Prune

LEAVING = "leaving the topic"


class Mesh:
    """One mesh per joined topic. A topic is in `meshes` exactly while it is joined."""

    def __init__(
        self,
        meshes: dict[str, dict[bytes, None]],
        *,
        topics: TopicTable,
        backoff_params: BackoffParams,
        peers: PeerTable,
        backoffs: Backoffs,
        max_unjoined_backoffs: int,
        exchange: PeerExchange,
        outbox: Outbox,
        counts: TopicCountTable,
        score: Callable[[bytes], float],
        scores: PeerScores | None,
        rng: Random,
    ) -> None:
        self.meshes = meshes
        self._topics = topics
        self._backoff_params = backoff_params
        self._peers = peers
        self._backoffs = backoffs
        self._max_unjoined_backoffs = max_unjoined_backoffs
        self._exchange = exchange
        self._outbox = outbox
        self._counts = counts
        self._score = score
        self._scores = scores
        self._rng = rng
        self.backoff_violations = 0
        """GRAFTs that came during the backoff."""

    def join(self, topic: str, fanout: Iterable[bytes], *, now: float) -> None:
        """Start a mesh with the topic's fanout peers, filled up to D."""
        self.meshes[topic] = {}
        d = self._topics.of(topic).mesh.d
        eligible = {peer.id: None for peer in self._candidates(topic, now)}
        start = [peer for peer in fanout if peer in eligible][:d]
        for peer in start:
            self._graft(peer, topic, now)
        self._graft_random([p for p in eligible if p not in self.meshes[topic]], topic, d, now)

    def leave(self, topic: str, *, now: float) -> None:
        """PRUNE everybody with the shorter backoff for leaving, and forget the mesh. As in go,
        the PRUNEs name other peers of the topic, those pruned as well."""
        for peer in list(self.meshes[topic]):
            self._exit(peer, topic, LEAVING)
            self._send_prune(peer, topic, self._backoff_params.unsubscribe_backoff, now, LEAVING)
        del self.meshes[topic]

    def remove_peer(self, peer: bytes) -> None:
        """The peer is gone: no PRUNE, no backoff."""
        for topic, mesh in self.meshes.items():
            if peer in mesh:
                self._exit(peer, topic, "peer gone")

    def peer_left(self, peer: bytes, topic: str) -> None:
        """A peer that left the topic gets no more messages of it, PRUNE or not (SUB-12)."""
        if peer in self.meshes.get(topic, ()):
            self._exit(peer, topic, "peer unsubscribed")

    def expel(self, peer: bytes, *, now: float) -> None:
        """PRUNE a peer from every mesh, without naming others to it: it becomes a direct one."""
        for topic in [topic for topic, mesh in self.meshes.items() if peer in mesh]:
            self._prune(peer, topic, now, "direct peer", offer=False)

    def peer_subscribed(self, peer: Peer, topic: str, *, now: float) -> None:
        """Graft at once where the mesh is too small, instead of at the next heartbeat."""
        mesh = self.meshes.get(topic)
        if mesh is None or len(mesh) >= self._topics.of(topic).mesh.d_low:
            return
        if not peer.in_meshes or peer.id in mesh:
            return
        if self._is_eligible(peer, topic, now) and self._peers.is_welcome(peer.id, topic):
            self._graft(peer.id, topic, now)

    def handle_graft(self, peer: Peer, grafts: Sequence[Graft], *, now: float) -> None:
        """Accept, or refuse with PRUNE and a backoff. A topic not joined gets no answer: it
        could be made up, and answering would amplify (v1.1, "Spam Protection Measures").

        Other peers are named in the answers only where meshes are full and nothing else is wrong
        with any of the GRAFTs: one for an unknown topic may be fishing for peers.
        """
        refused: dict[str, str] = {}
        is_sound = True
        backoff = self._backoff_params.prune_backoff
        for graft in grafts:
            topic = graft.topic
            mesh = self.meshes.get(topic)
            if mesh is None:
                is_sound = False
            elif peer.id in mesh or not self._peers.is_welcome(peer.id, topic):
                continue
            elif self._finds_fault(peer, topic, now):
                is_sound = False
                refused[topic] = "unwelcome graft"
            elif len(mesh) >= self._topics.of(topic).mesh.d_high and not peer.outbound:
                # v1.1: at D_high only outbound peers are let in, so that nobody can fill a mesh
                # from outside; the next heartbeat prunes what is too much.
                refused[topic] = "mesh full"
            else:
                self._enter(peer.id, topic, now)
            if topic in refused:  # from now on: another GRAFT may follow in the same RPC
                self._backoffs.add(topic, peer.id, backoff, now)
        for topic, reason in refused.items():
            self._send_prune(peer.id, topic, backoff, now, reason, offer=is_sound)

    def handle_prune(self, peer: Peer, prunes: Sequence[Prune], *, now: float) -> None:
        """Out of the mesh, and no GRAFT for the time stated.

        For a topic not joined the backoff is kept as well, for a later join (so rust; go and js
        ignore it), but only where the peer announced the topic, and for few of them.
        """
        for prune in prunes:
            mesh = self.meshes.get(prune.topic)
            if mesh is not None and peer.id in mesh:
                self._exit(peer.id, prune.topic, "pruned by peer")
            if mesh is not None:
                self._exchange.take(peer, prune.peers, now=now)
            if mesh is not None or self._remembers(peer, prune.topic):
                self._backoffs.add_remote(prune.topic, peer.id, prune.backoff, now)

    def prune_delayed(self, peer: bytes, prunes: Sequence[Prune], *, now: float) -> None:
        """A PRUNE could not be queued: the peer will count its backoff from a later time than we
        did, and penalise a GRAFT that is early by its own clock. So count from now as well."""
        for prune in prunes:
            if peer not in self.meshes.get(prune.topic, ()):
                seconds = prune.backoff or self._backoff_params.prune_backoff
                self._backoffs.add(prune.topic, peer, seconds, now)

    def maintain(self, topic: str, *, now: float) -> None:
        """One heartbeat of one topic: bad peers out, then degree, then outbound quota."""
        mesh = self.meshes[topic]
        params = self._topics.of(topic).mesh
        for peer in [peer for peer in mesh if self._score(peer) < 0.0]:
            self._prune(peer, topic, now, "negative score", offer=False)
        if len(mesh) < params.d_low:
            candidates = [peer.id for peer in self._candidates(topic, now)]
            self._graft_random(candidates, topic, params.d, now)
        if len(mesh) > params.d_high:
            keepers = self._keepers(mesh, params)
            for peer in [peer for peer in mesh if peer not in keepers]:
                self._prune(peer, topic, now, "too many")
        if len(mesh) >= params.d_low:
            connected = self._peers.connected
            missing = params.d_out - sum([connected[peer].outbound for peer in mesh])
            if missing > 0:
                outbound = [peer.id for peer in self._candidates(topic, now) if peer.outbound]
                self._graft_random(outbound, topic, len(mesh) + missing, now)

    def improve(self, topic: str, threshold: float, *, now: float) -> None:
        """Opportunistic grafting (v1.1): where the median score is below the threshold, take in
        some who are better, so that a mesh of useless peers does not stay as it is."""
        mesh = self.meshes[topic]
        if len(mesh) <= 1:
            return
        # Of an even number the upper of the middle two, as in go and js.
        median = sorted(map(self._score, mesh))[len(mesh) // 2]
        if median < threshold:
            better = [p.id for p in self._candidates(topic, now) if self._score(p.id) > median]
            size = len(mesh) + self._topics.of(topic).mesh.opportunistic_graft_peers
            self._graft_random(better, topic, size, now)

    def _finds_fault(self, peer: Peer, topic: str, now: float) -> bool:
        """Whether a GRAFT should not have been sent; one that comes too early costs the peer."""
        if peer.direct:  # a sign that the agreement is not mutual; no fault of its behaviour
            return True
        if not self._backoffs.refuses(topic, peer.id, now):
            return self._score(peer.id) < 0.0
        self.backoff_violations += 1
        if self._scores is not None:
            flood = self._backoffs.is_flooded(topic, peer.id, now)
            self._scores.penalise(peer.id, 2 if flood else 1, "GRAFT during the backoff")
        return True

    def _remembers(self, peer: Peer, topic: str) -> bool:
        """Whether to keep a backoff in a topic that is not joined."""
        return topic in peer.topics and self._backoffs.count(peer.id) < self._max_unjoined_backoffs

    def _candidates(self, topic: str, now: float) -> list[Peer]:
        """Those that may be grafted, and are not in the mesh."""
        mesh = self.meshes[topic]
        return [
            peer
            for peer in self._peers.mesh_capable(topic)
            if peer.id not in mesh and self._is_eligible(peer, topic, now)
        ]

    def _is_eligible(self, peer: Peer, topic: str, now: float) -> bool:
        return not self._backoffs.forbids(topic, peer.id, now) and self._score(peer.id) >= 0.0

    def _keepers(self, mesh: dict[bytes, None], params: MeshParams) -> dict[bytes, None]:
        """The D to keep: the best by score, the others random, with D_out outbound ones."""
        ranked = list(mesh)
        self._rng.shuffle(ranked)
        ranked.sort(key=self._score, reverse=True)
        others = ranked[params.d_score :]
        self._rng.shuffle(others)
        ranked[params.d_score :] = others
        kept, spare = ranked[: params.d], ranked[params.d :]
        missing = params.d_out - sum(self._is_outbound(peer) for peer in kept)
        # From the end of the list, so that the best-scored are the last to give way.
        inbound = [i for i in reversed(range(len(kept))) if not self._is_outbound(kept[i])]
        outbound = [peer for peer in spare if self._is_outbound(peer)]
        for index, peer in zip(inbound[: max(missing, 0)], outbound, strict=False):
            kept[index] = peer
        return dict.fromkeys(kept)

    def _is_outbound(self, peer: bytes) -> bool:
        return self._peers.connected[peer].outbound

    def _graft_random(self, candidates: list[bytes], topic: str, size: int, now: float) -> None:
        """Graft random candidates until the mesh has `size` peers."""
        wanted = min(size - len(self.meshes[topic]), len(candidates))
        if wanted > 0:
            for peer in self._rng.sample(candidates, wanted):
                self._graft(peer, topic, now)

    def _graft(self, peer: bytes, topic: str, now: float) -> None:
        self._enter(peer, topic, now)
        self._counts[topic].grafts += 1
        self._outbox.graft(peer, topic)

    def _prune(
        self, peer: bytes, topic: str, now: float, reason: str, *, offer: bool = True
    ) -> None:
        self._exit(peer, topic, reason)
        self._send_prune(peer, topic, self._backoff_params.prune_backoff, now, reason, offer=offer)

    def _enter(self, peer: bytes, topic: str, now: float) -> None:
        self.meshes[topic][peer] = None
        if (tracer := self._outbox.tracer) is not None:
            tracer.grafted(peer, topic)
        if self._scores is not None:
            self._scores.graft(peer, topic, now)

    def _exit(self, peer: bytes, topic: str, reason: str) -> None:
        del self.meshes[topic][peer]
        count(self._counts[topic].mesh_left, reason)
        if (tracer := self._outbox.tracer) is not None:
            tracer.pruned(peer, topic)
        if self._scores is not None:
            self._scores.prune(peer, topic)

    def _send_prune(
        self,
        peer: bytes,
        topic: str,
        backoff: float,
        now: float,
        reason: str,
        *,
        offer: bool = True,
    ) -> None:
        """The pruner keeps the backoff it states; a v1.0 peer is told only the topic."""
        self._backoffs.add(topic, peer, backoff, now)
        count(self._counts[topic].prunes, reason)
        record = self._peers.connected[peer]
        if record.features.peer_exchange:
            others = self._exchange.offer(record, topic) if offer else ()
            self._outbox.prune(peer, Prune(topic, others, wire_seconds(backoff)))
        else:
            self._outbox.prune(peer, Prune(topic))
