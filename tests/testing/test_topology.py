"""Who is connected to whom."""

from __future__ import annotations

import pytest

from gossipsub.testing import (
    Link,
    Network,
    Node,
    connect_all,
    connect_line,
    connect_random,
    connect_star,
    connect_tree,
)


def edges(network: Network) -> list[tuple[int, int]]:
    return sorted(
        (node.index, other.index)
        for node in network.nodes
        for other in node.links
        if node.index < other.index
    )


def reachable(network: Network) -> int:
    found = {network.nodes[0]: None}
    todo = [network.nodes[0]]
    while todo:
        for other in todo.pop().links:
            if other not in found:
                found[other] = None
                todo.append(other)
    return len(found)


def nodes(count: int, seed: int = 0) -> Network:
    network = Network(seed=seed)
    network.add_nodes(count)
    return network


def test_a_line_a_star_a_tree_and_all() -> None:
    line, star, tree, complete = nodes(4), nodes(4), nodes(7), nodes(4)
    connect_line(line, line.nodes)
    connect_star(star, star.nodes)
    connect_tree(tree, tree.nodes)
    connect_all(complete, complete.nodes)
    assert edges(line) == [(0, 1), (1, 2), (2, 3)]
    assert edges(star) == [(0, 1), (0, 2), (0, 3)]
    assert edges(tree) == [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6)]
    assert edges(complete) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("count", "links"), [(20, 3), (20, 10), (100, 20), (50, 2)])
def test_random_connections_are_as_many_as_asked_for_and_in_one_piece(
    count: int, links: int, seed: int
) -> None:
    network = nodes(count, seed)
    connect_random(network, network.nodes, links=links)
    assert len(edges(network)) == count * links // 2
    assert reachable(network) == count


def test_random_connections_differ_by_seed_and_by_nothing_else() -> None:
    networks = [nodes(30, seed) for seed in (1, 1, 2)]
    for network in networks:
        connect_random(network, network.nodes, links=6)
    one, same, other = map(edges, networks)
    assert one == same != other


def test_few_nodes_are_all_connected() -> None:
    network = nodes(5)
    connect_random(network, network.nodes, links=20)
    assert len(edges(network)) == 10


def test_fewer_than_two_links_cannot_hold_together() -> None:
    network = nodes(5)
    with pytest.raises(ValueError, match=r"^links must be at least 2: 1$"):
        connect_random(network, network.nodes, links=1)


def test_links_may_be_chosen_by_both_ends() -> None:
    def choose(dialler: Node, listener: Node) -> Link:
        return Link(latency=(dialler.index + listener.index) / 10)

    network = nodes(3)
    connect_line(network, network.nodes, link=choose)
    first, second, third = network.nodes
    assert first.links[second].latency == 0.1
    assert third.links[second].latency == 0.3
