"""The router: one node's part of the mesh, as a deterministic machine without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from random import Random

from gossipsub.router.assembly import Parts
from gossipsub.router.effects import Connect, Disconnect, Effect, PublishReceipt, TopicPeer, Verdict
from gossipsub.router.extension.partial_inputs import PartialInputs
from gossipsub.router.messages import BLACKLISTED_PEER, PEER_THROTTLED
from gossipsub.router.params import GossipParams
from gossipsub.router.peers import Peer
from gossipsub.router.publishing import in_turns
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Control, Message, Rpc, SubOpts


class Router(PartialInputs):
    """One node's view of the mesh (gossipsub v1.0 to v1.3).

    Driven by RPCs received, by the local application, and by time. After any input drain
    `effects()`, then arm a timer for `next_deadline()`. `now` is monotonic and never goes back;
    equal inputs with an equally seeded `rng` give equal effects. What a peer sent never raises;
    inputs that name a peer that is not connected have no effect. `direct_peers` are as if added
    by `add_direct_peer`, and dialled a little later.
    """

    def __init__(
        self,
        params: GossipParams,
        *,
        me: bytes,
        rng: Random,
        now: float,
        direct_peers: Iterable[bytes] = (),
    ) -> None:
        parts = Parts(
            params,
            me=me,
            rng=rng,
            now=now,
            score=self.score,
            direct_peers=direct_peers,
        )
        super().__init__(parts)
        self._params = params
        self._me = me
        self._ticks = 0
        self._joined = parts.joined
        self._topics = parts.topics
        self._heartbeat_clock = parts.heartbeat
        self._outbox = parts.outbox
        self._tracer = parts.outbox.tracer
        self._peers = parts.peers
        self._announcements = parts.announcements
        self._backoffs = parts.backoffs
        self._mcache = parts.mcache
        self._idontwant = parts.idontwant
        self._scoring = parts.scoring
        self._exchange = parts.exchange
        self._direct = parts.direct
        self._mesh = parts.mesh
        self._gossip = parts.gossip
        self._fanout = parts.fanout
        self._own_targets = parts.own_targets
        self._messages = parts.messages
        self._wanted = parts.wanted
        self._blacklist = parts.blacklist
        self._acceptance = parts.acceptance
        self._gater = parts.gater
        self._extensions = parts.extensions
        self._partial = parts.partial
        self._delivery_points = parts.delivery_points

    # Inputs: peers

    def peer_connected(
        self, peer: bytes, *, protocol: str, outbound: bool, ip: str | None, now: float
    ) -> None:
        """Our stream to `peer` is open: it gets all subscriptions, if there are any.

        `protocol` is the id negotiated for that stream, `outbound` whether we dialled. RPCs the
        peer sent before are the driver's to hold back until now: go tells its subscriptions
        only once. LocalProtocolError if the peer is connected already, or is this node. A
        blacklisted peer stays unknown.
        """
        if peer in self._peers.connected or peer == self._me:
            raise LocalProtocolError(f"the peer is connected already: {peer.hex()}")
        if self._blacklist.contains(peer, now):
            return
        features = self._params.features(protocol)
        is_direct = peer in self._direct.peers
        record = Peer(peer, protocol, features, outbound, ip, is_direct)
        self._peers.add(record)
        self._backoffs.peer_connected(peer)
        if self._tracer is not None:
            self._tracer.peer_added(peer, protocol)
        self._greet(record)
        if self._scoring is not None:
            self._scoring.scores.add_peer(peer, () if ip is None else (ip,))
        if self._gater is not None:
            self._gater.add_peer(peer, ip)

    def outbound_stream_reopened(self, peer: bytes, *, protocol: str, now: float) -> None:
        """Our stream to a connected peer broke and was opened again.

        The peer forgot what we told it on the old one (WIRE-21): it leaves mesh and fanout and
        gets the whole hello again. Its own subscriptions stay.
        """
        record = self._peers.connected.get(peer)
        if record is None:
            return
        self._forget_ties(peer)
        if self._tracer is not None:
            self._tracer.peer_removed(peer)
            self._tracer.peer_added(peer, protocol)
        self._peers.change_protocol(record, protocol, self._params.features(protocol))
        self._greet(record)

    def inbound_stream_closed(self, peer: bytes, *, now: float) -> None:
        """The peer's stream to us ended: forget what it announced there (WIRE-21).

        It leaves mesh and fanout too, as if it had unsubscribed: go does the same with us
        when it opens a new stream, and grafts again from what it then knows.
        """
        record = self._peers.connected.get(peer)
        if record is not None:
            for topic in list(record.topics):
                self._peer_left(record, topic)
            self._forget_ties(peer)
            self._idontwant.forget(peer)
            self._extensions.forget(record)

    def peer_disconnected(self, peer: bytes, *, now: float) -> None:
        """Forget the peer, except its backoffs, and its score if that is not good."""
        record = self._peers.connected.get(peer)
        if record is not None:
            if self._scoring is not None:  # while it still is in meshes
                self._scoring.scores.remove_peer(peer, now)
            if self._gater is not None:
                self._gater.remove_peer(peer, now)
            self._forget_ties(peer)
            self._announcements.forget(peer)
            self._idontwant.forget(peer)
            self._delivery_points.forget_peer(peer)
            for topic in list(record.topics):
                self._peer_left(record, topic)
            self._peers.remove(peer)
            self._backoffs.peer_disconnected(peer)
            if self._tracer is not None:
                self._tracer.peer_removed(peer)

    def peer_record(self, peer: bytes, record: bytes | None) -> None:
        """A connected peer's addresses in an envelope that it signed and the driver verified: to
        be handed on in peer exchange. None takes back what was given before."""
        known = self._peers.connected.get(peer)
        if known is not None:
            self._exchange.note_record(known, record)

    def add_direct_peer(self, peer: bytes, *, now: float) -> None:
        """Make a peer a direct one (v1.1, "Explicit Peering Agreements"): it gets every message
        of its topics whatever its score, all it says is heard, it is dialled while it is not
        connected, and it is in no mesh. LocalProtocolError for this node itself."""
        self._direct.add(peer)
        record = self._peers.connected.get(peer)
        if record is None:
            self._outbox.effects.append(Connect(peer))
        elif not record.direct:
            self._mesh.expel(peer, now=now)
            self._fanout.remove_peer(peer)
            self._peers.set_direct(record, True)
            self._outbox.flush()

    def remove_direct_peer(self, peer: bytes, *, now: float) -> None:
        """Make it an ordinary peer again, which may be grafted at the next heartbeat."""
        self._direct.remove(peer)
        record = self._peers.connected.get(peer)
        if record is not None:
            self._peers.set_direct(record, False)

    # Inputs: the local application

    def subscribe(self, topic: str, *, deliver: bool = True, now: float) -> None:
        """Join a topic: announce it to all peers and build a mesh.

        With `deliver=False` messages are forwarded only (a relay). For a joined topic only
        `deliver` changes: counting local subscriptions is the driver's task.

        LocalProtocolError where the subscription filter forbids the topic: nothing is announced.
        """
        is_new = topic not in self._joined
        if is_new and not self._acceptance.may_subscribe(topic):
            raise LocalProtocolError(f"the subscription filter forbids the topic: {topic}")
        self._joined[topic] = deliver
        if is_new:
            if self._tracer is not None:
                self._tracer.joined(topic)
            self._announcements.announce(self._peers.connected, topic, True)
            self._mesh.join(topic, self._fanout.take(topic), now=now)
            self._outbox.flush()

    def unsubscribe(self, topic: str, *, now: float) -> None:
        """Leave a topic: PRUNE the mesh, then withdraw the subscription from all peers.

        In this order a peer that drops us at the withdrawal has noted the backoff before.
        """
        if topic in self._joined:
            del self._joined[topic]
            if self._tracer is not None:
                self._tracer.left(topic)
            self._mesh.leave(topic, now=now)
            self._partial.forget_topic(topic)
            self._delivery_points.forget_topic(topic)
            self._outbox.flush()
            self._announcements.announce(self._peers.connected, topic, False)

    def message_id(self, message: Message) -> bytes:
        """Its id, by its topic's function. LocalProtocolError where it has none."""
        return self._messages.own_id(message)

    def publish(
        self,
        message: Message,
        *,
        message_id: bytes | None = None,
        local_only: bool = False,
        cache: bool = True,
        now: float,
    ) -> PublishReceipt:
        """Send an own message, built, signed and validated by the driver.

        `message_id` is its id, where the driver has asked for it already.

        With flood publishing to every peer of the topic (or to as many as there is bandwidth
        for), else to the mesh, or to the fanout where the topic is not joined; to direct and
        floodsub peers always, and to some randomsub peers. Nobody to send to is no error: the
        message is kept for IWANT, unless `cache` is False. With `local_only` it is delivered
        here and not sent. LocalProtocolError where it has no id.
        """
        if message_id is None:
            message_id = self.message_id(message)
        targets = partial(self._own_targets.of, message, now)
        return self._messages.publish(
            message, message_id, targets, now, local_only=local_only, cache=cache
        )

    def publish_batch(
        self,
        messages: Sequence[Message],
        *,
        message_ids: Sequence[bytes] | None = None,
        local_only: bool = False,
        cache: bool = True,
        now: float,
    ) -> list[PublishReceipt]:
        """As `publish` for each, but the RPCs leave in turns, one of each message, so that the
        first copies of all are out early. LocalProtocolError where one has no id: then none is
        published."""
        if message_ids is None:
            message_ids = [self.message_id(message) for message in messages]
        before = self._outbox.drain() if len(messages) > 1 else None
        receipts = [
            self.publish(
                message, message_id=message_id, local_only=local_only, cache=cache, now=now
            )
            for message, message_id in zip(messages, message_ids, strict=True)
        ]
        if before is not None:
            self._outbox.effects = [*before, *in_turns(self._outbox.drain())]
        return receipts

    # Inputs: the network, the driver, time

    def receive_rpc(self, peer: bytes, rpc: Rpc, *, now: float) -> None:
        """Subscriptions, then messages, then control: IDONTWANT, IHAVE, IWANT, GRAFT, PRUNE; then
        parts of messages. Extensions are looked at first: the first RPC decides them.

        The inspector comes before all of them. A graylisted peer's subscriptions are noted and
        the rest ignored, as in go: the topic table stays true until its score recovers. Under
        load the gater may leave out the messages. Direct peers are always heard.
        """
        record = self._peers.connected.get(peer)
        if record is None:
            if self._blacklist.contains(peer, now):
                self._messages.leave_out(peer, rpc.publish, BLACKLISTED_PEER)
            return
        if self._tracer is not None:
            self._tracer.received(peer, rpc)
        announced = None if rpc.control is None else rpc.control.extensions
        if announced is not None or not record.has_spoken:
            self._extensions.receive(record, announced)
        acceptance = self._acceptance
        if rpc.subscriptions or acceptance.inspects:
            if not acceptance.admits(peer, rpc):
                return
            for option in acceptance.wanted(rpc.subscriptions):
                self._handle_subscription(record, option, now)
        if acceptance.is_heeded(record):
            if self._gater is None or not rpc.publish or acceptance.takes_messages(record, now):
                receive = self._messages.receive
                for message in rpc.publish:
                    receive(peer, message, now)
            else:
                self._throttle(peer, rpc, now)
            if rpc.control is not None and record.features.mesh:
                self._handle_control(record, rpc.control, now)
            if rpc.partial is not None:
                self._partial.receive(record, rpc.partial)
        self._outbox.flush()

    def validation_result(self, ticket: int, verdict: Verdict, *, now: float) -> bool:
        """The verdict on a message handed out with `Validate`; False if the ticket is unknown,
        was used before, or its message was published here meanwhile: then nothing happens."""
        return self._messages.validated(ticket, verdict, now)

    def rpc_dropped(self, peer: bytes, rpc: Rpc, *, now: float) -> None:
        """The driver could not queue (this part of) an RPC on the peer's present stream.

        GRAFT and PRUNE go with the next RPC to that peer, subscriptions after a short random
        delay, both only while they are still true. Messages and gossip are not sent again.
        """
        record = self._peers.connected.get(peer)
        if record is not None:
            if rpc.publish and self._scoring is not None:
                self._scoring.scores.send_lost(peer, len(rpc.publish))
            if rpc.subscriptions:
                self._announcements.dropped(peer, rpc.subscriptions, now)
            if rpc.control is not None:
                self._outbox.retry(peer, rpc.control)
                self._mesh.prune_delayed(peer, rpc.control.prune, now=now)
                if self._scoring is not None:
                    for iwant in rpc.control.iwant:
                        self._scoring.promises.withdraw(peer, iwant.message_ids)

    def handle_timer(self, *, now: float) -> None:
        """Do what is due. Early calls are harmless; after late ones a single heartbeat runs
        and the missed ones are skipped, so a stalled driver does not age its caches in a jump."""
        self._announcements.retry_due(now)
        self._direct.connect_due(now)
        if self._scoring is not None:
            self._scoring.scores.refresh_if_due(now)
        self._wanted.ask_due(now)
        if self._gater is not None:
            self._gater.decay_if_due(now)
        if self._heartbeat_clock.is_due(now):
            self._heartbeat(now)
        else:
            self._outbox.flush()

    # Inputs: blacklist; parameters and scores are in adjustments.py

    def blacklist(self, peer: bytes, *, until: float | None = None, now: float) -> None:
        """Have nothing to do with a peer until that time, None: for ever. It is forgotten as if
        it had disconnected, and connects in vain; messages by it are refused, whoever brings
        them and without blame. When it is over the peer counts from its next connection on."""
        self._blacklist.add(peer, until)
        if self._blacklist.contains(peer, now):
            self.peer_disconnected(peer, now=now)

    # Outputs

    def effects(self) -> list[Effect]:
        """What happened to be done since the last call, in order."""
        return self._outbox.drain()

    # Parts of inputs

    def _greet(self, peer: Peer) -> None:
        self._announcements.hello(peer.id, self._extensions.announcement(peer))
        self._extensions.greeted(peer)

    def _handle_subscription(self, peer: Peer, option: SubOpts, now: float) -> None:
        if not option.subscribe:
            self._peer_left(peer, option.topic)
            return
        if self._peers.subscribe(peer, option.topic):
            self._outbox.effects.append(TopicPeer(option.topic, peer.id, True))
            self._mesh.peer_subscribed(peer, option.topic, now=now)
        self._partial.note_flags(peer, option)

    def _peer_left(self, peer: Peer, topic: str) -> None:
        # Grafted without a subscription or not: whoever leaves the topic leaves the mesh.
        self._mesh.peer_left(peer.id, topic)
        self._fanout.peer_left(peer.id, topic)
        if self._peers.unsubscribe(peer, topic):
            self._partial.peer_left(peer.id, topic)
            self._outbox.effects.append(TopicPeer(topic, peer.id, False))

    def _forget_ties(self, peer: bytes) -> None:
        self._mesh.remove_peer(peer)
        self._fanout.remove_peer(peer)
        self._partial.remove_peer(peer)
        self._outbox.forget(peer)

    def _throttle(self, peer: bytes, rpc: Rpc, now: float) -> None:
        """The gater drops the messages; what the peer promised may be among them (SPAM-05)."""
        if self._tracer is not None:
            self._tracer.peer_throttled(peer)
        self._messages.leave_out(peer, rpc.publish, PEER_THROTTLED)
        if self._scoring is not None:
            self._scoring.promises.forgive(peer, now)

    def _handle_control(self, peer: Peer, control: Control, now: float) -> None:
        if control.idontwant:
            self._idontwant.handle_idontwant(peer, control.idontwant)
        if control.ihave:
            self._gossip.handle_ihave(peer, control.ihave, joined=self._joined, now=now)
        if control.iwant:
            self._gossip.handle_iwant(peer, control.iwant)
        if control.graft:
            self._mesh.handle_graft(peer, control.graft, now=now)
        if control.prune:
            self._mesh.handle_prune(peer, control.prune, now=now)

    def _heartbeat(self, now: float) -> None:
        """v1.0 "Heartbeat", in go's order; every peer gets at most one RPC of it."""
        self._ticks += 1
        self._age(now)
        self._direct.check(self._ticks, now)
        if self._params.disconnect_graylisted:
            for peer in self._acceptance.graylisted(self._peers.connected.values()):
                self._outbox.effects.append(Disconnect(peer, "its score is below the graylist"))
        for topic, mesh in self._mesh.meshes.items():
            self._mesh.maintain(topic, now=now)
            if self._ticks % self._topics.of(topic).mesh.opportunistic_graft_ticks == 0:
                threshold = self._params.thresholds.opportunistic_graft
                self._mesh.improve(topic, threshold, now=now)
            self._gossip.emit(topic, mesh)
        self._fanout.maintain(lambda topic: self._topics.of(topic).mesh.d, now=now)
        for topic, peers in self._fanout.topics().items():
            self._gossip.emit(topic, peers)
        self._outbox.flush_with_dropped()
        self._mcache.shift()
        self._partial.age()

    def _age(self, now: float) -> None:
        """Before anything is decided: what ended is forgotten, what is counted per heartbeat is
        counted anew, and broken promises are charged."""
        self._backoffs.clear_expired(now)
        self._blacklist.sweep(now)
        self._gossip.reset_budgets()
        self._exchange.reset_budgets()
        self._idontwant.age()
        self._messages.charge_broken_promises(now)
        self._messages.sweep(now)
        if self._scoring is not None:
            self._scoring.sweep(now)
