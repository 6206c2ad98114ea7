"""Whatever peers send of extensions and parts, in whatever order, the router keeps its promises."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gossipsub.router.effects import (
    Effect,
    PartialGossip,
    PartialReceived,
    SendRpc,
    TopicPeer,
    Validate,
    Verdict,
)
from gossipsub.router.extension.params import ExtensionParams, PartialMode
from gossipsub.router.params import GossipParams, LazyParams, MeshParams, RouterLimits, TopicParams
from gossipsub.router.router import Router
from gossipsub.router.score.params import PeerScoreParams
from gossipsub.wire.rpc import (
    Control,
    Extensions,
    Message,
    PartialMessagesExtension,
    Rpc,
    SubOpts,
)

ME = b"me"
V13, V12, FLOODSUB = "/meshsub/1.3.0", "/meshsub/1.2.0", "/floodsub/1.0.0"
PEERS = [b"peer %d" % number for number in range(5)]
TOPICS = {"requested": PartialMode.REQUEST, "supported": PartialMode.SUPPORT, "plain": None}
GROUPS = [b"group %d" % number for number in range(9)]
LIMITS = RouterLimits(
    max_topics_per_peer=2,
    max_partial_groups_per_topic=4,
    max_partial_groups_per_peer=2,
    max_group_id_bytes=8,
    max_parts_metadata_bytes=4,
)

peers = st.sampled_from(PEERS)
topics = st.sampled_from(list(TOPICS))
protocols = st.sampled_from([V13, V13, V12, FLOODSUB])
groups = st.sampled_from(GROUPS)
flags = st.sampled_from([(True, True), (True, False), (False, True), (False, False)])
extensions = st.one_of(
    st.none(),
    st.just(Extensions(partial_messages=True)),
    st.builds(Extensions, st.booleans(), st.booleans()),
)
partials = st.builds(
    PartialMessagesExtension,
    st.one_of(topics, st.sampled_from(["unknown", None])),
    st.one_of(groups, st.sampled_from([b"", b"too long!", None])),
    st.sampled_from([b"parts", b"", None]),
    st.sampled_from([b"m", b"", b"large", None]),
)
rpcs = st.builds(
    Rpc,
    st.lists(
        st.builds(lambda t, s, f: SubOpts(t, s, *f), topics, st.booleans(), flags), max_size=2
    ),
    control=st.one_of(st.none(), st.builds(Control, extensions=extensions)),
    partial=st.one_of(st.none(), partials),
    test_extension=st.booleans(),
)


class PartialMachine(RuleBasedStateMachine):
    """Drives a router at random, and knows what it must not do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        params = GossipParams(
            mesh=MeshParams(d=2, d_low=1, d_high=3, d_score=1, d_out=0),
            lazy=LazyParams(idontwant_threshold=1),
            limits=LIMITS,
            extensions=ExtensionParams(partial_messages=True, test_extension=True),
            topics={t: TopicParams(partial_messages=mode) for t, mode in TOPICS.items()},
            score=PeerScoreParams(behaviour_penalty_weight=-1.0),
        )
        self.router = Router(params, me=ME, rng=Random(1), now=self.now)
        self.protocols: dict[bytes, str] = {}
        self.greeted: set[bytes] = set()
        self.announced: dict[bytes, Extensions | None] = {}
        self.flags: dict[tuple[str, bytes], tuple[bool, bool]] = {}
        self.subscribed: set[tuple[str, bytes]] = set()
        self.published: set[tuple[str, bytes]] = set()
        self.sender: tuple[bytes, PartialMessagesExtension] | None = None
        self.count = 0

    # Inputs

    @initialize(count=st.integers(0, 4))
    def settle(self, count: int) -> None:
        for topic in TOPICS:
            self.subscribe(topic)
        for peer in PEERS[:count]:
            self.connect(peer, V13)
            options = tuple(SubOpts(topic, True, True, True) for topic in ("requested", "plain"))
            control = Control(extensions=Extensions(partial_messages=True))
            self.receive(peer, Rpc(options, control=control))

    @rule(peer=peers, protocol=protocols)
    def connect(self, peer: bytes, protocol: str) -> None:
        if peer not in self.protocols:
            self.protocols[peer] = protocol
            self.router.peer_connected(
                peer, protocol=protocol, outbound=False, ip=None, now=self.now
            )
            self.check()

    @rule(peer=peers)
    def disconnect(self, peer: bytes) -> None:
        self.protocols.pop(peer, None)
        self.greeted.discard(peer)
        self.forget_stream(peer)
        self.router.peer_disconnected(peer, now=self.now)
        self.check()

    @rule(peer=peers)
    def lose_inbound_stream(self, peer: bytes) -> None:
        self.forget_stream(peer)
        self.router.inbound_stream_closed(peer, now=self.now)
        self.check()

    @rule(peer=peers, protocol=protocols)
    def reopen_outbound_stream(self, peer: bytes, protocol: str) -> None:
        if peer in self.protocols:
            self.protocols[peer] = protocol
            self.greeted.discard(peer)
        self.router.outbound_stream_reopened(peer, protocol=protocol, now=self.now)
        self.check()

    @rule(topic=topics)
    def subscribe(self, topic: str) -> None:
        self.router.subscribe(topic, now=self.now)
        self.check()

    @rule(topic=topics)
    def unsubscribe(self, topic: str) -> None:
        self.router.unsubscribe(topic, now=self.now)
        self.check()

    @rule(peer=peers, rpc=rpcs)
    def receive(self, peer: bytes, rpc: Rpc) -> None:
        if peer in self.protocols:
            control = rpc.control or Control()
            self.announced.setdefault(peer, control.extensions)
            for option in rpc.subscriptions:
                asked = (option.requests_partial, option.supports_sending_partial)
                self.flags[option.topic, peer] = asked
            if rpc.partial is not None:
                self.sender = (peer, rpc.partial)
        self.router.receive_rpc(peer, rpc, now=self.now)
        self.check()
        self.sender = None

    @rule(peer=peers, topic=topics)
    def pass_on(self, peer: bytes, topic: str) -> None:
        """A good message comes, and is not asked for by anybody."""
        self.count += 1
        message = Message(topic, b"data", b"author", self.count.to_bytes(8), b"signature")
        self.router.receive_rpc(peer, Rpc(publish=(message,)), now=self.now)
        for effect in self.check():
            if isinstance(effect, Validate):
                self.router.validation_result(effect.ticket, Verdict.ACCEPT, now=self.now)
        self.check()

    @rule(topic=topics)
    def publish(self, topic: str) -> None:
        self.count += 1
        message = Message(topic, b"data", ME, self.count.to_bytes(8), b"signature")
        self.router.publish(message, now=self.now)
        self.check()

    @rule(topic=st.sampled_from(["requested", "supported"]), group=groups)
    def publish_partial(self, topic: str, group: bytes) -> None:
        self.published.add((topic, group))
        targets = self.router.publish_partial(topic, group, now=self.now)
        assert len({target.peer for target in targets}) == len(targets)
        for target in targets:
            assert target.requests is self.requests(target.peer, topic)
            self.router.send_partial(target.peer, topic, group, message=b"p", metadata=b"m")
        self.check()

    @rule(peer=peers, topic=st.sampled_from(["requested", "supported"]), group=groups)
    def send_partial(self, peer: bytes, topic: str, group: bytes) -> None:
        is_sent = self.router.send_partial(peer, topic, group, message=b"p")
        assert not is_sent or self.requests(peer, topic)
        self.check()

    @rule(heartbeats=st.integers(1, 7))
    def wait(self, heartbeats: int) -> None:
        for _ in range(heartbeats):
            self.now += 1.0
            self.router.handle_timer(now=self.now)
            self.check()

    # What must hold

    def forget_stream(self, peer: bytes) -> None:
        self.announced.pop(peer, None)
        self.flags = {key: value for key, value in self.flags.items() if key[1] != peer}

    def takes_part(self, peer: bytes) -> bool:
        theirs = self.announced.get(peer)
        return theirs is not None and theirs.partial_messages and self.protocols[peer] == V13

    def requests(self, peer: bytes, topic: str) -> bool:
        return (
            (topic, peer) in self.subscribed
            and self.flags[topic, peer][0]
            and self.takes_part(peer)
        )

    def check(self) -> list[Effect]:
        effects = self.router.effects()
        for effect in effects:
            match effect:
                case SendRpc(peer=peer, rpc=rpc):
                    self.check_rpc(peer, rpc)
                case TopicPeer(topic=topic, peer=peer, joined=joined):
                    (self.subscribed.add if joined else self.subscribed.remove)((topic, peer))
                case PartialReceived():
                    self.check_received(effect)
                case PartialGossip(topic=topic, group_id=group, peers=told):
                    assert (topic, group) in self.published
                    assert told
                    assert all(self.takes_part(peer) for peer in told)
        return effects

    def check_rpc(self, peer: bytes, rpc: Rpc) -> None:
        control = rpc.control or Control()
        is_first = peer not in self.greeted
        self.greeted.add(peer)
        assert (control.extensions is not None) is (is_first and self.protocols[peer] == V13)
        for option in rpc.subscriptions:
            mode = TOPICS[option.topic] if option.subscribe else None
            assert option.supports_sending_partial is (mode is not None)
            assert option.requests_partial is (mode is PartialMode.REQUEST)
        for message in rpc.publish:
            assert TOPICS[message.topic] is None or not self.requests(peer, message.topic)
        for ihave in control.ihave:
            assert ihave.message_ids
            assert TOPICS[ihave.topic] is None or not self.requests(peer, ihave.topic)
        if rpc.test_extension:
            theirs = self.announced[peer]
            assert theirs is not None
            assert theirs.test_extension
            assert self.protocols[peer] == V13
        if rpc.partial is not None:
            assert self.takes_part(peer)
            topic = rpc.partial.topic
            assert topic is not None
            assert rpc.partial.partial_message is None or self.requests(peer, topic)

    def check_received(self, effect: PartialReceived) -> None:
        assert self.sender is not None
        peer, sent = self.sender
        assert self.takes_part(peer)
        assert (effect.peer, effect.topic, effect.group_id) == (peer, sent.topic, sent.group_id)
        assert TOPICS[effect.topic] is not None
        assert effect.message in (None, sent.partial_message)
        assert effect.message is None or TOPICS[effect.topic] is PartialMode.REQUEST
        assert effect.metadata in (None, sent.parts_metadata)
        assert effect.message or effect.metadata
        assert len(effect.group_id) <= LIMITS.max_group_id_bytes
        assert len(effect.metadata or b"") <= LIMITS.max_parts_metadata_bytes

    @invariant()
    def groups_are_bounded(self) -> None:
        # Two topics, and in each what peers began and what was published here.
        begun = 2 * LIMITS.max_partial_groups_per_topic
        assert self.router.snapshot().partial_groups <= begun + len(self.published)

    def teardown(self) -> None:
        for topic in TOPICS:
            self.unsubscribe(topic)
        self.wait(6)
        assert self.router.snapshot().partial_groups == 0


TestPartialMachine = PartialMachine.TestCase
TestPartialMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
