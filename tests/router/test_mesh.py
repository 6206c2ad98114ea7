"""Meshes: join, leave, and what a heartbeat mends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Lane, SendRpc, TopicPeer
from gossipsub.router.params import MeshParams
from gossipsub.wire.rpc import Control, Graft, Prune, Rpc, SubOpts

if TYPE_CHECKING:
    from tests.router.conftest import Node


@pytest.mark.rule("MESH-01")
@pytest.mark.parametrize(("known", "grafts"), [(20, 6), (6, 6), (3, 3), (0, 0)])
def test_joining_grafts_up_to_d_peers_of_the_topic_at_once(
    node: Node, known: int, grafts: int
) -> None:
    subscribed = node.peers(known)
    node.connect(subscribed)
    node.connect(node.peers(5, "other"), topics=("u",))
    grafted = node.controls(node.join("t"), "graft")
    assert len(grafted) == grafts
    assert set(grafted) <= set(subscribed)
    assert list(grafted.values()) == [[Graft("t")]] * grafts
    assert sorted(node.router.mesh("t")) == sorted(grafted)


@pytest.mark.rule("MESH-01")
def test_who_is_grafted_is_random(make_node: Callable[..., Node]) -> None:
    choices = set()
    for seed in range(20):
        node = make_node(seed=seed)
        node.connect(node.peers(20))
        node.join("t")
        choices.add(frozenset(node.router.mesh("t")))
    assert len(choices) > 10


@pytest.mark.rule("MESH-02")
def test_joining_skips_peers_in_backoff_and_with_a_negative_score(node: Node) -> None:
    node.connect([b"bad", b"backed off"])
    node.scores[b"bad"] = -0.1
    node.receive(b"backed off", prune=(Prune("t", (), 60),))
    assert node.controls(node.join("t"), "graft") == {}


@pytest.mark.rule("MESH-03", "BACK-08")
def test_leaving_prunes_the_mesh_with_ten_seconds_and_tells_everybody(node: Node) -> None:
    node.connect([b"w"])
    node.join("t")
    node.connect([b"v"], topics=())
    withdrawal = Rpc(subscriptions=(SubOpts("t", False),))
    assert node.leave("t") == [
        node.prune(b"w", "t", 10),
        SendRpc(b"w", withdrawal, Lane.CONTROL),
        SendRpc(b"v", withdrawal, Lane.CONTROL),
    ]
    assert node.router.mesh("t") == []
    assert node.router.topics() == []


@pytest.mark.rule("T23", "MESH-03", "BACK-07")
def test_joining_again_does_not_graft_the_peers_just_left(node: Node) -> None:
    node.connect([b"w"])
    node.join("t")
    node.leave("t")
    assert node.controls(node.join("t"), "graft") == {}
    assert node.controls(node.wait(11.9), "graft") == {}  # ten seconds, and two heartbeats
    assert node.controls(node.wait(1.1), "graft") == {b"w": [Graft("t")]}


@pytest.mark.rule("MESH-04")
@pytest.mark.parametrize(("size", "grafts"), [(0, 6), (4, 2), (5, 0), (6, 0)])
def test_a_mesh_below_d_low_is_filled_up_to_d(node: Node, size: int, grafts: int) -> None:
    node.join("t")
    node.connect(node.peers(size), graft=("t",))
    idle = node.peers(12 - size, "idle")
    node.connect(idle, topics=("u",))
    node.scores |= dict.fromkeys(idle, -1.0)  # so that nobody is grafted on subscribing
    for peer in idle:
        node.receive(peer, subscribe=["t"])
    node.scores.clear()
    grafted = node.controls(node.tick(), "graft")
    assert len(grafted) == grafts
    assert set(grafted) <= set(idle)


@pytest.mark.rule("MESH-05")
@pytest.mark.parametrize(("size", "kept"), [(11, 11), (12, 12), (13, 6), (30, 6)])
def test_a_mesh_above_d_high_is_pruned_down_to_d(node: Node, size: int, kept: int) -> None:
    node.join("t")
    node.connect(node.peers(size), topics=(), graft=("t",), outbound=True)
    effects = node.tick()
    assert len(node.router.mesh("t")) == kept
    pruned = [peer for peer in node.peers(size) if peer not in node.router.mesh("t")]
    assert effects == [node.prune(peer, "t", 60) for peer in pruned]


@pytest.mark.rule("MESH-06")
def test_the_best_scoring_peers_are_kept_and_the_others_vary(
    make_node: Callable[..., Node],
) -> None:
    others = set()
    for seed in range(50):
        node = make_node(seed=seed)
        node.join("t")
        peers = node.peers(13)
        node.connect(peers, topics=(), graft=("t",), outbound=True)
        node.scores |= {peer: float(score) for score, peer in enumerate(peers, start=1)}
        node.tick()
        mesh = set(node.router.mesh("t"))
        assert len(mesh) == 6
        assert mesh >= set(peers[9:])
        others.add(frozenset(mesh - set(peers[9:])))
    assert len(others) > 10


@pytest.mark.rule("MESH-06")
def test_of_equal_scores_nobody_is_kept_for_coming_first(make_node: Callable[..., Node]) -> None:
    meshes = []
    for seed in range(50):
        node = make_node(seed=seed)
        node.join("t")
        node.connect(node.peers(13), topics=(), graft=("t",), outbound=True)
        node.tick()
        meshes.append(node.router.mesh("t"))
    for peer in (b"w00", b"w06", b"w12"):
        assert 10 < sum(peer in mesh for mesh in meshes) < 40  # 6 of 13: 23 on average


@pytest.mark.rule("MESH-07")
def test_negative_scores_leave_the_mesh_without_peer_exchange(node: Node) -> None:
    node.join("t")
    node.connect([b"zero", b"bad"], topics=(), graft=("t",))
    node.scores[b"bad"] = -0.1
    assert node.tick() == [node.prune(b"bad", "t", 60)]
    assert node.router.mesh("t") == [b"zero"]


@pytest.mark.rule("MESH-08")
def test_negative_scores_are_never_grafted_however_few_peers_there_are(node: Node) -> None:
    node.connect([b"bad"], topics=())
    node.scores[b"bad"] = -0.1
    node.join("t")
    assert node.receive(b"bad", subscribe=["t"]) == [TopicPeer("t", b"bad", True)]
    assert [node.tick() for _ in range(20)] == [[]] * 20


@pytest.mark.rule("MESH-10")
def test_all_grafts_of_a_heartbeat_for_one_peer_are_in_one_rpc(node: Node) -> None:
    node.connect([b"w"], topics=("a", "b", "c"))
    node.join("a", "b", "c")
    node.router.outbound_stream_reopened(b"w", protocol="/meshsub/1.2.0", now=node.now)
    node.router.effects()
    assert node.tick() == [node.graft(b"w", "a", "b", "c")]


@pytest.mark.rule("MESH-11")
def test_a_new_subscriber_is_grafted_at_once_while_the_mesh_is_small(node: Node) -> None:
    node.join("t")
    node.connect(node.peers(5), topics=())
    for peer in node.peers(5):
        assert node.receive(peer, subscribe=["t"]) == [
            TopicPeer("t", peer, True),
            node.graft(peer, "t"),
        ]
    node.connect([b"sixth"], topics=())
    assert node.receive(b"sixth", subscribe=["t"]) == [TopicPeer("t", b"sixth", True)]


@pytest.mark.rule("MESH-11", "BACK-06")
def test_a_new_subscriber_in_backoff_is_not_grafted(node: Node) -> None:
    node.join("t")
    node.connect([b"w"])
    node.receive(b"w", prune=(Prune("t", (), 60),), unsubscribe=["t"])
    assert node.receive(b"w", subscribe=["t"]) == [TopicPeer("t", b"w", True)]


def test_a_graft_overtaken_by_the_same_rpc_is_not_sent(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=())
    effects = node.receive(b"w", subscribe=["t"], prune=(Prune("t", (), 60),))
    assert effects == [TopicPeer("t", b"w", True)]
    assert node.router.mesh("t") == []


@pytest.mark.rule("MESH-12", "WIRE-16")
def test_who_disconnects_leaves_every_mesh_without_prune_and_is_replaced(node: Node) -> None:
    node.connect(node.peers(10))
    node.join("t")
    gone = node.router.mesh("t")[:3]
    for peer in gone:
        node.router.peer_disconnected(peer, now=node.now)
    assert node.router.effects() == [TopicPeer("t", peer, False) for peer in gone]
    grafted = node.controls(node.tick(), "graft")
    assert len(grafted) == 3
    assert set(grafted).isdisjoint(gone)


@pytest.mark.rule("SUB-12")
def test_a_mesh_peer_that_unsubscribes_gets_no_more_messages(node: Node) -> None:
    node.join("t")
    node.connect([b"w", b"v"])
    node.receive(b"w", unsubscribe=["t"])
    assert node.router.mesh("t") == [b"v"]
    node.connect([b"from"], topics=())
    assert [*node.sent(node.accept(b"from", node.message()))] == [b"v"]


@pytest.mark.rule("FS-02")
def test_floodsub_peers_are_never_sent_control(node: Node) -> None:
    node.connect(node.peers(8), protocol="/floodsub/1.0.0")
    effects = node.join("t")
    node.publish(node.message(author=node.ME))
    for _ in range(30):
        effects += node.tick()
    for peer in node.peers(8):
        effects += node.receive(peer, graft=(Graft("t"),))
        effects += node.receive(peer, unsubscribe=["t"], subscribe=["t"])
    assert [rpc.control for rpcs in node.sent(effects).values() for rpc in rpcs] == [None] * 8
    assert node.router.mesh("t") == []


@pytest.mark.rule("CFG-04")
def test_a_bootstrapper_refuses_every_graft_and_grafts_nobody(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(mesh=MeshParams(d=0, d_low=0, d_high=0, d_out=0))
    node.connect([b"w"])
    assert node.controls(node.join("t"), "graft") == {}
    assert node.receive(b"w", graft=(Graft("t"),)) == [node.prune(b"w", "t", 60)]
    assert node.tick() == []


@pytest.mark.rule("OUT-01")
def test_pruning_keeps_outbound_peers(make_node: Callable[..., Node]) -> None:
    for seed in range(200):
        node = make_node(seed=seed)
        node.join("t")
        node.connect(node.peers(11), topics=(), graft=("t",))
        node.connect([b"out1", b"out2"], topics=(), graft=("t",), outbound=True)
        node.scores |= {b"out1": 0.0} | dict.fromkeys(node.peers(11), 1.0)
        node.tick()
        mesh = node.router.mesh("t")
        assert len(mesh) == 6
        assert {b"out1", b"out2"} <= set(mesh)


@pytest.mark.rule("OUT-01", "MESH-06")
def test_outbound_peers_take_the_places_of_the_lower_scored(
    make_node: Callable[..., Node],
) -> None:
    for seed in range(50):
        node = make_node(seed=seed)
        node.join("t")
        inbound = node.peers(11)
        node.connect(inbound, topics=(), graft=("t",))
        node.connect([b"out1", b"out2"], topics=(), graft=("t",), outbound=True)
        node.scores |= {peer: float(n) for n, peer in enumerate(inbound, start=1)}
        node.tick()
        assert set(node.router.mesh("t")) == {b"out1", b"out2", *inbound[7:]}


@pytest.mark.rule("OUT-02")
def test_outbound_peers_are_grafted_beyond_d_until_there_are_enough(node: Node) -> None:
    node.join("t")
    node.connect(node.peers(6), topics=(), graft=("t",))
    node.connect(node.peers(3, "out"), outbound=True)
    assert len(node.router.mesh("t")) == 6
    grafted = node.controls(node.tick(), "graft")
    assert len(grafted) == 2
    assert set(grafted) <= set(node.peers(3, "out"))
    assert len(node.router.mesh("t")) == 8
    assert node.tick() == []


@pytest.mark.rule("CFG-07")
def test_other_degrees_give_other_meshes(make_node: Callable[..., Node]) -> None:
    node = make_node(mesh=MeshParams(d=3, d_low=2, d_high=4, d_score=1, d_out=1))
    node.connect(node.peers(20))
    node.join("t")
    assert len(node.router.mesh("t")) == 3


@pytest.mark.rule("MESH-15")
def test_a_dropped_graft_goes_with_the_next_rpc_to_that_peer(node: Node) -> None:
    node.connect([b"w", b"v"])
    node.join("t")
    node.router.rpc_dropped(b"w", node.graft(b"w", "t").rpc, now=node.now)
    assert node.router.snapshot().control_owed == 1
    effects = node.accept(b"v", node.message())[1:]
    forwarded = SendRpc(b"w", Rpc(publish=(node.message(),)), Lane.FORWARDED)
    assert effects == [node.graft(b"w", "t"), forwarded]
    assert node.accept(b"v", node.message(2))[1:] == [
        SendRpc(b"w", Rpc(publish=(node.message(2),)), Lane.FORWARDED)
    ]


@pytest.mark.rule("MESH-15")
def test_a_dropped_prune_goes_with_the_heartbeat(node: Node) -> None:
    node.connect([b"w"], topics=("t", "u"))
    node.join("t", "u")
    node.leave("t")
    node.router.rpc_dropped(b"w", node.prune(b"w", "t", 10).rpc, now=node.now)
    assert node.tick() == [node.prune(b"w", "t", 10)]
    assert node.tick() == []


@pytest.mark.rule("MESH-15")
def test_control_that_is_no_longer_true_is_not_sent_again(node: Node) -> None:
    node.connect([b"w"], topics=("t", "u"))
    node.join("t", "u")
    node.router.rpc_dropped(b"w", node.graft(b"w", "t", "u").rpc, now=node.now)
    node.receive(b"w", prune=(Prune("t", (), 60),))
    assert node.tick() == [node.graft(b"w", "u")]
    node.leave("t")
    pruned = Rpc(control=Control(prune=(Prune("u", (), 60),)))
    node.router.rpc_dropped(b"w", pruned, now=node.now)
    assert node.tick() == []  # w is in the mesh of u: the PRUNE would be wrong
    assert node.router.snapshot().control_owed == 0


@pytest.mark.rule("MESH-15", "BACK-07")
def test_the_backoff_of_a_delayed_prune_counts_from_the_delay(node: Node) -> None:
    node.connect([b"w"])
    node.join("t")
    (pruned, *_) = node.leave("t")
    node.join("t")
    for _ in range(8):  # the driver cannot queue it for eight seconds
        assert isinstance(pruned, SendRpc)
        node.router.rpc_dropped(b"w", pruned.rpc, now=node.now)
        (pruned,) = node.wait(1.0)
        assert pruned == node.prune(b"w", "t", 10)
    assert node.controls(node.wait(10.0), "graft") == {}
    assert node.controls(node.wait(3.0), "graft") == {b"w": [Graft("t")]}
