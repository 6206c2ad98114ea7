"""What a router shows of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from gossipsub.router.params import LazyParams, MeshParams, RouterLimits
from gossipsub.router.snapshot import PeerSnapshot, Snapshot, TopicSnapshot
from gossipsub.wire.rpc import IHave, Prune
from tests.router.conftest import Node


def test_a_snapshot_shows_each_topic_with_mesh_fanout_and_backoffs(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(
        mesh=MeshParams(d=1, d_low=1, d_high=2, d_score=0, d_out=0), flood_publish=False
    )
    node.join("t")
    node.router.subscribe("relayed", deliver=False, now=node.now)
    node.connect([b"a", b"b"], topics=("t", "f"))
    node.receive(b"b", prune=[Prune("t", (), 5), Prune("f", (), 5)])
    node.publish(node.message(topic="f", author=node.ME))
    fanout = node.router.snapshot().fanout["f"]
    assert len(fanout) == 1
    assert node.router.snapshot().topics == {
        "t": TopicSnapshot(delivers=True, peers=2, mesh=(b"a",), fanout=None, backoffs=1),
        "relayed": TopicSnapshot(delivers=False, peers=0, mesh=(), fanout=None, backoffs=0),
        "f": TopicSnapshot(
            delivers=False,
            peers=2,
            mesh=None,
            fanout=fanout,
            backoffs=1,
        ),
    }
    assert node.router.snapshot().mesh == {"t": (b"a",), "relayed": ()}


def test_a_snapshot_shows_each_peer_with_its_score_and_topics(node: Node) -> None:
    node.join("t")
    node.connect([b"a"], topics=("t", "u"), outbound=True)
    node.router.add_direct_peer(b"d", now=node.now)
    node.connect([b"d"], topics=(), protocol="/floodsub/1.0.0")
    node.scores[b"a"] = 1.5
    assert node.router.snapshot().peers == {
        b"a": PeerSnapshot(
            protocol="/meshsub/1.2.0",
            outbound=True,
            ip="10.0.0.1",
            direct=False,
            score=1.5,
            topics=("t", "u"),
            meshes=("t",),
        ),
        b"d": PeerSnapshot(
            protocol="/floodsub/1.0.0",
            outbound=False,
            ip="10.0.0.1",
            direct=True,
            score=0.0,
            topics=(),
            meshes=(),
        ),
    }


def test_a_snapshot_names_the_bound_of_every_table_that_has_one(
    make_node: Callable[..., Node],
) -> None:
    limits = RouterLimits(max_seen=10, max_wanted_bytes=2000, max_delivery_records=7)
    snapshot = make_node(limits=limits).router.snapshot()
    assert (
        snapshot.limits.items()
        >= {
            "seen": 10,
            "wanted_bytes": 2000,
            "delivery_records": 14,
        }.items()
    )
    assert snapshot.limits.keys() <= {field.name for field in fields(Snapshot)}


def test_a_snapshot_counts_bytes_as_they_come_and_go(make_node: Callable[..., Node]) -> None:
    node = make_node(lazy=LazyParams(history_length=2, history_gossip=1))
    node.join("t")
    node.connect([b"a"])
    node.accept(b"a", node.message(1))
    node.receive(b"a", ihave=[IHave("t", [b"unknown"])])
    snapshot = node.router.snapshot()
    assert (snapshot.cached, snapshot.cached_bytes) == (1, len(b"data"))
    assert (snapshot.wanted, snapshot.wanted_bytes) == (1, 512 + len(b"unknown"))
    node.wait(5.0)
    snapshot = node.router.snapshot()
    assert (snapshot.cached_bytes, snapshot.wanted_bytes) == (0, 0)


def test_a_snapshot_stays_as_it_is_while_the_router_goes_on(node: Node) -> None:
    node.join("t")
    node.connect([b"a"])
    before: Snapshot = node.router.snapshot()
    node.receive(b"a", publish=[node.message(1), node.message(1)])
    node.receive(b"a", subscribe=["u"])
    node.leave("t")
    assert before.mesh == {"t": (b"a",)}
    assert before.peers[b"a"].topics == ("t",)
    assert before.undelivered == {}
