"""The simulated network: what its nodes and links promise to whoever writes a test with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest

from gossipsub.router.message_id import content_id
from gossipsub.testing import (
    FLOODSUB,
    GOSSIPSUB_V11,
    GossipParams,
    Link,
    MeshParams,
    Network,
    Node,
    Observer,
    SendRpc,
    SignaturePolicy,
    Validate,
    Verdict,
    connect_line,
)
from gossipsub.wire.rpc import Message, Rpc

TOPIC = "t"


def line(count: int, *, link: Link | None = None, **options: object) -> Network:
    """Nodes in a row, all subscribed, after three seconds."""
    network = Network(link=link or Link(latency=0.05))
    connect_line(network, network.add_nodes(count, **options))
    for node in network.nodes:
        network.subscribe(node, TOPIC)
    network.run_for(3.0)
    return network


def delays(network: Network, publisher: int = 0, size: int = 100) -> dict[int, float]:
    """Publish, wait three seconds: milliseconds until each node had the message."""
    start = network.now
    receipt = network.publish(network.nodes[publisher], TOPIC, size)
    assert receipt is not None
    network.run_for(3.0)
    return {
        node.index: round((time - start) * 1000)
        for node, time in network.delivered_to(receipt.message_id).items()
    }


def test_a_message_takes_the_latency_of_each_link_on_its_way() -> None:
    assert delays(line(4)) == {0: 0, 1: 50, 2: 100, 3: 150}


def test_validation_takes_its_time_at_each_node_but_the_publisher() -> None:
    assert delays(line(4, validation_delay=0.01)) == {0: 0, 1: 60, 2: 120, 3: 180}


def test_the_validation_delay_may_depend_on_node_and_message() -> None:
    def delay(node: Node, effect: Validate) -> float:
        return node.index / 1000 if effect.message.topic == TOPIC else 1.0

    assert delays(line(4, validation_delay=delay)) == {0: 0, 1: 51, 2: 103, 3: 156}


def test_a_message_that_a_node_rejects_goes_no_further_than_that_node() -> None:
    def verdict(node: Node, effect: Validate) -> Verdict:
        return Verdict.REJECT if node.index == 2 else Verdict.ACCEPT

    network = line(4, verdict=verdict)
    assert delays(network) == {0: 0, 1: 50}
    assert network.report().missed == 2


def test_a_verdict_for_a_router_that_is_gone_is_forgotten() -> None:
    network = line(3, validation_delay=0.2)
    middle = network.nodes[1]
    network.after(0.1, partial(network.stop, middle))
    network.after(0.15, partial(network.start, middle))
    # It would have come after 250 ms. Nobody gossips to a peer that is in its mesh again.
    assert delays(network) == {0: 0}
    assert network.report().repeated == 0


def test_a_verdict_for_a_router_that_is_gone_does_not_reach_the_next() -> None:
    network = line(2, validation_delay=0.2)
    node = network.nodes[1]
    network.publish(network.nodes[0], TOPIC)  # its verdict would come after 250 ms
    network.run_for(0.1)
    network.stop(node)
    network.start(node)
    network.run_for(0.08)
    assert delays(network) == {0: 0, 1: 250}


def test_what_a_node_withholds_does_not_arrive() -> None:
    def without_messages(effect: SendRpc) -> Rpc | None:
        return None if effect.rpc.publish else effect.rpc

    network = line(3)
    network.nodes[1].outgoing = without_messages
    assert delays(network) == {0: 0, 1: 50}


def test_what_is_under_way_is_lost_when_the_connection_closes() -> None:
    network = line(2)
    first, second = network.nodes
    network.after(0.04, partial(network.disconnect, first, second))
    assert delays(network) == {0: 0}
    assert first.router.peers() == second.router.peers() == []


def test_what_was_under_way_does_not_arrive_through_a_new_connection() -> None:
    network = line(2)
    first, second = network.nodes
    network.after(0.03, partial(network.disconnect, first, second))
    network.after(0.04, partial(network.connect, first, second))
    assert delays(network) == {0: 0}


def test_a_closed_connection_can_be_opened_again() -> None:
    network = line(2)
    first, second = network.nodes
    network.disconnect(first, second)
    network.connect(second, first)
    network.run_for(1.0)
    assert delays(network) == {0: 0, 1: 50}


@pytest.mark.parametrize("downtime", [0.5, 2.0])
def test_a_node_comes_back_empty_with_its_subscriptions_and_neighbours(downtime: float) -> None:
    network = line(3)
    middle = network.nodes[1]
    delays(network)
    old = middle.router
    network.stop(middle)
    assert network.publish(middle, TOPIC) is None
    assert network.nodes[0].router.peers() == []
    network.run_for(downtime)
    network.start(middle)
    network.run_for(1.0)
    assert middle.router is not old
    assert middle.router.topics() == [TOPIC]
    assert middle.router.peers() == [network.nodes[0].id, network.nodes[2].id]


def test_a_connection_to_a_stopped_node_is_opened_at_its_start() -> None:
    network = Network()
    one, other = network.add_nodes(2)
    network.stop(other)
    network.connect(one, other)
    network.subscribe(other, TOPIC)
    assert one.router.peers() == []
    network.start(other)
    network.run_for(1.0)
    assert one.router.topic_peers(TOPIC) == [other.id]


def test_stopping_twice_and_starting_twice_changes_nothing() -> None:
    network = line(2)
    node = network.nodes[0]
    network.stop(node)
    network.stop(node)
    network.start(node)
    router = node.router
    network.start(node)
    assert node.router is router


def test_the_router_is_told_who_dialled() -> None:
    # A mesh that is full takes in those it dialled and refuses the others.
    params = GossipParams(mesh=MeshParams(d=2, d_low=2, d_high=2, d_out=1, d_score=1))
    network = Network(params=params)
    centre, *others = network.add_nodes(8)
    for index, node in enumerate(others):
        pair = (centre, node) if index == 6 else (node, centre)
        network.connect(*pair)
    for node in network.nodes:
        network.subscribe(node, TOPIC)
    network.run_for(5.0)
    assert others[6].id in centre.router.mesh(TOPIC)


def test_an_unsubscribed_node_gets_no_more_messages_and_misses_none() -> None:
    network = line(3)
    network.unsubscribe(network.nodes[2], TOPIC)
    network.run_for(1.0)
    network.restart_report()
    assert delays(network) == {0: 0, 1: 50}
    assert network.report().missed == 0


def test_data_may_be_given_and_arrives_as_it_is() -> None:
    got: list[tuple[int, bytes | None]] = []

    class Data(Observer):
        def delivered(self, now: float, node: Node, message: Message, message_id: bytes) -> None:
            got.append((node.index, message.data))

    network = Network(observer=Data())
    connect_line(network, network.add_nodes(2))
    for node in network.nodes:
        network.subscribe(node, TOPIC)
    network.run_for(2.0)
    network.publish(network.nodes[0], TOPIC, data=b"hello")
    network.run_for(2.0)
    assert got == [(0, b"hello"), (1, b"hello")]


def test_messages_without_origin_differ_by_their_data() -> None:
    params = GossipParams(signature_policy=SignaturePolicy.STRICT_NO_SIGN, message_id=content_id)
    network = Network(params=params)
    connect_line(network, network.add_nodes(2))
    for node in network.nodes:
        network.subscribe(node, TOPIC)
    network.run_for(2.0)
    for node in (*network.nodes, *network.nodes):
        network.publish(node, TOPIC, 16)
    network.run_for(2.0)
    report = network.report()
    assert (report.messages, report.deliveries, report.missed) == (4, 4, 0)


# Protocols


def test_the_best_protocol_both_offer_is_spoken() -> None:
    kinds: list[bool] = []

    class Control(Observer):
        def sent(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
            if rpc.control is not None:
                kinds.append(bool(rpc.control.idontwant))

    for protocols, expected in (((GOSSIPSUB_V11, FLOODSUB), False), (None, True)):
        kinds.clear()
        network = Network(observer=Control())
        network.add_node()
        network.add_node(protocols=protocols)
        network.add_node()
        connect_line(network, network.nodes)
        for node in network.nodes:
            network.subscribe(node, TOPIC)
        network.run_for(2.0)
        network.publish(network.nodes[0], TOPIC, 4096)
        network.run_for(0.5)
        assert any(kinds) is expected


def test_floodsub_nodes_get_no_control_messages() -> None:
    network = line(3, protocols=(FLOODSUB,))
    assert delays(network) == {0: 0, 1: 50, 2: 100}
    traffic = network.report().traffic
    assert {kind for kind, counted in traffic.items() if counted.count} == {
        "message",
        "subscription",
    }


def test_nodes_without_a_common_protocol_are_not_connected() -> None:
    network = Network()
    one = network.add_node(protocols=(FLOODSUB,))
    other = network.add_node(protocols=(GOSSIPSUB_V11,))
    with pytest.raises(ValueError, match=r"Node\(0\) and Node\(1\) have no protocol in common"):
        network.connect(one, other)
    assert one.links == {}


# Time


def test_actions_happen_in_the_order_of_time_and_then_of_entry() -> None:
    network = Network()
    done: list[tuple[str, float]] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: done.append((name, network.now))

    network.at(2.0, note("late"))
    network.at(1.0, note("first"))
    network.at(1.0, note("second"))
    network.after(1.0, lambda: network.after(0.0, note("third")))
    network.run_until(1.5)
    assert done == [("first", 1.0), ("second", 1.0), ("third", 1.0)]
    assert network.now == 1.5
    network.run_until(2.0)
    assert done[3:] == [("late", 2.0)]


def test_nothing_can_be_entered_for_the_past() -> None:
    network = Network()
    network.run_for(2.0)
    with pytest.raises(ValueError, match=r"^1\.0 is past: now is 2\.0$"):
        network.at(1.0, network.report)


def test_ticks_may_be_finer_than_milliseconds() -> None:
    network = Network(ticks_per_second=1_000_000, link=Link(latency=0.000_25))
    connect_line(network, network.add_nodes(3))
    for node in network.nodes:
        network.subscribe(node, TOPIC)
    network.run_for(2.0)
    receipt = network.publish(network.nodes[0], TOPIC, 10)
    assert receipt is not None
    start = network.now
    network.run_for(1.0)
    times = network.delivered_to(receipt.message_id).values()
    assert [round((time - start) * 1e6) for time in times] == [0, 250, 500]


def test_heartbeats_come_at_phases_of_their_own_unless_in_step() -> None:
    beats: dict[int, list[float]] = {}

    class Heartbeats(Observer):
        def timer_handled(self, now: float, node: Node) -> None:
            beats.setdefault(node.index, []).append(now)

    for in_step in (True, False):
        beats.clear()
        network = Network(observer=Heartbeats(), in_step=in_step)
        network.add_nodes(5)
        network.run_for(3.0)
        first = {times[0] for times in beats.values()}
        assert (first == {0.1}) is in_step
        for times in beats.values():
            assert [round(b - a, 2) for a, b in pairwise(times)] in (
                [1.0],
                [1.0, 1.0],
            )


# Mistakes


def test_a_connection_is_made_once_and_between_two_nodes() -> None:
    network = line(2)
    one, other = network.nodes
    for pair in ((one, other), (other, one), (one, one)):
        with pytest.raises(ValueError, match="cannot connect"):
            network.connect(*pair)


def test_an_unknown_message_was_delivered_to_nobody() -> None:
    assert Network().delivered_to(b"unknown") == {}


def test_those_who_missed_a_message_are_named() -> None:
    network = line(3)
    network.disconnect(network.nodes[1], network.nodes[2])
    receipt = network.publish(network.nodes[0], TOPIC)
    assert receipt is not None
    network.run_for(10.0)
    assert network.missed_by(receipt.message_id) == [network.nodes[2]]


# Peers the routers dial themselves


def test_direct_peers_connect_and_pass_messages_on_outside_of_the_mesh() -> None:
    network = Network(link=Link(latency=0.05))
    first, second = network.add_nodes(2)
    network.subscribe(first, TOPIC)
    network.subscribe(second, TOPIC)
    network.stop(second)
    for node, other in ((first, second), (second, first)):
        network.add_direct_peer(node, other)
    network.start(second)  # which dials its direct peer a second later
    network.run_for(3.0)
    assert first.router.peers() == [second.id]
    assert first.router.mesh(TOPIC) == second.router.mesh(TOPIC) == []
    assert delays(network) == {0: 0, 1: 50}


@pytest.mark.rule("DIR-01")
def test_a_lost_direct_peer_is_dialled_at_the_next_check() -> None:
    params = GossipParams(direct_connect_ticks=5)
    network = Network(params=params, in_step=True)
    first, second = network.add_nodes(2)
    network.add_direct_peer(first, second)
    network.run_for(4.05)
    assert first.router.peers() == [second.id]
    network.disconnect(first, second)
    network.run_for(0.04)
    assert first.router.peers() == []
    network.run_for(0.02)  # the fifth heartbeat is at 4.1 s
    assert first.router.peers() == [second.id]


@pytest.mark.rule("PX-11")
def test_leaves_that_know_only_the_centre_of_a_star_build_a_mesh_of_their_own() -> None:
    network = Network(link=Link(latency=0.02))
    bare = MeshParams(d=0, d_low=0, d_high=0, d_out=0, d_score=0)
    centre = network.add_node(params=GossipParams(mesh=bare, peer_exchange=True))
    leaves = network.add_nodes(20)
    network.subscribe(centre, TOPIC)
    for leaf in leaves:
        network.subscribe(leaf, TOPIC)
        network.connect(leaf, centre)
    network.run_for(5.0)
    assert centre.router.mesh(TOPIC) == []
    assert min(len(leaf.router.mesh(TOPIC)) for leaf in leaves) >= 5
    network.stop(centre)
    network.run_for(1.0)
    receipt = network.publish(leaves[0], TOPIC)
    assert receipt is not None
    network.run_for(3.0)
    assert network.missed_by(receipt.message_id) == []
    assert len(network.delivered_to(receipt.message_id)) == 20


# Links that change


def test_a_connection_gets_another_link_while_it_is_open() -> None:
    network = line(2)
    one, other = network.nodes
    network.change_link(other, one, Link(latency=0.2))
    assert delays(network) == {0: 0, 1: 200}
    network.change_link(one, other, Link(latency=0.05, loss=1.0))
    assert delays(network) == {0: 0}
    network.change_link(one, other, Link(latency=0.05))
    assert delays(network) == {0: 0, 1: 50}


def test_what_is_under_way_stays_ahead_of_what_comes_by_the_new_link() -> None:
    network = line(2)
    one, other = network.nodes
    network.change_link(one, other, Link(latency=0.5))
    receipts = [network.publish(one, TOPIC)]
    network.change_link(one, other, Link(latency=0.05))
    receipts.append(network.publish(one, TOPIC))
    network.run_for(1.0)
    times = [network.delivered_to(each.message_id)[other] for each in receipts if each]
    assert times == [3.5, 3.5]


def test_a_link_of_a_stopped_node_changes_for_its_start() -> None:
    network = line(2)
    network.stop(network.nodes[1])
    network.change_link(*network.nodes, Link(latency=0.3))
    network.start(network.nodes[1])
    network.run_for(3.0)
    assert delays(network) == {0: 0, 1: 300}


def test_links_that_cannot_change_are_refused() -> None:
    network = line(3)
    one, _, last = network.nodes
    with pytest.raises(ValueError, match="is not connected to"):
        network.change_link(one, last, Link())
    with pytest.raises(ValueError, match="a link with a bandwidth cannot change"):
        network.change_link(one, network.nodes[1], Link(bandwidth=1000.0))
