"""Whatever happens to an honest network, it keeps the rules, and recovers.

A state machine adds, stops and restarts nodes, connects and disconnects them, changes links,
cuts the network apart and heals it, joins, leaves and publishes. A `WireWatch` checks every RPC.
At the end all is healed: then every message reaches everybody, and at last all tables are empty.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gossipsub.router.params import BackoffParams, RouterLimits
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from gossipsub.testing import (
    FLOODSUB,
    GOSSIPSUB_V10,
    GOSSIPSUB_V11,
    GossipParams,
    Link,
    MeshParams,
    Network,
    Node,
    Partition,
    connect_all,
    partition,
)
from gossipsub.testing.wire_watch import WireWatch, protocol_features

TOPICS = ("red", "blue")
MOST_NODES = 8
SPEAKS = (None, None, None, (GOSSIPSUB_V11, FLOODSUB), (GOSSIPSUB_V10, FLOODSUB), (FLOODSUB,))
"""Protocols of new nodes; None: all."""
GOOD = Link(latency=0.02)
LINKS = (GOOD, Link(latency=0.05, jitter=0.05), Link(latency=0.3, jitter=0.25))
LOSSY = (Link(latency=0.05, loss=0.1), Link(latency=0.1, jitter=0.1, loss=0.5))
SIZES = (16, 2000)
"""Below and above the IDONTWANT threshold."""
SEEN_TTL = 40.0
"""Longer than a message can creep from node to node by gossip alone."""

SCORED_TOPIC = TopicScoreParams(
    time_in_mesh_weight=0.01,
    time_in_mesh_cap=100.0,
    first_message_deliveries_weight=1.0,
    first_message_deliveries_decay=0.9,
    first_message_deliveries_cap=10.0,
    invalid_message_deliveries_weight=-10.0,
    invalid_message_deliveries_decay=0.9,
)
SCORE = PeerScoreParams(
    topics=dict.fromkeys(TOPICS, SCORED_TOPIC),
    behaviour_penalty_weight=-1.0,
    # Those who restarted do not know their backoffs; who is asked may stop before it answers.
    behaviour_penalty_threshold=6.0,
    behaviour_penalty_decay=0.9,
    retain_score=5.0,
)


def honest_params(*, scoring: bool, flood_publish: bool) -> GossipParams:
    return GossipParams(
        mesh=MeshParams(
            d=2,
            d_low=2,
            d_high=2,
            d_out=1,
            d_score=1,
            opportunistic_graft_ticks=4,
            opportunistic_graft_peers=1,
        ),
        backoff=BackoffParams(
            prune_backoff=4.0,
            unsubscribe_backoff=2.0,
            slack_heartbeats=1,
            graft_flood_threshold=1.0,
        ),
        score=SCORE if scoring else None,
        thresholds=PeerScoreThresholds(opportunistic_graft=3.0),
        limits=RouterLimits(max_promises=4, max_delivery_records=6),
        seen_ttl=SEEN_TTL,
        fanout_ttl=5.0,
        flood_publish=flood_publish,
    )


class HonestNetwork(RuleBasedStateMachine):
    """Up to eight nodes in up to two topics."""

    @initialize(
        seed=st.integers(0, 2**16),
        scoring=st.booleans(),
        flood_publish=st.booleans(),
        delay=st.sampled_from([0.0, 0.03]),
        dense=st.booleans(),
    )
    def start_small(
        self, seed: int, scoring: bool, flood_publish: bool, delay: float, dense: bool
    ) -> None:
        self.params = honest_params(scoring=scoring, flood_publish=flood_publish)
        self.watch = WireWatch(self.params)
        self.network = Network(seed=seed, params=self.params, link=GOOD, observer=self.watch)
        self.delay = delay
        self.cut: Partition | None = None
        self.published = 0
        for _ in range(MOST_NODES - 2 if dense else 4):
            self.add_node(None, [])
        if dense:  # most pairs are not in each other's mesh: there is gossip
            connect_all(self.network, self.network.nodes)
            return
        for one, other in pairwise([*self.network.nodes, self.network.nodes[0]]):
            self.network.connect(one, other)

    def node(self, index: int) -> Node:
        nodes = self.network.nodes
        return nodes[index % len(nodes)]

    # What happens

    @precondition(lambda self: len(self.network.nodes) < MOST_NODES)
    @rule(
        protocols=st.sampled_from(SPEAKS),
        neighbours=st.lists(st.integers(0, 7), min_size=1, max_size=3),
    )
    def add_node(self, protocols: tuple[str, ...] | None, neighbours: list[int]) -> None:
        """It joins the first topic, and dials."""
        self.network.add_node(protocols=protocols, validation_delay=self.delay)
        self.join(-1, TOPICS[0])
        for other in neighbours:
            self.connect(-1, other, GOOD)

    @rule(index=st.integers(0, 7))
    def stop(self, index: int) -> None:
        self.network.stop(self.node(index))

    @rule(index=st.integers(0, 7), downtime=st.sampled_from([0.0, 0.3, 3.0]))
    def restart(self, index: int, downtime: float) -> None:
        self.network.stop(self.node(index))
        self.network.run_for(downtime)
        self.network.start(self.node(index))

    @rule(one=st.integers(0, 7), other=st.integers(0, 7), link=st.sampled_from(LINKS))
    def connect(self, one: int, other: int, link: Link) -> None:
        dialler, listener = self.node(one), self.node(other)
        if dialler is not listener and listener not in dialler.links:
            self.network.connect(dialler, listener, link=link)

    @rule(index=st.integers(0, 7))
    def connect_to_all(self, index: int) -> None:
        for other in range(len(self.network.nodes)):
            self.connect(index, other, GOOD)

    @rule(one=st.integers(0, 7), other=st.integers(0, 7))
    def disconnect(self, one: int, other: int) -> None:
        self.network.disconnect(self.node(one), self.node(other))

    @rule(one=st.integers(0, 7), link=st.sampled_from((*LINKS, *LOSSY)))
    def change_links(self, one: int, link: Link) -> None:
        if link.loss:
            self.watch.expects_good_scores = False
        node = self.node(one)
        for other in list(node.links):
            self.network.change_link(node, other, link)

    @precondition(lambda self: self.cut is None)
    @rule(indices=st.sets(st.integers(0, 7), min_size=1, max_size=4))
    def cut_apart(self, indices: set[int]) -> None:
        self.cut = partition(self.network, [self.node(index) for index in sorted(indices)])

    @precondition(lambda self: self.cut is not None)
    @rule()
    def heal(self) -> None:
        assert self.cut is not None
        self.cut.heal()
        self.cut = None

    @rule(index=st.integers(0, 7), topic=st.sampled_from(TOPICS))
    def join(self, index: int, topic: str) -> None:
        self.network.subscribe(self.node(index), topic)

    @rule(index=st.integers(0, 7), topic=st.sampled_from(TOPICS))
    def leave(self, index: int, topic: str) -> None:
        self.watch.left(self.node(index), topic)
        self.network.unsubscribe(self.node(index), topic)

    @rule(
        index=st.integers(0, 7),
        topic=st.sampled_from(TOPICS),
        size=st.sampled_from(SIZES),
        times=st.integers(1, 5),
    )
    def publish(self, index: int, topic: str, size: int, times: int) -> None:
        for _ in range(times):
            self.published += self.network.publish(self.node(index), topic, size) is not None

    @rule(seconds=st.sampled_from([0.01, 0.1, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.network.run_for(seconds)

    # What is always true

    @invariant()
    def nobody_did_anything_wrong(self) -> None:
        assert self.watch.wrong == []

    @invariant()
    def no_table_holds_more_than_there_is(self) -> None:
        nodes = self.network.nodes
        for node in nodes:
            if not node.is_running:
                continue
            tables = node.router.snapshot()
            limits = self.params.limits
            assert len(tables.peers) == len(node.pipes)
            assert tables.known_topics <= len(TOPICS)
            assert len(tables.mesh) == len(node.topics)
            assert max(tables.seen, tables.cached, tables.refusals) <= self.published
            assert tables.pending <= self.published
            assert tables.backoffs <= len(nodes) * len(TOPICS)
            assert tables.scored_peers <= len(nodes)
            assert tables.delivery_records <= 2 * limits.max_delivery_records
            assert tables.promises <= limits.max_promises
            assert max(tables.announcements_owed, tables.control_owed) <= len(tables.peers)

    # The end

    def teardown(self) -> None:
        if hasattr(self, "network") and not self.watch.wrong:
            self.repair()
            self.network.run_for(20.0)
            self.check_meshes()
            self.check_delivery()
            self.check_that_all_is_forgotten()
            self.nobody_did_anything_wrong()
            self.no_table_holds_more_than_there_is()

    def repair(self) -> None:
        """All nodes run, all links are good, and the subscribers of each topic form a ring."""
        network = self.network
        if self.cut is not None:
            self.cut.heal()
        for node in network.nodes:
            network.start(node)
            for other in list(node.links):
                network.change_link(node, other, GOOD)
        for topic in TOPICS:
            subscribers = [node for node in network.nodes if topic in node.topics]
            for one, other in pairwise([*subscribers, *subscribers[:1]]):
                self.connect(one.index, other.index, GOOD)

    def check_meshes(self) -> None:
        """Nobody is short of mesh peers who could have more, and both ends agree."""
        one_sided = self.one_sided()
        self.network.run_for(3.0)
        assert one_sided & self.one_sided() == set()
        mesh = self.params.mesh
        slack = (self.params.backoff.slack_heartbeats + 1) * self.params.heartbeat_interval
        for node in self.network.nodes:
            for topic in node.topics:
                members = node.router.mesh(topic)
                if len(members) < mesh.d_low:
                    for other in node.links:
                        key = (node.router, topic, other.id)
                        expiry = self.watch.backoffs.get(key, -slack) + slack
                        is_candidate = topic in other.topics and other.id not in members
                        # Who is full refuses; whom to try next is random, one a heartbeat.
                        has_room = len(other.router.mesh(topic)) < mesh.d_high
                        expiry += len(node.links) * self.params.heartbeat_interval
                        if is_candidate and has_room and protocol_features(node, other).mesh:
                            assert self.network.now <= expiry + 0.01

    def one_sided(self) -> set[tuple[int, int, str]]:
        """Who has whom in the mesh, and is not in theirs."""
        by_id = self.network.by_id
        return {
            (node.index, by_id[peer].index, topic)
            for node in self.network.nodes
            for topic in node.topics
            for peer in node.router.mesh(topic)
            if node.id not in by_id[peer].router.mesh(topic)
        }

    def check_delivery(self) -> None:
        """A message of every node that knows somebody in the topic reaches all subscribers."""
        receipts = []
        for node in self.network.nodes:
            for topic in TOPICS:
                knows_one = any(topic in other.topics for other in node.links)
                if topic in node.topics or knows_one:
                    receipts.append(self.network.publish(node, topic, SIZES[node.index % 2]))
                    self.published += 1
                    self.network.run_for(0.1)
        self.network.run_for(6.0)
        for receipt in receipts:
            assert receipt is not None
            assert self.network.missed_by(receipt.message_id) == []

    def check_that_all_is_forgotten(self) -> None:
        for node in self.network.nodes:
            for topic in list(node.topics):
                self.leave(node.index, topic)
        self.network.run_for(SEEN_TTL + 10.0)
        for node in self.network.nodes:
            tables = node.router.snapshot()
            assert tables.mesh == tables.fanout == {}
            assert tables.known_topics == 0
            assert (tables.seen, tables.cached, tables.pending, tables.refusals) == (0, 0, 0, 0)
            assert (tables.backoffs, tables.promises, tables.delivery_records) == (0, 0, 0)
            assert (tables.announcements_owed, tables.control_owed) == (0, 0)
            if self.params.score is not None:
                assert tables.scored_peers == len(tables.peers)


TestHonestNetwork = HonestNetwork.TestCase
TestHonestNetwork.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
