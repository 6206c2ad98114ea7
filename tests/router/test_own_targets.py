"""Whom own messages go to where there is no bandwidth for all; the rest is in test_fanout.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.params import GossipParams
from gossipsub.wire.rpc import IDontWant

if TYPE_CHECKING:
    from tests.router.conftest import Node

MakeNode = Callable[..., "Node"]


def publish(node: Node, data: bytes, number: int = 1) -> set[bytes]:
    message = replace(node.message(number, author=node.ME), data=data)
    return set(node.sent(node.publish(message)))


def crowd(make_node: MakeNode, bandwidth: float | None, **params: object) -> Node:
    node = make_node(flood_publish_bandwidth=bandwidth, **params)
    node.connect(node.peers(20))
    return node


@pytest.mark.rule("FPUB-05")
@pytest.mark.parametrize(
    ("size", "heartbeat", "reached"),
    [
        (100, 1.0, 10),
        (100, 1.5, 15),
        (101, 1.0, 9),
        (50, 1.0, 20),
        (10, 1.0, 20),
        (0, 1.0, 20),
        (150, 1.0, 6),  # of which six are the mesh
        (100_000, 1.0, 6),
    ],
)
def test_a_flood_reaches_as_many_peers_as_a_heartbeat_has_bandwidth_for_and_the_mesh_first(
    make_node: MakeNode, size: int, heartbeat: float, reached: int
) -> None:
    node = crowd(make_node, 1000.0, heartbeat_interval=heartbeat)
    node.join("t")
    targets = publish(node, bytes(size))
    assert len(targets) == reached
    assert targets >= set(node.router.mesh("t"))


@pytest.mark.rule("FPUB-05")
def test_a_limited_flood_reaches_d_low_peers_however_large_the_message(make_node: MakeNode) -> None:
    node = crowd(make_node, 1.0)
    assert len(publish(node, bytes(100_000))) == 5


@pytest.mark.rule("FPUB-05")
def test_peers_outside_of_the_mesh_get_the_message_and_count(make_node: MakeNode) -> None:
    node = crowd(make_node, 1000.0)
    outside = node.peers(3, "flood")
    node.connect(outside, protocol="/floodsub/1.0.0")
    targets = publish(node, bytes(100))
    assert len(targets) == 10
    assert targets >= set(outside)
    assert len(publish(node, bytes(1000), 2)) == 5


@pytest.mark.rule("FPUB-05")
def test_peers_that_refused_the_message_take_no_place_in_a_limited_flood(
    make_node: MakeNode,
) -> None:
    node = crowd(make_node, 1.0)
    refused = IDontWant((node.message_id(author=node.ME),))
    for peer in node.peers(15):
        node.receive(peer, idontwant=(refused,))
    assert publish(node, bytes(100_000)) == set(node.peers(20)[15:])


@pytest.mark.rule("FPUB-05")
def test_who_gets_the_rest_of_a_flood_is_left_to_chance_among_those_with_a_score_for_it(
    make_node: MakeNode,
) -> None:
    node = crowd(make_node, 1000.0)
    node.scores |= {b"w19": -50.1}
    reached = set().union(*(publish(node, bytes(100), number) for number in range(1, 50)))
    assert reached == set(node.peers(19))


@pytest.mark.rule("FPUB-05")
def test_without_a_bandwidth_or_with_enough_of_it_a_flood_reaches_everybody(
    make_node: MakeNode,
) -> None:
    assert len(publish(crowd(make_node, None), bytes(1 << 20))) == 20
    assert len(publish(crowd(make_node, 1e9), bytes(1 << 20))) == 20


@pytest.mark.rule("FPUB-05")
@pytest.mark.parametrize("bandwidth", [0.0, -1.0, float("inf"), float("nan")])
def test_a_flood_bandwidth_is_positive_and_finite(bandwidth: float) -> None:
    with pytest.raises(ValueError, match="flood_publish_bandwidth must be positive and finite"):
        GossipParams(flood_publish_bandwidth=bandwidth)
