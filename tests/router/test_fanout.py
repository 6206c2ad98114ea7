"""Fanout and flood publishing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gossipsub.wire.rpc import Graft, Prune

if TYPE_CHECKING:
    from tests.router.conftest import Node


@pytest.fixture
def fan(make_node: Callable[..., Node]) -> Node:
    """A node that does not flood."""
    return make_node(flood_publish=False)


def publish(node: Node, number: int = 1) -> set[bytes]:
    """Publish in `t`: who gets it."""
    return set(node.sent(node.publish(node.message(number, author=node.ME))))


@pytest.mark.rule("FAN-01", "FPUB-04")
def test_messages_of_a_topic_not_joined_go_to_the_same_d_peers(fan: Node) -> None:
    fan.connect(fan.peers(20))
    chosen = [publish(fan, number) for number in range(5)]
    assert len(chosen[0]) == 6
    assert chosen == [chosen[0]] * 5


@pytest.mark.rule("FAN-02", "FS-02", "FPUB-04")
def test_the_fanout_holds_no_floodsub_and_no_low_scored_peers(fan: Node) -> None:
    fan.connect([b"low", b"limit"])
    fan.connect([b"flood"], protocol="/floodsub/1.0.0")
    fan.connect([b"elsewhere"], topics=("u",))
    fan.scores |= {b"low": -50.1, b"limit": -50.0}
    assert publish(fan) == {b"limit", b"flood"}
    assert fan.router.snapshot().fanout == {"t": (b"limit",)}


@pytest.mark.rule("FAN-03")
@pytest.mark.parametrize(("seconds", "present"), [(59, True), (61, False)])
def test_the_fanout_ends_its_ttl_after_the_last_publish(
    fan: Node, seconds: float, present: bool
) -> None:
    fan.connect(fan.peers(3))
    publish(fan, 1)
    fan.wait(30)
    publish(fan, 2)
    fan.wait(seconds)
    assert bool(fan.router.snapshot().fanout) is present


@pytest.mark.rule("FAN-04", "SUB-12")
def test_a_heartbeat_replaces_fanout_peers_that_left_or_fell(fan: Node) -> None:
    fan.connect(fan.peers(20))
    first, second, third, *rest = sorted(publish(fan))
    fan.receive(first, unsubscribe=["t"])
    fan.router.peer_disconnected(second, now=fan.now)
    fan.scores[third] = -50.1
    assert third in fan.router.snapshot().fanout["t"]
    fan.tick()
    fanout = fan.router.snapshot().fanout["t"]
    assert len(fanout) == 6
    assert set(rest) <= set(fanout)
    assert {first, second, third}.isdisjoint(fanout)


@pytest.mark.rule("WIRE-21")
def test_a_reopened_stream_ends_the_fanout_to_that_peer(fan: Node) -> None:
    fan.connect([b"w"])
    publish(fan)
    fan.router.outbound_stream_reopened(b"w", protocol="/floodsub/1.0.0", now=fan.now)
    assert fan.router.snapshot().fanout == {"t": ()}


@pytest.mark.rule("FPUB-01", "BACK-04")
def test_flooding_reaches_mesh_peers_that_did_not_subscribe(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=(), graft=("t",))
    assert publish(node) == {b"w"}


@pytest.mark.rule("FAN-05")
def test_joining_makes_the_fanout_the_start_of_the_mesh(fan: Node) -> None:
    fan.connect(fan.peers(4))
    fanout = publish(fan)
    fan.connect(fan.peers(6, "more"))
    grafted = fan.controls(fan.join("t"), "graft")
    assert len(fanout) == 4
    assert len(grafted) == 6
    assert fanout <= set(grafted)
    assert fan.router.snapshot().fanout == {}


@pytest.mark.rule("FAN-05", "MESH-02")
def test_fanout_peers_that_may_not_be_grafted_are_left_out(fan: Node) -> None:
    fan.connect(fan.peers(3))
    publish(fan)
    fan.receive(b"w00", prune=(Prune("t", (), 60),))
    fan.scores[b"w01"] = -1.0
    assert fan.controls(fan.join("t"), "graft") == {b"w02": [Graft("t")]}


@pytest.mark.rule("FAN-08")
def test_publishing_to_nobody_succeeds(node: Node, fan: Node) -> None:
    for each in (node, fan):
        receipt = each.router.publish(each.message(author=each.ME), now=0.0)
        assert receipt.peers == ()
        assert receipt.message_id == each.message_id(author=each.ME)
        assert not receipt.duplicate


@pytest.mark.rule("FAN-01")
def test_a_fanout_of_nobody_is_filled_when_peers_come(fan: Node) -> None:
    assert publish(fan, 1) == set()
    fan.connect([b"w"])
    assert publish(fan, 2) == {b"w"}


@pytest.mark.rule("FPUB-04")
def test_without_flooding_own_messages_go_to_mesh_and_floodsub_peers(fan: Node) -> None:
    fan.connect(fan.peers(20))
    fan.connect([b"flood"], protocol="/floodsub/1.0.0")
    fan.join("t")
    assert publish(fan) == {*fan.router.mesh("t"), b"flood"}
    assert len(fan.router.mesh("t")) == 6


@pytest.mark.rule("FPUB-01")
@pytest.mark.parametrize("joined", [True, False])
def test_with_flooding_own_messages_go_to_all_peers_of_the_topic(node: Node, joined: bool) -> None:
    node.connect(node.peers(20))
    node.connect([b"flood"], protocol="/floodsub/1.0.0")
    node.connect([b"elsewhere"], topics=("u",))
    if joined:
        node.join("t")
    assert publish(node) == {*node.peers(20), b"flood"}
    assert node.router.snapshot().fanout == {}


@pytest.mark.rule("FPUB-02", "FS-01", "THR-04")
def test_with_flooding_low_scored_peers_get_nothing(node: Node) -> None:
    node.connect([b"low", b"limit"])
    node.connect([b"low flood"], protocol="/floodsub/1.0.0")
    node.scores |= {b"low": -50.1, b"limit": -50.0, b"low flood": -50.1}
    assert publish(node) == {b"limit"}


@pytest.mark.rule("FPUB-03")
def test_with_flooding_messages_of_others_go_through_the_mesh_only(node: Node) -> None:
    node.connect(node.peers(20))
    node.join("t")
    mesh = node.router.mesh("t")
    forwarded = node.sent(node.accept(mesh[0], node.message()))
    assert set(forwarded) == set(mesh[1:])
