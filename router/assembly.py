"""The parts of a router, and how they are joined: who reads whose state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from gossipsub.router.admission.acceptance import Acceptance
from gossipsub.router.admission.blacklist import Blacklist
from gossipsub.router.admission.gater import PeerGater
from gossipsub.router.announce import Announcements
from gossipsub.router.backoff import Backoffs
from gossipsub.router.callbacks import Callbacks
from gossipsub.router.counts import TopicCountTable
from gossipsub.router.delivery_points import DeliveryPoints
from gossipsub.router.direct import DirectPeers
from gossipsub.router.extension.extensions import PeerExtensions
from gossipsub.router.extension.partial import PartialMessages
from gossipsub.router.fanout import Fanout
from gossipsub.router.gossip import Gossip
from gossipsub.router.heartbeat import HeartbeatClock
from gossipsub.router.idontwant import IDontWants
from gossipsub.router.mcache import MessageCache
from gossipsub.router.mesh import Mesh
from gossipsub.router.messages import Messages
from gossipsub.router.outbox import Outbox
from gossipsub.router.outside import OutsideMesh
from gossipsub.router.own_targets import OwnTargets
from gossipsub.router.params import GossipParams
from gossipsub.router.peer_exchange import PeerExchange
from gossipsub.router.peers import PeerTable
from gossipsub.router.score.scoring import Scoring
from gossipsub.router.topic_table import TopicTable
from gossipsub.router.tracing import Tracer
from gossipsub.router.wanted import WantedMessages


class Parts:
    """Everything a router is made of; each part owns one state. `score` is the router's own."""

    def __init__(
        self,
        params: GossipParams,
        *,
        me: bytes,
        rng: Random,
        now: float,
        score: Callable[[bytes], float],
        direct_peers: Iterable[bytes] = (),
    ) -> None:
        self.params = params
        self._rng = rng
        self._score = score
        self.joined: dict[str, bool] = {}
        """Topics joined here, and whether their messages are delivered here."""
        self.meshes: dict[str, dict[bytes, None]] = {}
        self.topics = TopicTable(params)
        self.counts = TopicCountTable()
        self.heartbeat = HeartbeatClock(
            start=now + params.heartbeat_initial_delay, interval=params.heartbeat_interval
        )
        self.scoring = None if params.score is None else Scoring(params.score, params, now=now)
        """None while scoring is off."""
        self._make_gates(now)
        self.outbox = Outbox(self.meshes)
        if params.tracing:
            self.outbox.tracer = Tracer(self.outbox)
        self.extensions = PeerExtensions(params.extensions, self.outbox, self.scoring)
        self._make_tables()
        self.announcements = self._make_announcements()
        self.exchange = self._make_exchange(me)
        self.direct = DirectPeers(
            direct_peers,
            params,
            me=me,
            peers=self.peers,
            blacklist=self.blacklist,
            outbox=self.outbox,
            now=now,
        )
        self.mesh = self._make_mesh()
        self._make_targets()
        self.messages = self._make_messages(me)
        self.wanted = self._make_wanted()
        self.gossip = self._make_gossip()

    def _make_gates(self, now: float) -> None:
        params, rng = self.params, self._rng
        self.blacklist = Blacklist()
        self.callbacks = Callbacks()
        self.gater = None if params.gater is None else PeerGater(params.gater, rng=rng, now=now)
        """None while it is off."""
        self.acceptance = Acceptance(
            params, score=self._score, gater=self.gater, callbacks=self.callbacks
        )

    def _make_tables(self) -> None:
        params, limits, lazy = self.params, self.params.limits, self.params.lazy
        self.peers = PeerTable(
            max_topics=limits.max_topics_per_peer,
            max_topic_length=limits.max_topic_length,
            peer_filter=params.peer_filter,
            callbacks=self.callbacks,
        )
        self.delivery_points = DeliveryPoints(self.peers.connected)
        self.partial = PartialMessages(
            params,
            topics=self.topics,
            joined=self.joined,
            meshes=self.meshes,
            peers=self.peers,
            outbox=self.outbox,
            score=self._score,
        )
        self.backoffs = Backoffs(
            params.backoff,
            heartbeat_interval=params.heartbeat_interval,
            limit=limits.max_backoffs,
        )
        self.mcache = MessageCache(
            length=lazy.history_length,
            gossip=lazy.history_gossip,
            max_bytes=limits.max_cached_bytes,
        )
        self.idontwant = IDontWants(
            lazy,
            max_refusals=limits.max_refusals,
            meshes=self.meshes,
            peers=self.peers,
            mcache=self.mcache,
            outbox=self.outbox,
            partial=self.partial,
        )

    def _make_announcements(self) -> Announcements:
        return Announcements(
            self.joined,
            self.outbox,
            self._rng,
            retry_max=self.params.announce_retry_max,
            mode=self.partial.mode,
        )

    def _make_exchange(self, me: bytes) -> PeerExchange:
        return PeerExchange(
            self.params,
            me=me,
            peers=self.peers,
            blacklist=self.blacklist,
            outbox=self.outbox,
            score=self._score,
            rng=self._rng,
        )

    def _make_mesh(self) -> Mesh:
        return Mesh(
            self.meshes,
            topics=self.topics,
            backoff_params=self.params.backoff,
            peers=self.peers,
            backoffs=self.backoffs,
            max_unjoined_backoffs=self.params.limits.max_unjoined_backoffs,
            exchange=self.exchange,
            outbox=self.outbox,
            counts=self.counts,
            score=self._score,
            scores=None if self.scoring is None else self.scoring.scores,
            rng=self._rng,
        )

    def _make_gossip(self) -> Gossip:
        return Gossip(
            self.params.lazy,
            threshold=self.params.thresholds.gossip,
            peers=self.peers,
            mcache=self.mcache,
            outbox=self.outbox,
            idontwant=self.idontwant,
            score=self._score,
            messages=self.messages,
            wanted=self.wanted,
            partial=self.partial,
            rng=self._rng,
        )

    def _make_wanted(self) -> WantedMessages:
        return WantedMessages(
            self.params.lazy,
            max_bytes=self.params.limits.max_wanted_bytes,
            threshold=self.params.thresholds.gossip,
            joined=self.joined,
            peers=self.peers,
            messages=self.messages,
            outbox=self.outbox,
            idontwant=self.idontwant,
            promises=None if self.scoring is None else self.scoring.promises,
            score=self._score,
            rng=self._rng,
        )

    def _make_targets(self) -> None:
        params, peers, score, rng = self.params, self.peers, self._score, self._rng
        self.fanout = Fanout(
            ttl=params.fanout_ttl,
            threshold=params.thresholds.publish,
            peers=peers,
            score=score,
            rng=rng,
        )
        self.outside = OutsideMesh(params, peers=peers, score=score, rng=rng)
        self.own_targets = OwnTargets(
            params,
            topics=self.topics,
            meshes=self.meshes,
            peers=peers,
            outside=self.outside,
            fanout=self.fanout,
            score=score,
            rng=rng,
        )

    def _make_messages(self, me: bytes) -> Messages:
        return Messages(
            self.params,
            me=me,
            topics=self.topics,
            joined=self.joined,
            meshes=self.meshes,
            outside=self.outside,
            mcache=self.mcache,
            outbox=self.outbox,
            idontwant=self.idontwant,
            partial=self.partial,
            scoring=self.scoring,
            gater=self.gater,
            blacklist=self.blacklist,
            counts=self.counts,
            delivery_points=self.delivery_points,
        )
