"""Whatever arrives in whatever order, the router keeps its promises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from gossipsub.router.admission.gater import PeerGaterParams
from gossipsub.router.effects import (
    Connect,
    Deliver,
    Effect,
    SendRpc,
    TopicPeer,
    Validate,
    Verdict,
)
from gossipsub.router.heartbeat import HeartbeatClock
from gossipsub.router.params import (
    GossipParams,
    LazyParams,
    MeshParams,
    RouterLimits,
    SeenStrategy,
    TopicParams,
)
from gossipsub.router.router import Router
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from gossipsub.wire.rpc import (
    Control,
    Graft,
    IDontWant,
    IHave,
    IWant,
    Message,
    PeerInfo,
    Prune,
    Rpc,
    SubOpts,
)

ME = b"me"
FLOODSUB = "/floodsub/1.0.0"
PEERS = [b"peer %d" % number for number in range(8)]
TOPICS = ["a", "b", "c", "d"]
LIMITS = RouterLimits(
    max_topics_per_peer=3,
    max_pending=4,
    max_wanted_bytes=1200,  # two messages
    max_copies=3,
    max_backoffs=50,
    max_refusals=5,
    max_retained_scores=3,
    max_delivery_records=5,
    max_promises=3,
    max_offered_peers=5,
    max_exchange_connects=8,
    max_record_bytes=6,
)
LAZY = LazyParams(
    max_ihave_length=5,
    max_ihave_messages=3,
    idontwant_threshold=5,
    max_idontwant_length=3,
    max_idontwant_messages=2,
)

SHORT_LIVED = TopicParams(
    message_lifetime=2.0,
    max_data_bytes=4,
    mesh=MeshParams(d=1, d_low=1, d_high=2, d_score=1, d_out=0),
)

THRESHOLDS = PeerScoreThresholds(opportunistic_graft=50.0)

peers = st.sampled_from(PEERS)
addresses = st.sampled_from([None, "10.0.0.1", "2001:db8::1", "2001:db8::2"])
topics = st.sampled_from(TOPICS)
protocols = st.sampled_from(
    ["/meshsub/1.3.0", "/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0", FLOODSUB]
)
messages = st.builds(
    Message,
    topics,
    data=st.sampled_from([b"data", b"other"]),
    from_peer=st.sampled_from([*PEERS[:3], ME, None]),
    seqno=st.sampled_from([bytes(8), bytes(7) + b"\x01", bytes(7), None]),
    signature=st.sampled_from([b"signature", b"signature", b"other", None]),
)
ids = st.lists(
    st.builds(
        lambda peer, n: peer + bytes(7) + bytes([n]),
        st.sampled_from([*PEERS[:3], ME]),
        st.integers(0, 2),
    ),
    max_size=4,
)
backoffs = st.one_of(st.none(), st.integers(0, 100), st.integers(0, 2**64 - 1))
infos = st.builds(
    PeerInfo,
    st.sampled_from([None, b"", ME, *PEERS, b"stranger", b"other stranger"]),
    st.sampled_from([None, b"record", b"too large"]),
)
control = st.builds(
    Control,
    ihave=st.lists(st.builds(IHave, topics, ids), max_size=2),
    iwant=st.lists(st.builds(IWant, ids), max_size=2),
    graft=st.lists(st.builds(Graft, topics), max_size=3),
    prune=st.lists(st.builds(Prune, topics, st.lists(infos, max_size=3), backoffs), max_size=2),
    idontwant=st.lists(st.builds(IDontWant, ids), max_size=2),
)
rpcs = st.builds(
    Rpc,
    subscriptions=st.lists(st.builds(SubOpts, topics, st.booleans()), max_size=3),
    publish=st.lists(messages, max_size=3),
    control=st.one_of(st.none(), control),
)


class RouterMachine(RuleBasedStateMachine):
    """Drives a router at random, and knows what it must not do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        params = GossipParams(
            mesh=MeshParams(d=2, d_low=2, d_high=3, d_score=1, d_out=1),
            lazy=LAZY,
            limits=LIMITS,
            seen_ttl=100_000.0,
            flood_publish=False,
            peer_exchange=True,
            exchange_peers=2,
            direct_connect_ticks=3,
            score=self.score_params(),
            thresholds=THRESHOLDS,
            **self.more_params(),
        )
        self.direct = {b"peer 7", b"stranger"}
        self.router = Router(
            params, me=ME, rng=Random(1), now=self.now, direct_peers=sorted(self.direct)
        )
        self.protocols: dict[bytes, str] = {}
        self.subscribed: set[tuple[str, bytes]] = set()
        self.grafted: set[tuple[str, bytes]] = set()
        self.backoffs: dict[tuple[str, bytes], float] = {}
        self.owed: set[tuple[str, bytes]] = set()
        self.tickets: dict[int, Validate] = {}
        self.used: list[int] = []
        self.sent: list[SendRpc] = []
        self.delivered: set[bytes] = set()
        self.published = self.passed_on = 0
        self.heartbeats = HeartbeatClock(start=0.1, interval=1.0)
        self.refused: dict[bytes, dict[bytes, int]] = {}
        self.refusing_rpcs: dict[bytes, int] = {}
        self.blacklisted: dict[bytes, float] = {}
        self.source: bytes | None = None
        self.prunes_to_come: set[tuple[str, bytes]] = set()

    def score_params(self) -> PeerScoreParams | None:
        return None

    def more_params(self) -> dict[str, Any]:
        return {}

    # Inputs

    @initialize(count=st.sampled_from([4, 3, 0]))
    def settle(self, count: int) -> None:
        """Most of what can happen to a message needs a mesh."""
        self.subscribe("a", True)
        for peer in PEERS[:count]:
            self.connect(peer, "/meshsub/1.2.0", True, None)
            self.receive(peer, Rpc((SubOpts("a"),)))

    @rule(peer=peers, protocol=protocols, outbound=st.booleans(), ip=addresses)
    def connect(self, peer: bytes, protocol: str, outbound: bool, ip: str | None) -> None:
        if peer not in self.protocols:
            if self.now >= self.blacklisted.get(peer, 0.0):
                self.protocols[peer] = protocol
            self.router.peer_connected(
                peer, protocol=protocol, outbound=outbound, ip=ip, now=self.now
            )
            self.check()

    @rule(peer=peers)
    def disconnect(self, peer: bytes) -> None:
        self.protocols.pop(peer, None)
        self.router.peer_disconnected(peer, now=self.now)
        self.forget_grafts(peer)
        self.forget_refusals(peer)
        self.check()

    @rule(peer=peers)
    def lose_inbound_stream(self, peer: bytes) -> None:
        self.router.inbound_stream_closed(peer, now=self.now)
        self.forget_grafts(peer)
        self.forget_refusals(peer)
        self.check()

    @rule(peer=peers, protocol=protocols)
    def reopen_outbound_stream(self, peer: bytes, protocol: str) -> None:
        self.router.outbound_stream_reopened(peer, protocol=protocol, now=self.now)
        if peer in self.protocols:
            self.protocols[peer] = protocol
        self.forget_grafts(peer)
        self.check()

    @rule(peer=peers, record=st.sampled_from([None, b"record", b"too large"]))
    def learn_record(self, peer: bytes, record: bytes | None) -> None:
        self.router.peer_record(peer, record)
        self.check()

    @rule(peer=peers)
    def add_direct_peer(self, peer: bytes) -> None:
        self.direct.add(peer)
        self.router.add_direct_peer(peer, now=self.now)
        self.check()

    @rule(peer=peers)
    def remove_direct_peer(self, peer: bytes) -> None:
        self.direct.discard(peer)
        self.router.remove_direct_peer(peer, now=self.now)
        self.check()

    @rule(peer=peers, seconds=st.sampled_from([0.0, 3.0, None]))
    def blacklist(self, peer: bytes, seconds: float | None) -> None:
        until = None if seconds is None else self.now + seconds
        self.blacklisted[peer] = math.inf if until is None else until
        self.router.blacklist(peer, until=until, now=self.now)
        if seconds == 0.0:
            self.check()
        else:
            self.disconnect(peer)

    @rule(peer=peers)
    def unblacklist(self, peer: bytes) -> None:
        self.blacklisted.pop(peer, None)
        self.router.unblacklist(peer)
        self.check()

    @rule(topic=topics, deliver=st.booleans())
    def subscribe(self, topic: str, deliver: bool) -> None:
        self.router.subscribe(topic, deliver=deliver, now=self.now)
        self.check()

    @rule(topic=topics)
    def unsubscribe(self, topic: str) -> None:
        self.router.unsubscribe(topic, now=self.now)
        self.grafted = {entry for entry in self.grafted if entry[0] != topic}
        self.check()

    @rule(topic=topics, data=st.sampled_from([b"mine", b"large"]))
    def publish(self, topic: str, data: bytes) -> None:
        self.published += 1
        seqno = self.published.to_bytes(8, "big")
        self.router.publish(Message(topic, data, ME, seqno, b"signature"), now=self.now)
        self.check()

    @rule(peer=peers, rpc=rpcs)
    def receive(self, peer: bytes, rpc: Rpc) -> None:
        is_heard = self.hand_over(peer, rpc)
        if peer in self.protocols:
            for option in rpc.subscriptions:
                if not option.subscribe:
                    self.grafted.discard((option.topic, peer))
            if is_heard:
                self.note_control(peer, rpc.control or Control())
        self.source = peer
        self.check()
        self.source = None

    def hand_over(self, peer: bytes, rpc: Rpc) -> bool:
        """Whether more of it than the subscriptions is looked at."""
        self.router.receive_rpc(peer, rpc, now=self.now)
        return True

    def note_control(self, peer: bytes, control: Control) -> None:
        if self.protocols[peer] == FLOODSUB:
            return
        self.note_idontwant(peer, control.idontwant)
        for graft in control.graft:
            self.grafted.add((graft.topic, peer))
        for prune in control.prune:
            self.grafted.discard((prune.topic, peer))
            if prune.topic in self.router.topics():
                self.back_off(prune.topic, peer, min(prune.backoff or 60, 3600))

    def note_idontwant(self, peer: bytes, idontwants: Sequence[IDontWant]) -> None:
        if not idontwants:
            return
        self.refusing_rpcs[peer] = self.refusing_rpcs.get(peer, 0) + 1
        if self.refusing_rpcs[peer] > LAZY.max_idontwant_messages:
            return
        refused = self.refused.setdefault(peer, {})
        named = [message_id for entry in idontwants for message_id in entry.message_ids]
        for message_id in named[: LAZY.max_idontwant_length]:
            if message_id in refused or len(refused) < LIMITS.max_refusals:
                refused[message_id] = LAZY.idontwant_heartbeats

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def report(self, data: st.DataObject, verdict: Verdict) -> None:
        self.judge_message(data.draw(st.sampled_from(list(self.tickets))), verdict)

    def judge_message(self, ticket: int, verdict: Verdict) -> None:
        del self.tickets[ticket]
        self.used.append(ticket)
        self.router.validation_result(ticket, verdict, now=self.now)
        self.check()

    @precondition(lambda self: len(self.router.mesh("a")) > 1)
    @rule(turn=st.integers(0, 3), refuse=st.booleans(), data=st.sampled_from([b"", b"large"]))
    def pass_on(self, turn: int, refuse: bool, data: bytes) -> None:
        """A good message comes; a peer may say that it has it, and ask for it all the same."""
        mesh = self.router.mesh("a")
        source, other = mesh[turn % len(mesh)], mesh[turn % len(mesh) - 1]
        self.passed_on += 1
        seqno = bytes([1]) + self.passed_on.to_bytes(7, "big")
        message = Message("a", data, b"author", seqno, b"signature")
        ids = (self.id_of(message),)
        self.receive(source, Rpc(publish=(message,)))
        if refuse:
            self.receive(other, Rpc(control=Control(idontwant=(IDontWant(ids),))))
        for ticket in [t for t, v in self.tickets.items() if v.message_id == ids[0]]:
            self.judge_message(ticket, Verdict.ACCEPT)
        self.receive(other, Rpc(control=Control(iwant=(IWant(ids),))))

    @precondition(lambda self: self.used)
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def report_again(self, data: st.DataObject, verdict: Verdict) -> None:
        ticket = data.draw(st.sampled_from(self.used))
        assert not self.router.validation_result(ticket, verdict, now=self.now)
        assert self.router.effects() == []

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        effect = data.draw(st.sampled_from(self.sent[-20:]))
        self.router.rpc_dropped(effect.peer, effect.rpc, now=self.now)
        assert self.router.effects() == []
        control = effect.rpc.control
        if effect.peer in self.protocols and control is not None:
            for prune in control.prune:
                if effect.peer not in self.router.mesh(prune.topic):
                    self.back_off(prune.topic, effect.peer, prune.backoff or 60)
                self.owed.add((prune.topic, effect.peer))

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.handle_timer()
        assert self.router.next_deadline() > self.now

    @rule(ticks=st.integers(1, 70))
    def serve_timers(self, ticks: int) -> None:
        for _ in range(ticks):
            self.now = self.router.next_deadline()
            self.handle_timer()

    def handle_timer(self) -> None:
        self.router.handle_timer(now=self.now)
        if self.heartbeats.is_due(self.now):
            self.refusing_rpcs.clear()
            for peer, refused in self.refused.items():
                left = {message_id: count - 1 for message_id, count in refused.items()}
                self.refused[peer] = {key: count for key, count in left.items() if count}
        self.check()

    # What must hold

    def back_off(self, topic: str, peer: bytes, seconds: float) -> None:
        key = (topic, peer)
        self.backoffs[key] = max(self.backoffs.get(key, 0.0), self.now + seconds)

    def forget_grafts(self, peer: bytes) -> None:
        self.grafted = {entry for entry in self.grafted if entry[1] != peer}
        self.sent = [effect for effect in self.sent if effect.peer != peer]  # the queue was emptied

    def forget_refusals(self, peer: bytes) -> None:
        self.refused.pop(peer, None)
        self.refusing_rpcs.pop(peer, None)

    def check(self) -> None:
        effects = self.router.effects()
        # A timer may send a GRAFT that was owed, and then prune the peer in its heartbeat.
        self.prunes_to_come = {
            (prune.topic, effect.peer)
            for effect in effects
            if isinstance(effect, SendRpc) and effect.rpc.control is not None
            for prune in effect.rpc.control.prune
        }
        for effect in effects:
            self.check_effect(effect)

    def check_effect(self, effect: Effect) -> None:
        match effect:
            case SendRpc(peer=peer, rpc=rpc):
                assert peer in self.protocols
                self.sent.append(effect)
                for message in rpc.publish:
                    assert self.id_of(message) not in self.refused.get(peer, ())
                if rpc.control is not None:
                    self.check_control(peer, rpc.control)
            case Validate(ticket=ticket, message=message):
                assert message.topic in self.router.topics()
                self.tickets[ticket] = effect
            case Deliver(message=message, message_id=message_id):
                assert message.topic in self.router.topics()
                assert message_id not in self.delivered
                self.delivered.add(message_id)
            case TopicPeer(topic=topic, peer=peer, joined=joined):
                # Each event is a change: nobody joins or leaves twice in a row.
                assert ((topic, peer) in self.subscribed) is not joined
                (self.subscribed.add if joined else self.subscribed.remove)((topic, peer))
            case Connect(peer=peer, told_by=None):
                assert peer in self.direct - set(self.protocols)
            case Connect(peer=peer, signed_peer_record=record, told_by=source):
                assert peer not in {*self.protocols, ME, b""}
                assert record in (None, b"record")
                assert source == self.source
                assert source in self.protocols

    @staticmethod
    def id_of(message: Message) -> bytes:
        assert message.from_peer
        assert message.seqno
        return message.from_peer + message.seqno

    def check_control(self, peer: bytes, control: Control) -> None:
        assert self.protocols[peer] != FLOODSUB
        if control.idontwant:
            # At once: nothing but the input that is just handled changed the meshes.
            assert self.protocols[peer] in ("/meshsub/1.3.0", "/meshsub/1.2.0")
            assert peer != self.source
        grafts = [graft.topic for graft in control.graft]
        prunes = [prune.topic for prune in control.prune]
        assert len({*grafts, *prunes}) == len(grafts) + len(prunes)
        assert not (peer in self.direct and (grafts or control.ihave))
        for topic in grafts:
            assert peer in self.router.mesh(topic) or (topic, peer) in self.prunes_to_come
            assert self.now >= self.backoffs.get((topic, peer), 0.0)
        for prune in control.prune:
            assert peer not in self.router.mesh(prune.topic)
            self.prunes_to_come.discard((prune.topic, peer))
            self.check_offer(peer, prune)
            assert (prune.backoff is None) is (self.protocols[peer] == "/meshsub/1.0.0")
            if (prune.topic, peer) in self.owed:
                self.owed.remove((prune.topic, peer))  # counted from when it was dropped
            else:
                self.back_off(prune.topic, peer, prune.backoff or 10)

    def check_offer(self, peer: bytes, prune: Prune) -> None:
        if not prune.peers:
            return
        assert self.protocols[peer] != "/meshsub/1.0.0"
        named = [info.peer_id for info in prune.peers]
        assert len(set(named)) == len(named) <= 2
        assert peer not in named
        assert {info.signed_peer_record for info in prune.peers} <= {None, b"record"}

    @invariant()
    def mesh_peers_are_connected_and_want_it(self) -> None:
        for topic, mesh in self.router.snapshot().mesh.items():
            assert not self.direct & set(mesh)
            for peer in mesh:
                assert self.protocols[peer] != FLOODSUB
                assert (topic, peer) in self.subscribed | self.grafted

    @invariant()
    def fanout_and_topic_table_name_connected_peers(self) -> None:
        for topic, fanout in self.router.snapshot().fanout.items():
            assert topic not in self.router.topics()
            assert not self.direct & set(fanout)
            assert {(topic, peer) for peer in fanout} <= self.subscribed
        assert {peer for _, peer in self.subscribed} <= set(self.protocols)
        for topic in TOPICS:
            known = {(topic, peer) for peer in self.router.topic_peers(topic)}
            assert known == {entry for entry in self.subscribed if entry[0] == topic}

    @invariant()
    def tables_are_bounded(self) -> None:
        snapshot = self.router.snapshot()
        assert list(snapshot.peers) == list(self.protocols)
        assert snapshot.known_topics <= len(TOPICS)
        for name, limit in snapshot.limits.items():
            assert getattr(snapshot, name) <= limit, name
        assert snapshot.wanted <= 2
        assert snapshot.pending <= len(self.tickets)
        refused = {message_id for ids in self.refused.values() for message_id in ids}
        assert snapshot.refusals == len(refused)
        assert snapshot.announcements_owed <= len(self.protocols)
        assert snapshot.control_owed <= len(self.protocols)
        for peer in self.protocols:
            count = sum(peer in self.router.topic_peers(topic) for topic in TOPICS)
            assert count <= LIMITS.max_topics_per_peer

    def teardown(self) -> None:
        for peer in list(self.protocols):
            self.disconnect(peer)
        snapshot = self.router.snapshot()
        assert not any(snapshot.mesh.values())
        assert not any(snapshot.fanout.values())
        assert (snapshot.peers, snapshot.known_topics) == ({}, 0)
        assert (snapshot.announcements_owed, snapshot.control_owed) == (0, 0)
        assert snapshot.refusals == 0


class GatedMachine(RouterMachine):
    """The same with a gater, a filter of peers, and topics with parameters that change."""

    def more_params(self) -> dict[str, Any]:
        return {
            "gater": PeerGaterParams(threshold=0.1),
            "peer_filter": lambda peer, topic: (peer, topic) != (PEERS[1], TOPICS[0]),
            "topics": {TOPICS[0]: SHORT_LIVED},
            "seen_strategy": SeenStrategy.LAST_SEEN,
            "disconnect_graylisted": True,
        }

    @rule(topic=topics, params=st.sampled_from([SHORT_LIVED, TopicParams()]))
    def change_topic(self, topic: str, params: TopicParams) -> None:
        self.router.set_topic_params(topic, params, now=self.now)
        self.check()

    @rule(topic=topics, local_only=st.booleans(), cache=st.booleans())
    def publish_with_options(self, topic: str, local_only: bool, cache: bool) -> None:
        self.published += 1
        seqno = self.published.to_bytes(8, "big")
        message = Message(topic, b"mine", ME, seqno, b"signature")
        receipt = self.router.publish(message, local_only=local_only, cache=cache, now=self.now)
        assert not (local_only and receipt.peers)
        self.check()

    @invariant()
    def filtered_peers_are_in_no_mesh(self) -> None:
        assert PEERS[1] not in self.router.mesh(TOPICS[0])
        assert self.router.snapshot().gater_sources <= len(PEERS)


class ScoringMachine(RouterMachine):
    """The same with scores of which every part can be reached, and an application that fails."""

    def __init__(self) -> None:
        self.app: dict[bytes, float | None] = {}
        super().__init__()

    def score_params(self) -> PeerScoreParams:
        topic = TopicScoreParams(
            time_in_mesh_weight=1.0,
            time_in_mesh_cap=30.0,
            first_message_deliveries_weight=5.0,
            first_message_deliveries_cap=10.0,
            mesh_message_deliveries_weight=-1.0,
            mesh_message_deliveries_threshold=3.0,
            mesh_message_deliveries_window=20.0,
            mesh_failure_penalty_weight=-1.0,
            invalid_message_deliveries_weight=-10.0,
        )
        return PeerScoreParams(
            topics={"a": topic, "b": TopicScoreParams(mesh_message_deliveries_weight=-1e50)},
            other_topics=topic,
            topic_score_cap=40.0,
            app_specific_score=self.app_score,
            app_specific_weight=1.0,
            ip_colocation_factor_weight=-1.0,
            ip_colocation_factor_threshold=2,
            behaviour_penalty_weight=-5.0,
            behaviour_penalty_decay=0.5,
            retain_score=20.0,
        )

    def app_score(self, peer: bytes) -> float:
        return self.app.get(peer, 0.0)  # type: ignore[return-value]

    def hand_over(self, peer: bytes, rpc: Rpc) -> bool:
        # Apart, so that it is known by which score the rest is judged.
        self.router.receive_rpc(peer, Rpc(rpc.subscriptions), now=self.now)
        self.check()
        is_heard = peer in self.direct or self.router.score(peer) >= THRESHOLDS.graylist
        self.router.receive_rpc(peer, Rpc((), rpc.publish, rpc.control), now=self.now)
        return is_heard

    @rule(
        peer=peers,
        score=st.one_of(
            st.floats(-30, 30), st.sampled_from([None, math.nan, math.inf, 1e300, -1e300])
        ),
    )
    def judge(self, peer: bytes, score: float | None) -> None:
        self.app[peer] = score

    @rule(topic=topics, weight=st.floats(-10, 0))
    def change_parameters(self, topic: str, weight: float) -> None:
        params = TopicScoreParams(time_in_mesh_weight=0.1, mesh_message_deliveries_weight=weight)
        self.router.set_topic_score_params(topic, params, now=self.now)

    @rule(peer=peers, ip=addresses, other=addresses)
    def change_addresses(self, peer: bytes, ip: str | None, other: str | None) -> None:
        self.router.set_peer_addresses(peer, [known for known in (ip, other) if known])

    @invariant()
    def scores_are_numbers_and_agree_with_their_counters(self) -> None:
        for peer in PEERS:
            score = self.router.score(peer)
            assert math.isfinite(score)
            snapshot = self.router.score_snapshot(peer)
            assert score == (0.0 if snapshot is None else snapshot.score)
            for topic, entry in ({} if snapshot is None else snapshot.topics).items():
                assert entry.in_mesh is (peer in self.router.mesh(topic))

    @invariant()
    def mesh_peers_have_counters(self) -> None:
        for topic in self.router.topics():
            for peer in self.router.mesh(topic):
                snapshot = self.router.score_snapshot(peer)
                assert snapshot is not None
                assert snapshot.topics[topic].in_mesh

    @invariant()
    def what_scores_are_made_of_is_bounded(self) -> None:
        snapshot = self.router.snapshot()
        assert snapshot.scored_peers == len(self.protocols) + snapshot.retained_scores

    def teardown(self) -> None:
        super().teardown()
        self.now += 200_000.0
        self.router.handle_timer(now=self.now)
        snapshot = self.router.snapshot()
        assert (snapshot.scored_peers, snapshot.delivery_records) == (0, 0)
        if not snapshot.pending:
            assert snapshot.promises == 0


RouterMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
ScoringMachine.TestCase.settings = RouterMachine.TestCase.settings
GatedMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestRouterMachine = RouterMachine.TestCase
TestScoringMachine = ScoringMachine.TestCase
TestGatedMachine = GatedMachine.TestCase
