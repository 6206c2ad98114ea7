"""Direct peers: agreed on with their operators, outside of every mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Connect, Effect, TopicPeer, Validate
from gossipsub.router.params import GossipParams, LazyParams, MeshParams
from gossipsub.router.router import Router
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Graft, IDontWant, Message, Prune, Rpc, SubOpts

if TYPE_CHECKING:
    from tests.router.conftest import Node

MakeNode = Callable[..., "Node"]
DIRECT = b"direct"


@pytest.fixture
def direct(make_node: MakeNode) -> Node:
    """In topic t, with one direct peer there."""
    node = make_node()
    node.router.add_direct_peer(DIRECT, now=node.now)
    node.join("t")
    node.connect([DIRECT])
    return node


def connects(effects: Iterable[Effect]) -> list[bytes]:
    return [effect.peer for effect in effects if isinstance(effect, Connect)]


def receivers(node: Node, effects: Iterable[Effect]) -> list[bytes]:
    return [peer for peer, rpcs in node.sent(effects).items() if any(rpc.publish for rpc in rpcs)]


# Staying connected


def test_a_direct_peer_is_not_dialled_while_it_is_blacklisted(make_node: MakeNode) -> None:
    node = make_node(direct_connect_ticks=3)
    node.router.add_direct_peer(DIRECT, now=node.now)
    node.router.effects()
    node.router.blacklist(DIRECT, until=5.0, now=node.now)
    assert connects(node.wait(5.0)) == []
    assert connects(node.wait(3.0)) == [DIRECT]


def run(router: Router, start: float, end: float) -> list[tuple[float, bytes]]:
    """Serve the timers; who is dialled when."""
    dialled = []
    now = start
    while (now := router.next_deadline()) <= end:
        router.handle_timer(now=now)
        dialled += [(now, peer) for peer in connects(router.effects())]
    return dialled


@pytest.mark.rule("DIR-01")
def test_direct_peers_are_dialled_a_second_after_the_start_and_looked_at_every_300_ticks() -> None:
    router = Router(
        GossipParams(), me=b"me", rng=Random(1), now=5.0, direct_peers=[b"here", b"away"]
    )
    assert router.direct_peers() == [b"here", b"away"]
    assert run(router, 5.0, 100.0) == [(6.0, b"here"), (6.0, b"away")]
    router.peer_connected(b"here", protocol="/meshsub/1.2.0", outbound=True, ip=None, now=100.0)
    third_hundred = 5.1 + 299  # the first heartbeat is a tenth of a second after the start
    assert run(router, 100.0, 400.0) == [(pytest.approx(third_hundred), b"away")]
    router.peer_disconnected(b"here", now=400.0)
    later = pytest.approx(third_hundred + 300)
    assert run(router, 400.0, 700.0) == [(later, b"here"), (later, b"away")]


@pytest.mark.rule("DIR-01")
def test_when_direct_peers_are_dialled_is_a_parameter() -> None:
    params = GossipParams(direct_connect_delay=0.25, direct_connect_ticks=2)
    router = Router(params, me=b"me", rng=Random(1), now=0.0, direct_peers=[b"w"])
    times = [now for now, _ in run(router, 0.0, 5.0)]
    assert times == pytest.approx([0.25, 1.1, 3.1])


@pytest.mark.rule("DIR-06")
def test_a_direct_peer_added_later_is_dialled_at_once_unless_it_is_there(node: Node) -> None:
    node.connect([b"w"], topics=())
    node.router.add_direct_peer(b"w", now=node.now)
    assert node.router.effects() == []
    node.router.add_direct_peer(b"v", now=node.now)
    assert node.router.effects() == [Connect(b"v")]
    node.router.remove_direct_peer(b"v", now=node.now)
    assert node.router.direct_peers() == [b"w"]
    assert connects(node.wait(301.0)) == []


def test_a_node_is_no_direct_peer_of_itself(node: Node) -> None:
    with pytest.raises(LocalProtocolError, match=r"^a node is no direct peer of itself$"):
        node.router.add_direct_peer(node.ME, now=node.now)
    assert node.router.direct_peers() == []
    with pytest.raises(LocalProtocolError):
        Router(GossipParams(), me=b"me", rng=Random(1), now=0.0, direct_peers=[b"me"])


# Messages


@pytest.mark.rule("DIR-02")
@pytest.mark.parametrize("flood_publish", [True, False])
def test_a_direct_peer_gets_every_message_of_its_topics_whatever_its_score(
    make_node: MakeNode, flood_publish: bool
) -> None:
    node = make_node(flood_publish=flood_publish)
    node.join("t")
    node.connect([DIRECT, b"w", b"bad"])
    node.router.add_direct_peer(DIRECT, now=node.now)
    node.router.effects()
    node.scores.update({DIRECT: -1000.0, b"bad": -1000.0})
    node.tick()
    assert receivers(node, node.accept(b"w", node.message(1))) == [DIRECT]
    assert sorted(receivers(node, node.publish(node.message(2, author=node.ME)))) == [DIRECT, b"w"]


@pytest.mark.rule("DIR-02")
def test_what_came_from_a_direct_peer_does_not_go_back(direct: Node) -> None:
    direct.connect([b"w"])
    assert receivers(direct, direct.accept(DIRECT, direct.message(1))) == [b"w"]
    written_there = direct.message(2, author=DIRECT)
    assert receivers(direct, direct.accept(b"w", written_there)) == []


@pytest.mark.rule("DIR-02")
def test_a_direct_peer_of_another_topic_gets_nothing(make_node: MakeNode) -> None:
    node = make_node()
    node.router.add_direct_peer(DIRECT, now=node.now)
    node.join("t")
    node.connect([DIRECT], topics=("u",))
    assert receivers(node, node.publish(node.message(author=node.ME))) == []
    node.receive(DIRECT, subscribe=["t"])
    assert receivers(node, node.publish(node.message(2, author=node.ME))) == [DIRECT]
    node.receive(DIRECT, unsubscribe=["t"])
    assert receivers(node, node.publish(node.message(3, author=node.ME))) == []


@pytest.mark.rule("DIR-02")
def test_a_direct_peer_that_speaks_only_floodsub_gets_each_message_once(node: Node) -> None:
    node.router.add_direct_peer(DIRECT, now=node.now)
    node.join("t")
    node.connect([DIRECT], protocol="/floodsub/1.0.0")
    node.scores[DIRECT] = -1000.0
    effects = node.publish(node.message(author=node.ME))
    assert [len(rpcs) for rpcs in node.sent(effects).values()] == [1]


@pytest.mark.rule("FAN-06", "DIR-05")
def test_a_direct_peer_gets_what_is_published_outside_of_joined_topics(
    make_node: MakeNode,
) -> None:
    node = make_node(flood_publish=False)
    node.router.add_direct_peer(DIRECT, now=node.now)
    node.connect([DIRECT, b"w"])
    node.scores[DIRECT] = -1000.0
    effects = node.publish(node.message(author=node.ME))
    assert sorted(receivers(node, effects)) == [DIRECT, b"w"]
    assert node.router.snapshot().fanout == {"t": (b"w",)}


@pytest.mark.rule("DIR-03")
def test_what_a_direct_peer_says_is_heard_whatever_its_score(make_node: MakeNode) -> None:
    node = make_node(score=PeerScoreParams(), thresholds=PeerScoreThresholds(graylist=-100.0))
    node.router.add_direct_peer(DIRECT, now=node.now)
    node.join("t")
    node.connect([DIRECT, b"w"])
    node.scores.update({DIRECT: -1000.0, b"w": -1000.0})
    assert node.receive(b"w", publish=[node.message(1)], graft=(Graft("t"),)) == []
    effects = node.receive(DIRECT, publish=[node.message(1)], graft=(Graft("t"),))
    assert [type(effect) for effect in effects][:1] == [Validate]
    assert effects[1:] == [node.prune(DIRECT, "t")]


@pytest.mark.rule("DIR-07")
def test_a_message_that_a_direct_peer_refused_is_not_sent_to_it(direct: Node) -> None:
    direct.connect([b"w"])
    direct.receive(DIRECT, idontwant=(IDontWant((direct.message_id(1),)),))
    assert receivers(direct, direct.accept(b"w", direct.message(1))) == []
    assert receivers(direct, direct.accept(b"w", direct.message(2))) == [DIRECT]


# Outside of the mesh


@pytest.mark.rule("DIR-04")
def test_a_graft_from_a_direct_peer_is_refused_without_blame(make_node: MakeNode) -> None:
    params = PeerScoreParams(behaviour_penalty_weight=-10.0, behaviour_penalty_decay=0.9)
    node = make_node(score=params)
    node.router.add_direct_peer(DIRECT, now=node.now)
    node.join("t")
    node.connect([DIRECT])
    for _ in range(3):
        assert node.receive(DIRECT, graft=(Graft("t"),)) == [node.prune(DIRECT, "t")]
        assert node.router.mesh("t") == []
    assert node.router.score(DIRECT) == 0.0


@pytest.mark.rule("DIR-05", "MESH-02", "OPP-03")
def test_a_direct_peer_is_never_grafted_nor_gossiped_to(make_node: MakeNode) -> None:
    """When joining, when it subscribes, in heartbeats, as outbound or as better-scored peer."""
    node = make_node(
        score=PeerScoreParams(),
        thresholds=PeerScoreThresholds(opportunistic_graft=20.0),
        mesh=MeshParams(opportunistic_graft_ticks=2),
    )
    node.router.add_direct_peer(DIRECT, now=node.now)
    node.connect([DIRECT], outbound=True, topics=("t", "u"))
    node.connect(node.peers(6), graft=("u",))
    node.scores.update({DIRECT: 1000.0, b"late": 30.0})
    effects = [*node.join("t", "u"), *node.connect([b"late"])]
    for number in range(30):
        effects += node.publish(node.message(number, author=node.ME))
        effects += node.tick()
    assert set(node.controls(effects, "graft")) == {*node.peers(6), b"late"}
    assert DIRECT not in node.controls(effects, "ihave")
    assert DIRECT not in [*node.router.mesh("t"), *node.router.mesh("u")]


@pytest.mark.rule("DIR-05")
def test_gossip_goes_past_a_direct_peer(make_node: MakeNode) -> None:
    node = make_node(mesh=MeshParams(d=0, d_low=0, d_high=0, d_out=0, d_score=0), lazy=LazyParams())
    node.router.add_direct_peer(DIRECT, now=node.now)
    node.join("t")
    node.connect([DIRECT, b"w"])
    node.publish(node.message(author=node.ME))
    assert list(node.controls(node.tick(), "ihave")) == [b"w"]


@pytest.mark.rule("DIR-06", "DIR-05")
def test_who_becomes_a_direct_peer_leaves_meshes_and_fanouts(make_node: MakeNode) -> None:
    node = make_node(flood_publish=False, peer_exchange=True)
    node.join("t")
    node.connect([DIRECT, b"w"], topics=("t", "u"))
    message: Message = node.message(topic="u", author=node.ME)
    node.publish(message)
    assert node.router.snapshot().fanout == {"u": (DIRECT, b"w")}
    node.router.add_direct_peer(DIRECT, now=node.now)
    assert node.router.effects() == [node.prune(DIRECT, "t")]
    node.router.add_direct_peer(DIRECT, now=node.now)
    assert node.router.effects() == []
    assert node.router.mesh("t") == [b"w"]
    assert node.router.snapshot().fanout == {"u": (b"w",)}


@pytest.mark.rule("DIR-06")
def test_a_direct_peer_removed_is_an_ordinary_one_that_can_be_grafted(direct: Node) -> None:
    assert direct.router.mesh("t") == []
    direct.router.remove_direct_peer(DIRECT, now=direct.now)
    direct.router.remove_direct_peer(b"nobody", now=direct.now)
    assert direct.router.effects() == []
    assert direct.tick() == [direct.graft(DIRECT, "t")]
    direct.scores[DIRECT] = -1000.0
    assert direct.receive(DIRECT, publish=[direct.message(1)]) == []
    assert direct.controls(direct.tick(), "prune") == {DIRECT: [Prune("t", (), 60)]}
    assert receivers(direct, direct.publish(direct.message(2, author=direct.ME))) == []


def test_a_direct_peer_stays_one_over_reconnects_and_reopened_streams(direct: Node) -> None:
    direct.router.outbound_stream_reopened(DIRECT, protocol="/meshsub/1.1.0", now=direct.now)
    direct.router.effects()
    assert receivers(direct, direct.publish(direct.message(1, author=direct.ME))) == [DIRECT]
    direct.router.peer_disconnected(DIRECT, now=direct.now)
    assert direct.router.effects() == [TopicPeer("t", DIRECT, False)]
    direct.router.peer_connected(
        DIRECT, protocol="/meshsub/1.2.0", outbound=False, ip=None, now=direct.now
    )
    direct.router.receive_rpc(DIRECT, Rpc((SubOpts("t"),)), now=direct.now)
    direct.router.effects()
    assert receivers(direct, direct.publish(direct.message(2, author=direct.ME))) == [DIRECT]
    assert direct.router.mesh("t") == []
