"""What peers announced: the topic table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import TopicPeer
from gossipsub.router.params import RouterLimits
from gossipsub.wire.rpc import Graft, Rpc, SubOpts

if TYPE_CHECKING:
    from tests.router.conftest import Node


@pytest.mark.rule("SUB-04", "SUB-07")
def test_the_table_follows_what_peers_announce_and_repeats_are_no_news(node: Node) -> None:
    node.connect([b"w", b"v"], topics=())
    assert node.receive(b"w", subscribe=["t", "u"]) == [
        TopicPeer("t", b"w", True),
        TopicPeer("u", b"w", True),
    ]
    assert node.receive(b"v", subscribe=["t"]) == [TopicPeer("t", b"v", True)]
    assert node.receive(b"v", subscribe=["t"]) == []
    assert node.router.topic_peers("t") == [b"w", b"v"]
    assert node.router.topic_peers("u") == [b"w"]
    assert node.receive(b"w", unsubscribe=["t"]) == [TopicPeer("t", b"w", False)]
    assert node.receive(b"w", unsubscribe=["t"]) == []
    assert node.router.topic_peers("t") == [b"v"]


@pytest.mark.rule("SUB-06")
def test_no_empty_topic_is_left_behind(node: Node) -> None:
    node.connect([b"w"], topics=("t",))
    node.receive(b"w", unsubscribe=[f"unknown {number}" for number in range(10_000)])
    assert node.router.snapshot().known_topics == 1
    node.receive(b"w", unsubscribe=["t"])
    assert node.router.snapshot().known_topics == 0
    assert node.router.topic_peers("asking creates none") == []
    node.receive(b"w", subscribe=["t"])
    node.router.peer_disconnected(b"w", now=node.now)
    assert node.router.snapshot().known_topics == 0


@pytest.mark.rule("SUB-11")
def test_the_number_of_topics_per_peer_is_bounded(make_node: Callable[..., Node]) -> None:
    node = make_node(limits=RouterLimits(max_topics_per_peer=10))
    node.connect([b"w"], topics=[f"a{number}" for number in range(6)])
    node.receive(b"w", subscribe=[f"b{number}" for number in range(5)])
    assert node.router.snapshot().known_topics == 10
    assert node.router.topic_peers("b4") == []
    assert node.receive(b"w", unsubscribe=["a0"]) == [TopicPeer("a0", b"w", False)]
    assert node.receive(b"w", subscribe=["b4"]) == [TopicPeer("b4", b"w", True)]


@pytest.mark.rule("SUB-11")
def test_an_overlong_topic_name_is_not_remembered(make_node: Callable[..., Node]) -> None:
    node = make_node(limits=RouterLimits(max_topic_length=4))
    node.connect([b"w"], topics=["four", "fives"])
    assert node.router.snapshot().known_topics == 1


@pytest.mark.rule("FILT-06")
def test_any_topic_name_is_accepted(node: Node) -> None:
    names = ["", "\x00", "ü/ñ", "/eth2/beacon_block/ssz_snappy", " "]
    node.connect([b"w"], topics=names)
    assert [node.router.topic_peers(name) for name in names] == [[b"w"]] * 5


@pytest.mark.rule("SUB-09")
def test_a_graylisted_peers_subscriptions_count_and_nothing_else(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=())
    node.scores[b"w"] = -80.1
    effects = node.receive(b"w", subscribe=["x"], publish=[node.message()], graft=(Graft("t"),))
    assert effects == [TopicPeer("x", b"w", True)]
    assert node.router.mesh("t") == []
    node.scores[b"w"] = -80.0
    assert len(node.receive(b"w", publish=[node.message()])) == 1


@pytest.mark.rule("WIRE-21")
def test_what_was_announced_on_a_stream_is_forgotten_with_it(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=("t", "u"))
    assert node.router.mesh("t") == [b"w"]
    node.router.inbound_stream_closed(b"w", now=node.now)
    assert node.router.effects() == [TopicPeer("t", b"w", False), TopicPeer("u", b"w", False)]
    assert node.router.mesh("t") == []
    assert node.router.peers() == [b"w"]
    assert node.receive(b"w", subscribe=["t"])[0] == TopicPeer("t", b"w", True)


@pytest.mark.rule("WIRE-21")
def test_a_new_outbound_stream_starts_with_the_complete_hello(node: Node) -> None:
    node.join("t", "u")
    node.connect([b"w"], topics=("t",))
    assert node.router.mesh("t") == [b"w"]
    node.router.outbound_stream_reopened(b"w", protocol="/meshsub/1.2.0", now=node.now)
    assert [effect.rpc for effect in node.router.effects()] == [  # type: ignore[union-attr]
        Rpc(subscriptions=(SubOpts("t"), SubOpts("u")))
    ]
    assert node.router.mesh("t") == []
    assert node.router.topic_peers("t") == [b"w"]
    assert node.tick() == [node.graft(b"w", "t")]


@pytest.mark.rule("WIRE-12")
def test_a_reopened_stream_may_speak_another_version(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=("t",))
    node.router.outbound_stream_reopened(b"w", protocol="/floodsub/1.0.0", now=node.now)
    node.router.effects()
    assert node.tick() == []
    node.connect([b"v"], protocol="/floodsub/1.0.0")
    assert [*node.sent(node.accept(b"v", node.message()))] == [b"w"]
    node.router.outbound_stream_reopened(b"w", protocol="/meshsub/1.1.0", now=node.now)
    node.router.effects()
    assert node.tick() == [node.graft(b"w", "t")]
    assert [len(rpcs) for rpcs in node.sent(node.accept(b"v", node.message(2))).values()] == [1]


@pytest.mark.rule("OUT-04")
def test_the_first_connection_decides_who_is_outbound(make_node: Callable[..., Node]) -> None:
    node = make_node()
    node.join("t")
    inbound, late = node.peers(13), b"late"
    node.connect(inbound[:12], topics=(), graft=("t",))
    node.connect([inbound[12]], topics=(), graft=("t",))
    assert inbound[12] not in node.router.mesh("t")
    node.connect([late], topics=(), graft=("t",), outbound=True)
    assert late in node.router.mesh("t")
