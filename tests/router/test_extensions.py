"""Extensions announced in the first RPC of a stream (v1.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Effect, Lane, SendRpc
from gossipsub.router.extension.params import ExtensionParams, PartialMode
from gossipsub.router.params import TopicParams
from gossipsub.router.score.params import PeerScoreParams
from gossipsub.wire.rpc import Control, Extensions, Rpc, SubOpts
from gossipsub.wire.rpc_codec import RpcLimits, decode_rpc

if TYPE_CHECKING:
    from tests.router.conftest import Node

V13, V12 = "/meshsub/1.3.0", "/meshsub/1.2.0"
BOTH = ExtensionParams(partial_messages=True, test_extension=True)
TEST = ExtensionParams(test_extension=True)
SCORED = PeerScoreParams(behaviour_penalty_weight=-1.0, behaviour_penalty_threshold=0.0)
TEST_MESSAGE = SendRpc(b"w", Rpc(test_extension=True), Lane.CONTROL)


def announcing(extensions: Extensions | None) -> Rpc:
    return Rpc(control=Control(extensions=extensions))


def open_stream(node: Node, protocol: str = V13) -> list[Effect]:
    node.router.peer_connected(b"w", protocol=protocol, outbound=False, ip=None, now=node.now)
    return node.router.effects()


def receive(node: Node, rpc: Rpc) -> list[Effect]:
    node.router.receive_rpc(b"w", rpc, now=node.now)
    return node.router.effects()


def rpcs_of(effects: list[Effect]) -> list[Rpc]:
    return [effect.rpc for effect in effects if isinstance(effect, SendRpc)]


@pytest.mark.rule("EXT-01")
def test_extensions_are_announced_with_the_subscriptions_or_alone(
    make_node: Callable[..., Node],
) -> None:
    for joined in ((), ("a", "b")):
        node = make_node(extensions=BOTH)
        node.join(*joined)
        hello = Rpc(
            subscriptions=tuple(map(SubOpts, joined)),
            control=Control(extensions=Extensions(partial_messages=True, test_extension=True)),
        )
        assert open_stream(node) == [SendRpc(b"w", hello, Lane.URGENT)]


@pytest.mark.rule("EXT-02", "EXT-06")
def test_they_are_announced_once_per_stream(make_node: Callable[..., Node]) -> None:
    node = make_node(extensions=ExtensionParams(partial_messages=True))
    effects = open_stream(node)
    effects += receive(node, announcing(Extensions(True, True)))
    for number in range(25):
        effects += node.join(f"t{number}")
        effects += node.leave(f"t{number}")
        effects += node.tick()
    rpcs = rpcs_of(effects)
    assert len(rpcs) > 50
    assert [rpc.control for rpc in rpcs if rpc.control and rpc.control.extensions] == [
        Control(extensions=Extensions(partial_messages=True))
    ]
    node.router.outbound_stream_reopened(b"w", protocol=V13, now=node.now)
    assert rpcs_of(node.router.effects()) == [announcing(Extensions(partial_messages=True))]


@pytest.mark.rule("EXT-05")
def test_without_extensions_nothing_is_announced(node: Node) -> None:
    assert open_stream(node) == []
    node.join("a")
    node.router.outbound_stream_reopened(b"w", protocol=V13, now=node.now)
    hello = Rpc(subscriptions=(SubOpts("a"),))
    assert node.router.effects() == [SendRpc(b"w", hello, Lane.URGENT)]


@pytest.mark.rule("EXT-08", "WIRE-12")
@pytest.mark.parametrize("protocol", [V12, "/meshsub/1.0.0", "/floodsub/1.0.0"])
def test_older_streams_carry_nothing_of_it(make_node: Callable[..., Node], protocol: str) -> None:
    request = TopicParams(partial_messages=PartialMode.REQUEST)
    node = make_node(extensions=BOTH, topics={"t": request})
    node.join("t")
    effects = open_stream(node, protocol)
    effects += receive(
        node,
        Rpc((SubOpts("t", True, True, True),), control=Control(extensions=Extensions(True, True))),
    )
    assert node.router.publish_partial("t", b"group", now=node.now) == ()
    assert not node.router.send_partial(b"w", "t", b"group", metadata=b"m")
    effects += node.tick() + node.tick()
    for rpc in rpcs_of(effects):
        assert rpc.control is None or rpc.control.extensions is None
        assert rpc.partial is None
        assert not rpc.test_extension


@pytest.mark.rule("EXT-03")
def test_announcing_again_is_misbehaviour_and_changes_nothing(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(extensions=TEST, score=SCORED)
    open_stream(node)
    assert receive(node, announcing(Extensions(test_extension=False))) == []
    assert node.router.score(b"w") == 0.0
    assert receive(node, announcing(Extensions(test_extension=True))) == []
    assert node.router.score(b"w") == -100.0  # P7 is the square of 10
    node.router.outbound_stream_reopened(b"w", protocol=V13, now=node.now)
    assert TEST_MESSAGE not in node.router.effects()  # the first value holds


@pytest.mark.rule("EXT-03")
@pytest.mark.parametrize("first", [Rpc((SubOpts("t"),)), Rpc(control=Control())])
def test_announcing_after_the_first_rpc_is_misbehaviour_and_without_effect(
    make_node: Callable[..., Node], first: Rpc
) -> None:
    node = make_node(extensions=TEST, score=SCORED)
    open_stream(node)
    receive(node, first)
    assert receive(node, announcing(Extensions(test_extension=True))) == []
    assert node.router.score(b"w") == -100.0


@pytest.mark.rule("EXT-03")
def test_without_scoring_announcing_again_is_ignored(make_node: Callable[..., Node]) -> None:
    node = make_node(extensions=TEST)
    open_stream(node)
    receive(node, announcing(None))
    assert receive(node, announcing(Extensions(test_extension=True))) == []


@pytest.mark.rule("EXT-04")
def test_unknown_extensions_are_ignored_and_known_ones_count(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(extensions=TEST, score=SCORED)
    open_stream(node)
    known = bytes.fromhex("9091e21801")  # field 6492434: true
    unknown = bytes.fromhex("58019a91e2180378797a")  # fields 11 and 6492435
    assert decoded(known) == announcing(Extensions(test_extension=True))
    assert receive(node, decoded(unknown[:2] + known + unknown[2:])) == [TEST_MESSAGE]
    assert node.router.score(b"w") == 0.0


def decoded(extensions: bytes) -> Rpc:
    control = bytes([0x32, len(extensions)]) + extensions
    return decode_rpc(bytes([0x1A, len(control)]) + control, RpcLimits())


@pytest.mark.rule("EXT-06")
def test_what_a_peer_announced_is_forgotten_with_its_stream(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(extensions=TEST, score=SCORED)
    open_stream(node)
    assert receive(node, announcing(Extensions(test_extension=True))) == [TEST_MESSAGE]
    node.router.inbound_stream_closed(b"w", now=node.now)
    node.router.outbound_stream_reopened(b"w", protocol=V13, now=node.now)
    assert TEST_MESSAGE not in node.router.effects()
    assert receive(node, announcing(Extensions(test_extension=True))) == [TEST_MESSAGE]
    node.router.peer_disconnected(b"w", now=node.now)
    open_stream(node)
    assert receive(node, announcing(Extensions(test_extension=True))) == [TEST_MESSAGE]
    assert node.router.score(b"w") == 0.0


@pytest.mark.rule("EXT-07")
def test_the_test_extension_is_one_message_once_both_sides_announced_it(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(extensions=TEST)
    assert TEST_MESSAGE not in open_stream(node)
    assert receive(node, announcing(Extensions(test_extension=True))) == [TEST_MESSAGE]
    assert receive(node, Rpc(test_extension=True)) == []
    # A new stream of ours starts with its announcement; theirs is known already.
    node.router.outbound_stream_reopened(b"w", protocol=V13, now=node.now)
    hello = SendRpc(b"w", announcing(Extensions(test_extension=True)), Lane.URGENT)
    assert node.router.effects() == [hello, TEST_MESSAGE]


@pytest.mark.rule("EXT-07")
def test_no_test_message_goes_to_a_peer_that_announced_another_extension(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(extensions=BOTH)
    open_stream(node)
    assert receive(node, announcing(Extensions(partial_messages=True))) == []


def test_a_graylisted_peer_has_spoken_all_the_same(make_node: Callable[..., Node]) -> None:
    node = make_node(extensions=TEST)
    open_stream(node)
    node.scores[b"w"] = -1_000_000.0
    receive(node, Rpc((SubOpts("t"),)))
    node.scores[b"w"] = 0.0
    assert receive(node, announcing(Extensions(test_extension=True))) == []
