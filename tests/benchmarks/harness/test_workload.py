"""Who is connected to whom: rows, and random networks that hold together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.benchmarks.harness.workload import MESH_DEGREE, Workload


def test_a_pair_and_a_relay_are_rows_of_two_and_three() -> None:
    pair, relay, chain = map(Workload.named, ("pair", "relay", "chain-5"))
    assert (pair.edges(1), pair.relays, pair.receivers) == ([(1, 0)], (), (1,))
    assert (relay.edges(1), relay.relays, relay.receivers) == ([(1, 0), (2, 1)], (1,), (2,))
    assert (chain.nodes, chain.relays, chain.receivers) == (5, (1, 2, 3), (4,))


def test_a_fan_is_one_relay_with_so_many_receivers() -> None:
    fan = Workload.named("fan-3")
    assert fan.edges(1) == [(1, 0), (2, 1), (3, 1), (4, 1)]
    assert (fan.nodes, fan.relays, fan.receivers, fan.is_mesh) == (5, (1,), (2, 3, 4), False)


@given(nodes=st.integers(3, 100), seed=st.integers(0, 2**31))
def test_every_node_of_a_mesh_can_be_reached_and_none_has_more_than_its_neighbours(
    nodes: int, seed: int
) -> None:
    mesh = Workload.named(f"mesh-{nodes}")
    edges = mesh.edges(seed)
    assert mesh.receivers == tuple(range(1, nodes))
    assert len(set(edges)) == len(edges)
    assert all(0 <= listener < dialler < nodes for dialler, listener in edges)
    degree = [sum(number in edge for edge in edges) for number in range(nodes)]
    assert max(degree) <= MESH_DEGREE
    reached, front = {0}, {0}
    while front:
        near = {end for edge in edges if front.intersection(edge) for end in edge}
        front = near - reached
        reached |= near
    assert reached == set(range(nodes))


@pytest.mark.parametrize("nodes", [8, 20, 50])
def test_nearly_all_nodes_of_a_mesh_have_as_many_neighbours_as_they_want(nodes: int) -> None:
    edges = Workload.named(f"mesh-{nodes}").edges(1)
    assert len(edges) * 2 >= nodes * MESH_DEGREE - MESH_DEGREE


def test_a_seed_gives_the_same_mesh_and_another_one_another() -> None:
    mesh = Workload.named("mesh-20")
    assert mesh.edges(1) == mesh.edges(1)
    assert mesh.edges(1) != mesh.edges(2)


@pytest.mark.parametrize(
    "name", ["", "ring", "mesh", "mesh-", "mesh-2", "mesh-101", "mesh-08", "fan-0", "fan-9"]
)
def test_what_is_no_workload_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match="there are pair, relay, chain-N and mesh-N"):
        Workload.named(name)
