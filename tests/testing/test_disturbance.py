"""Restarts and cuts."""

from __future__ import annotations

import pytest

from gossipsub.testing import Network, Node, Observer, churn, connect_all, partition


def network_of(count: int, observer: Observer | None = None) -> Network:
    network = Network(observer=observer)
    connect_all(network, network.add_nodes(count))
    for node in network.nodes:
        network.subscribe(node, "t")
    return network


def test_each_chosen_node_restarts_once_and_is_down_for_as_long_as_said() -> None:
    network = network_of(10)
    before = {node: node.router for node in network.nodes}
    chosen = churn(network, network.nodes, fraction=0.4, start=5.0, end=10.0, downtime=2.0)
    assert len(chosen) == 4
    network.run_until(4.9)
    assert {node: node.router for node in network.nodes} == before
    down: dict[Node, int] = {}
    while network.now < 13.0:
        network.run_for(0.1)
        for node in network.nodes:
            if not node.is_running:
                down[node] = down.get(node, 0) + 1
    assert down.keys() == set(chosen)
    assert all(19 <= steps <= 21 for steps in down.values())
    assert {node for node in network.nodes if node.router is not before[node]} == set(chosen)
    assert all(7.0 <= node.started <= 12.0 for node in chosen)


def test_a_part_is_cut_off_until_it_is_healed() -> None:
    network = network_of(6)
    network.run_for(2.0)
    group = network.nodes[:2]
    cut = partition(network, group)
    assert [len(node.router.peers()) for node in network.nodes] == [1, 1, 3, 3, 3, 3]
    receipt = network.publish(group[0], "t")
    network.run_for(10.0)
    assert receipt is not None
    assert list(network.delivered_to(receipt.message_id)) == group
    cut.heal()
    assert [len(node.router.peers()) for node in network.nodes] == [5] * 6
    cut.heal()  # nothing left to heal
    network.run_for(2.0)
    receipt = network.publish(group[0], "t")
    network.run_for(10.0)
    assert receipt is not None
    assert list(network.delivered_to(receipt.message_id)) == network.nodes


def test_a_connection_made_meanwhile_is_left_alone_by_healing() -> None:
    network = network_of(3)
    cut = partition(network, network.nodes[:1])
    network.connect(network.nodes[1], network.nodes[0])
    cut.heal()
    assert [len(node.router.peers()) for node in network.nodes] == [2, 2, 2]


@pytest.mark.parametrize("stopped", [0, 2])
def test_a_stopped_node_can_be_cut_off_too(stopped: int) -> None:
    network = network_of(3)
    network.stop(network.nodes[stopped])
    cut = partition(network, network.nodes[:1])
    network.start(network.nodes[stopped])
    assert network.nodes[0].router.peers() == []
    cut.heal()
    assert [len(node.router.peers()) for node in network.nodes] == [2, 2, 2]
