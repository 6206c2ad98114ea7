"""The driver: it owns the router, gives it what happens, and does what it says.

Inputs and `flush()` never await, so no lock exists: whatever task runs them, the router sees one
event at a time.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, assert_never

from anyio.abc import TaskGroup

from gossipsub.config import HostConfig
from gossipsub.crypto.ed25519 import choose_verify
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.discovery import Discovery, TopicDiscovery
from gossipsub.pubsub.holding import HeldStreams
from gossipsub.pubsub.lax_signing import warn_of_lax_signing
from gossipsub.pubsub.measures import Measures
from gossipsub.pubsub.overhead import OverheadLimit
from gossipsub.pubsub.partial import PartialTopics
from gossipsub.pubsub.peer import PubsubPeer
from gossipsub.pubsub.publisher import Publisher
from gossipsub.pubsub.sender import RpcSender
from gossipsub.pubsub.topic import Topic
from gossipsub.pubsub.validation.overload import Overload
from gossipsub.pubsub.validation.pipeline import ValidationPipeline, received_message
from gossipsub.router.effects import (
    Connect,
    Deliver,
    Disconnect,
    Effect,
    PartialGossip,
    PartialReceived,
    SendRpc,
    TopicPeer,
    Trace,
    Unqueue,
    Validate,
    Verdict,
)
from gossipsub.router.params import GossipParams, TopicParams
from gossipsub.router.score.snapshot import PeerScoreSnapshot
from gossipsub.statistics import HostStatistics
from gossipsub.timers import Timers
from gossipsub.transport.dialing import Dialing
from gossipsub.transport.stream import Stream, StreamHandler
from gossipsub.wake import Wake
from gossipsub.watching import Watching
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message, Rpc
from gossipsub.wire.rpc_codec import RpcLimits

if TYPE_CHECKING:
    from gossipsub.timers import Timer
    from gossipsub.transport.connection import Connection

logger = logging.getLogger("gossipsub.pubsub")

PERFORM_AFTER = 16
"""Messages, or RPCs without any, after which the router's effects are performed though more have
come; fewer where the validation queue is small. What they have in common leaves together."""


class PubSub:
    """Everything of a host that has to do with topics."""

    def __init__(
        self,
        key: PrivateKey,
        *,
        params: GossipParams,
        config: HostConfig,
        timers: Timers,
        rng: random.Random,
        first_seqno: int,
        direct_peers: Iterable[bytes],
        connect: Callable[[Connect], None],
        topic_peer: Callable[[TopicPeer], None],
        watching: Watching,
    ) -> None:
        self.config = config
        self.params = params
        self.timers = timers
        self.me = key.public_key.peer_id()
        self.protocols = params.protocols
        self.rpc_limits = RpcLimits()
        self.router = watching.new_router(
            params, me=self.me, rng=rng, now=timers.now(), direct_peers=direct_peers
        )
        self._trace = watching.host_trace(self.me, self.router.message_id)
        self.measures = Measures(timers.now)
        self._delivered = 0
        rate, burst = config.overhead_bytes_per_second, config.overhead_burst_bytes
        self.overhead = None if rate is None else OverheadLimit(rate=rate, burst=burst)
        self.topics: dict[str, Topic] = {}
        self._topic_params = dict(params.topics)
        """What holds in topics joined without parameters."""
        self._joined_with: dict[str, TopicParams] = {}
        """What holds until the handle is closed."""
        self.peers: dict[bytes, PubsubPeer] = {}
        self.mesh_watchers: list[Wake] = []
        """Of those that wait for a mesh to grow; it may have whenever the router did something."""
        self.partial = PartialTopics(self)
        self.discovery: TopicDiscovery | None = None
        self.overload = Overload(timers)
        self.pipeline = self._make_pipeline(config)
        self.held = HeldStreams(self.pipeline.queue, self.overload)
        self.sender = RpcSender(self, self._trace)
        self.publisher = Publisher(self, key, first_seqno=first_seqno)
        self._connect = connect
        self._topic_peer = topic_peer
        self._unperformed = 0
        self._perform_after = min(config.validation_queue // 16, PERFORM_AFTER)
        self._router_timer: Timer | None = None
        self._armed_for = float("inf")

    def _make_pipeline(self, config: HostConfig) -> ValidationPipeline:
        return ValidationPipeline(
            queue=config.validation_queue,
            throttle=config.validation_throttle,
            workers=config.validation_workers,
            ed25519=choose_verify(config.signature_library),
            report=self._report_verdict,
            batch_done=self._batch_done,
            overload=self.overload,
        )

    # -- what the host tells ---------------------------------------------------------------

    def connection_opened(self, connection: Connection) -> None:
        peer = self.peers.get(connection.peer)
        if peer is None:
            peer = self.peers[connection.peer] = PubsubPeer(self, connection.peer)
        peer.connection_opened(connection)

    def connection_closed(self, connection: Connection) -> None:
        peer = self.peers[connection.peer]
        peer.connection_closed(connection)
        if not peer.connections:
            del self.peers[connection.peer]
        self.flush()

    def peer_identified(self, peer: PeerId, protocols: Iterable[str], record: bytes | None) -> None:
        """Identify told which protocols the peer speaks, and its signed record to be handed on."""
        known = self.peers.get(peer)
        if known is None:
            return
        known.signed_record = record
        self.router.peer_record(peer, record)
        if any(self.speaks(ours, theirs) for ours in self.protocols for theirs in protocols):
            known.speaks_pubsub()

    def speaks(self, ours: str, theirs: str) -> bool:
        """Whether our protocol can be spoken with a peer that names it so."""
        match = self.params.protocol_match
        return ours == theirs or (match is not None and match(ours, theirs))

    def accept_stream(self, stream: Stream) -> StreamHandler:
        """A peer opened a stream for one of our pubsub protocols."""
        return self.peers[stream.connection.peer].inbound_opened(stream)

    def receive_rpc(self, peer: PeerId, rpc: Rpc) -> None:
        self.measures.received.add(rpc)
        self.router.receive_rpc(peer, rpc, now=self.timers.now())
        # `flush` follows with the connection's, when all is read that came; but too many messages
        # at once would find no place for validation.
        self._unperformed += len(rpc.publish) or 1
        if self._unperformed >= self._perform_after:
            self._perform_effects()

    def add_direct_peer(self, peer: PeerId) -> None:
        self.router.add_direct_peer(peer, now=self.timers.now())
        self.flush()

    def remove_direct_peer(self, peer: PeerId) -> None:
        self.router.remove_direct_peer(peer, now=self.timers.now())
        self.flush()

    # -- what the application asks ---------------------------------------------------------

    def join(
        self, name: str, params: TopicParams | None = None, *, fanout_only: bool = False
    ) -> Topic:
        self.check_topic(name)
        if name in self.topics:
            raise LocalProtocolError(f"the topic is joined already: {name}")
        if params is not None:
            self._use_topic_params(name, params)
            self._joined_with[name] = params
        topic = self.topics[name] = Topic(self, name, fanout_only=fanout_only)
        return topic

    def set_topic_params(self, name: str, params: TopicParams) -> None:
        self.check_topic(name)
        self._use_topic_params(name, params)
        self._topic_params[name] = params
        self._joined_with.pop(name, None)

    def _use_topic_params(self, name: str, params: TopicParams) -> None:
        if not isinstance(params, TopicParams):
            raise LocalProtocolError(f"a topic's parameters are TopicParams: {params!r}")
        warn_of_lax_signing(params.signature_policy)
        self.router.set_topic_params(name, params, now=self.timers.now())
        self.flush()

    def forget_topic(self, topic: Topic) -> None:
        self.topics.pop(topic.name, None)
        self.partial.set_handler(topic.name, None)
        if self._joined_with.pop(topic.name, None) is not None:
            before = self._topic_params.get(topic.name, TopicParams())
            self._use_topic_params(topic.name, before)

    def subscribe(self, topic: str, *, deliver: bool) -> None:
        self.router.subscribe(topic, deliver=deliver, now=self.timers.now())
        self.flush()
        if self.discovery is not None:
            self.discovery.joined(topic)

    def unsubscribe(self, topic: str) -> None:
        if self.discovery is not None:
            self.discovery.left(topic)
        self.router.unsubscribe(topic, now=self.timers.now())
        self.flush()

    def check_topic(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise LocalProtocolError(f"a topic's name is a non-empty text: {name!r}")
        limit = self.params.limits.max_topic_length
        if len(name) > limit:
            raise LocalProtocolError(f"a topic's name has at most {limit} characters: {name!r}")
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"a topic's name is Unicode text: {name!r}") from error

    def block(self, peer: PeerId, seconds: float | None) -> None:
        now = self.timers.now()
        self.router.blacklist(peer, until=None if seconds is None else now + seconds, now=now)
        if peer in self.peers:
            self.peers[peer].cut_off()
        self.flush()

    def blocked(self) -> tuple[PeerId, ...]:
        return tuple(PeerId(peer) for peer in self.router.blacklisted(now=self.timers.now()))

    def is_blocked(self, peer: bytes) -> bool:
        return self.router.is_blacklisted(peer, now=self.timers.now())

    def topic_peers(self, topic: str) -> tuple[PeerId, ...]:
        return tuple(PeerId(peer) for peer in self.router.topic_peers(topic))

    def use_discovery(
        self, discovery: Discovery, dialing: Dialing, addresses: Callable[[], tuple[str, ...]]
    ) -> None:
        """Have it find peers of topics in which a message would reach too few."""
        enough = self.router.has_enough_peers
        self.discovery = TopicDiscovery(
            discovery,
            config=self.config,
            dialing=dialing,
            addresses=addresses,
            topics_in_need=lambda: [name for name in self.topics if not enough(name)],
        )

    def look_for_peers(self, topic: str) -> float:
        """Have discovery find peers; the seconds after which to ask it again."""
        return math.inf if self.discovery is None else self.discovery.look(topic)

    def protocol_of(self, peer: bytes) -> str | None:
        known = self.peers.get(peer)
        return None if known is None or known.outbound is None else known.outbound.stream.protocol

    def mesh(self, topic: str) -> tuple[PeerId, ...]:
        return tuple(PeerId(peer) for peer in self.router.mesh(topic))

    def scores(self) -> dict[PeerId, PeerScoreSnapshot]:
        snapshots = self.router.score_snapshots()
        return {PeerId(peer): snapshot for peer, snapshot in snapshots.items()}

    def statistics(
        self, *, connections: int, refused: dict[str, int], trimmed: int, dials_dropped: int
    ) -> HostStatistics:
        counts = self.router.undelivered()
        validation = self.overload.totals()
        return HostStatistics(
            rpc_in=self.measures.received.rpcs,
            rpc_out=self.measures.sent.rpcs,
            rpc_dropped=self.sender.lost,
            rpc_refused=0 if self.overhead is None else self.overhead.refused,
            published=self.publisher.published,
            delivered=self._delivered,
            duplicates=counts.pop("duplicate", 0),
            rejections=counts,
            connections=connections,
            connections_refused=refused,
            connections_trimmed=trimmed,
            dials_dropped=dials_dropped,
            validation_waiting=len(self.pipeline.queue),
            validation_queue_full=validation.queue_full,
            validation_throttled=validation.throttled,
            validation_timeouts=validation.timeouts,
            validator_failures=validation.failures,
        )

    # -- what the router wants -------------------------------------------------------------

    def flush(self) -> None:
        """Perform what the last inputs caused. Never awaits, so no input can interleave."""
        self._perform_effects()
        while self.pipeline.begin():
            self._perform_effects()
            self.held.places_came()
        for watcher in self.mesh_watchers:
            watcher.set()
        self._arm_router_timer()

    def _perform_effects(self) -> None:
        self._unperformed = 0
        while effects := self.router.effects():
            for effect in effects:
                self._perform(effect)
            self.partial.tell()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case SendRpc():
                self.sender.send(effect)
            case Unqueue(peer=peer, message=message):
                if peer in self.peers:
                    self.peers[peer].queue.remove(message)
            case Validate():
                self.measures.validation_began(effect.ticket)
                self.pipeline.submit(effect)
            case Deliver(message=message, message_id=message_id, received_from=received_from):
                self.deliver(message, message_id, received_from)
            case TopicPeer(topic=name):
                if name in self.topics:
                    self.topics[name].peers_changed()
                self._topic_peer(effect)
            case Connect():
                self._connect(effect)
            case Disconnect(peer=peer, reason=reason):
                if peer in self.peers:
                    self.peers[peer].disconnect(reason)
            case PartialReceived() | PartialGossip():
                self.partial.put(effect)
            case Trace():
                if self._trace is not None:
                    self._trace.happened(effect)
            case _:
                assert_never(effect)

    def deliver(self, message: Message, message_id: bytes, received_from: bytes | None) -> None:
        topic = self.topics.get(message.topic)
        if topic is not None:
            self._delivered += 1
            topic.deliver(received_message(message, message_id, received_from or self.me))

    def _arm_router_timer(self) -> None:
        deadline = self.router.next_deadline()
        if deadline != self._armed_for:
            if self._router_timer is not None:
                self._router_timer.cancel()
            self._armed_for = deadline
            self._router_timer = self.timers.at(deadline, self._router_deadline)

    def _router_deadline(self) -> None:
        self._armed_for = float("inf")
        self._router_timer = None
        now, due = self.timers.now(), self.router.heartbeat_deadline()
        self.router.handle_timer(now=now)
        self.flush()
        if due <= now:
            self.measures.heartbeat(due=due, began=now)

    # -- validation ------------------------------------------------------------------------

    def _report_verdict(self, ticket: int, verdict: Verdict) -> None:
        self.measures.validation_ended(ticket)
        self.router.validation_result(ticket, verdict, now=self.timers.now())

    def _batch_done(self) -> None:
        self.flush()
        self.held.places_came()

    # -- life ------------------------------------------------------------------------------

    def start(self, tasks: TaskGroup) -> None:
        self._arm_router_timer()
        tasks.start_soon(self.pipeline.run)
        tasks.start_soon(self.held.run)
        if self.discovery is not None:
            self.discovery.tasks = tasks
            tasks.start_soon(self.discovery.run)

    def leave_everything(self) -> None:
        """End all subscriptions; PRUNEs and withdrawals are queued for the peers."""
        for topic in list(self.topics.values()):
            topic.end()
            self.unsubscribe(topic.name)
        self.topics.clear()
