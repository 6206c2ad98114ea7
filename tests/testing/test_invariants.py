"""What holds for every router at the end of each heartbeat, whatever nodes and topics come and go.

Some nodes' messages are rejected by all others, so that scores fall below zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipsub.router.router import Router
from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.testing import (
    FLOODSUB,
    GossipParams,
    Link,
    MeshParams,
    Network,
    Node,
    Observer,
    Validate,
    Verdict,
    churn,
    connect_random,
)
from gossipsub.testing.scenarios import Setup, load
from gossipsub.wire.rpc import Prune, Rpc

TOPIC = "simulation"
OPPORTUNISTIC_PEERS = 2
MESH = MeshParams(
    d=4,
    d_low=3,
    d_high=6,
    d_out=1,
    d_score=2,
    opportunistic_graft_ticks=3,
    opportunistic_graft_peers=OPPORTUNISTIC_PEERS,
)
SCORE = PeerScoreParams(
    topics={
        TOPIC: TopicScoreParams(
            time_in_mesh_weight=0.01,
            time_in_mesh_cap=100.0,
            invalid_message_deliveries_weight=-5.0,
            invalid_message_deliveries_decay=0.9,
        )
    },
    behaviour_penalty_weight=-10.0,
    behaviour_penalty_decay=0.9,
)
PARAMS = GossipParams(mesh=MESH, score=SCORE)
DIRECT_PAIRS = ((3, 9), (4, 10), (5, 22))
"""Nodes that are direct peers of each other, one of them a floodsub node; the first pair from the
start, the others when meshes have formed."""
BAD_NODES = 3
"""The first of them publish what the others reject."""
HUB = 10


class Invariants(Observer):
    """Collects what went wrong; and counts, so that a check which never applied is noticed."""

    def __init__(self, by_id: dict[bytes, Node]) -> None:
        self.by_id = by_id
        self.heartbeats = 0
        self.grafts = 0
        self.prunes = 0
        self.low_scores = 0
        self.direct_peers = 0
        self.wrong: list[str] = []
        self._backoffs: dict[tuple[Router, str, bytes], float] = {}

    def timer_handled(self, now: float, node: Node) -> None:
        since_first = now - node.started - node.params.heartbeat_initial_delay
        if not -1e-9 < since_first - round(since_first) < 0.001 - 1e-9:
            return  # another timer: heartbeats are served at the tick at or behind their time
        self.heartbeats += 1
        router = node.router
        connected = router.peers()
        self.low_scores += sum(router.score(peer) < 0.0 for peer in connected)
        direct = router.direct_peers()
        self.direct_peers += len(set(direct) & set(connected))
        for topic in router.topics():
            mesh = router.mesh(topic)
            if len(mesh) > MESH.d_high + MESH.d_out + OPPORTUNISTIC_PEERS:
                self.wrong.append(f"{now} {node} has {len(mesh)} mesh peers")
            if not set(mesh).isdisjoint(direct):
                self.wrong.append(f"{now} {node} has a direct peer in its mesh")
            for peer in mesh:
                for fault in self._faults(router, peer, connected):
                    self.wrong.append(f"{now} {node} has a mesh peer that {fault}")

    def _faults(self, router: Router, peer: bytes, connected: list[bytes]) -> Iterator[str]:
        """What must not be true of a mesh peer."""
        if peer not in connected:
            yield "is not connected"
        if router.score(peer) < 0.0:
            yield "has a score below 0"
        if self.by_id[peer].protocols == (FLOODSUB,):
            yield "speaks floodsub only"

    def sent(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        if rpc.control is None:
            return
        for graft in rpc.control.graft:
            self.grafts += 1
            expiry = self._backoffs.get((sender.router, graft.topic, receiver.id), 0.0)
            if now < expiry:
                self.wrong.append(f"{now} {sender} grafts {receiver} in backoff until {expiry}")
        for prune in rpc.control.prune:
            self.prunes += 1
            self._back_off(now, sender, receiver, prune)

    def arrived(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        if rpc.control is not None:
            for prune in rpc.control.prune:
                # A late PRUNE of a topic that both have left is ignored: the router remembers
                # nothing about topics that only exist in what a peer says.
                router = receiver.router
                if prune.topic in (*router.topics(), *router.topics_of(sender.id)):
                    self._back_off(now, receiver, sender, prune)

    def _back_off(self, now: float, node: Node, other: Node, prune: Prune) -> None:
        key = (node.router, prune.topic, other.id)
        expiry = now + (prune.backoff or 0)
        self._backoffs[key] = max(expiry, self._backoffs.get(key, 0.0))


def reject_the_bad(node: Node, effect: Validate) -> Verdict:
    bad = int.from_bytes((effect.message.data or b"")[:8], "big") < BAD_NODES
    return Verdict.REJECT if bad and node.index >= BAD_NODES else Verdict.ACCEPT


def simulate(seed: int, *, loss: float, restarts: float) -> Invariants:
    invariants = Invariants({})
    network = Network(
        seed=seed, params=PARAMS, link=Link(jitter=0.02, loss=loss), observer=invariants
    )
    invariants.by_id = network.by_id
    for index in range(24):
        protocols = (FLOODSUB,) if index >= 22 else None
        network.add_node(protocols=protocols, verdict=reject_the_bad)
    connect_random(network, network.nodes, links=8)
    # One dials all the others: whoever grafts it is let in, however full its mesh is.
    hub = network.nodes[HUB]
    for other in network.nodes:
        if other is not hub and other not in hub.links:
            network.connect(hub, other)
    for node in network.nodes:
        network.subscribe(node, TOPIC)
        for _ in range(network.rng.randrange(3)):  # leave for a while, now and then
            time = network.rng.uniform(1.0, 25.0)
            network.at(time, partial(network.unsubscribe, node, TOPIC))
            pause = network.rng.uniform(0.1, 14.0)
            network.at(time + pause, partial(network.subscribe, node, TOPIC))
    for number, pair in enumerate(DIRECT_PAIRS):
        for one, other in (pair, reversed(pair)):
            peer = partial(network.add_direct_peer, network.nodes[one], network.nodes[other])
            network.at(10.0 * number, peer)
    churn(network, network.nodes, fraction=restarts, start=2.0, end=20.0, downtime=1.0)
    load(network, Setup(messages=60, rate=3.0, size=64), network.nodes)
    network.run_for(40.0)
    return invariants


@pytest.mark.rule("SIM-03")
@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 1000),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    restarts=st.sampled_from([0.0, 0.3, 0.8]),
)
def test_meshes_are_in_order_after_each_heartbeat(seed: int, loss: float, restarts: float) -> None:
    invariants = simulate(seed, loss=loss, restarts=restarts)
    assert invariants.wrong == []
    assert invariants.heartbeats > 24 * 35
    assert min(invariants.grafts, invariants.prunes, invariants.low_scores) > 10
    assert invariants.direct_peers > 10
