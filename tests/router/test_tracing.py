"""What a router traces, event by event; and that nothing is traced unless asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.admission.gater import PeerGaterParams
from gossipsub.router.effects import Effect, Trace, TraceKind, Validate, Verdict
from gossipsub.router.params import RouterLimits, SignaturePolicy, TopicParams
from gossipsub.wire.rpc import Control, Graft, Message, Prune, Rpc, SubOpts

if TYPE_CHECKING:
    from tests.router.conftest import Node

PROTOCOL = "/meshsub/1.2.0"


def traces(effects: Iterable[Effect]) -> list[Trace]:
    return [effect for effect in effects if isinstance(effect, Trace)]


def happened(effects: Iterable[Effect]) -> list[Trace]:
    """Without what came in: the inputs of these tests are received RPCs, nearly all."""
    return [trace for trace in traces(effects) if trace.kind is not TraceKind.RECV_RPC]


def rejected(reason: str, message_id: bytes | None, peer: bytes = b"b") -> Trace:
    return Trace(TraceKind.REJECT_MESSAGE, peer, "t", message_id, reason)


def validation(effects: Iterable[Effect]) -> Validate:
    (found,) = [effect for effect in effects if isinstance(effect, Validate)]
    return found


@pytest.fixture
def node(make_node: Callable[..., Node]) -> Node:
    """Joined, with b and c in its mesh."""
    node = make_node(tracing=True)
    node.join("t")
    node.connect([b"b", b"c"], graft=["t"])
    return node


def test_nothing_is_traced_unless_asked_for(make_node: Callable[..., Node]) -> None:
    node = make_node()
    effects = [*node.join("t"), *node.connect([b"b", b"c"], graft=["t"])]
    effects += node.accept(b"b", node.message())
    effects += [*node.publish(node.message(author=node.ME)), *node.wait(2.0), *node.leave("t")]
    assert traces(effects) == []


def test_peers_that_come_and_go(make_node: Callable[..., Node]) -> None:
    node = make_node(tracing=True)
    assert traces(node.connect([b"b"], topics=[])) == [
        Trace(TraceKind.ADD_PEER, b"b", detail=PROTOCOL),
        Trace(TraceKind.RECV_RPC, b"b", rpc=Rpc(control=Control())),
    ]
    node.router.outbound_stream_reopened(b"b", protocol="/meshsub/1.1.0", now=0.0)
    assert traces(node.router.effects()) == [
        Trace(TraceKind.REMOVE_PEER, b"b"),
        Trace(TraceKind.ADD_PEER, b"b", detail="/meshsub/1.1.0"),
    ]
    node.router.peer_disconnected(b"b", now=0.0)
    node.router.peer_disconnected(b"b", now=0.0)
    assert traces(node.router.effects()) == [Trace(TraceKind.REMOVE_PEER, b"b")]


def test_what_a_peer_sends_is_traced_before_what_it_causes(node: Node) -> None:
    rpc = Rpc((SubOpts("u"),), control=Control(prune=(Prune("t"),)))
    node.router.receive_rpc(b"b", rpc, now=0.0)
    assert traces(node.router.effects()) == [
        Trace(TraceKind.RECV_RPC, b"b", rpc=rpc),
        Trace(TraceKind.PRUNE, b"b", "t"),
    ]
    node.router.receive_rpc(b"stranger", rpc, now=0.0)
    assert node.router.effects() == []


def test_joining_and_leaving_with_the_mesh_between(make_node: Callable[..., Node]) -> None:
    node = make_node(tracing=True)
    node.connect([b"b"])
    assert traces(node.join("t", "t")) == [
        Trace(TraceKind.JOIN, topic="t"),
        Trace(TraceKind.GRAFT, b"b", "t"),
    ]
    assert traces(node.leave("t", "t")) == [
        Trace(TraceKind.LEAVE, topic="t"),
        Trace(TraceKind.PRUNE, b"b", "t"),
    ]


def test_a_peer_that_is_gone_is_pruned_so_that_every_graft_has_its_prune(node: Node) -> None:
    node.router.peer_disconnected(b"b", now=0.0)
    assert traces(node.router.effects()) == [
        Trace(TraceKind.PRUNE, b"b", "t"),
        Trace(TraceKind.REMOVE_PEER, b"b"),
    ]


def test_a_graft_that_is_refused_is_none(node: Node) -> None:
    node.receive(b"b", prune=(Prune("t", backoff=60),))
    assert happened(node.receive(b"b", graft=(Graft("t"),))) == []
    assert [trace.kind for trace in happened(node.receive(b"c", prune=(Prune("t"),)))] == [
        TraceKind.PRUNE
    ]


def test_a_message_from_its_receipt_to_its_delivery(node: Node) -> None:
    message, its_id = node.message(), node.message_id()
    validate = validation(node.receive(b"b", publish=[message]))
    assert happened(node.receive(b"c", publish=[message])) == [
        Trace(TraceKind.DUPLICATE_MESSAGE, b"c", "t", its_id)
    ]
    assert traces(node.verdict(validate)) == [Trace(TraceKind.DELIVER_MESSAGE, b"b", "t", its_id)]
    assert happened(node.receive(b"c", publish=[message])) == [
        Trace(TraceKind.DUPLICATE_MESSAGE, b"c", "t", its_id)
    ]


def test_a_relay_traces_a_delivery_as_go_does(node: Node) -> None:
    node.router.subscribe("t", deliver=False, now=0.0)
    validate = validation(node.receive(b"b", publish=[node.message()]))
    assert traces(node.verdict(validate)) == [
        Trace(TraceKind.DELIVER_MESSAGE, b"b", "t", node.message_id())
    ]


def test_an_own_message_is_published_and_delivered_and_a_second_time_a_duplicate(
    node: Node,
) -> None:
    message, its_id = node.message(author=node.ME), node.message_id(author=node.ME)
    assert traces(node.publish(message)) == [
        Trace(TraceKind.PUBLISH_MESSAGE, None, "t", its_id),
        Trace(TraceKind.DELIVER_MESSAGE, None, "t", its_id),
    ]
    assert traces(node.publish(message)) == [
        Trace(TraceKind.PUBLISH_MESSAGE, None, "t", its_id),
        Trace(TraceKind.DUPLICATE_MESSAGE, None, "t", its_id),
    ]


@pytest.mark.rule("TRC-02")
@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict.REJECT, "validation failed"),
        (Verdict.IGNORE, "validation ignored"),
        (Verdict.INVALID_SIGNATURE, "invalid signature"),
        (Verdict.QUEUE_FULL, "validation queue full"),
        (Verdict.THROTTLED, "validation throttled"),
    ],
)
def test_verdicts_are_traced_by_gos_names(node: Node, verdict: Verdict, reason: str) -> None:
    validate = validation(node.receive(b"b", publish=[node.message()]))
    assert traces(node.verdict(validate, verdict)) == [rejected(reason, node.message_id())]
    assert node.router.undelivered() == {reason: 1}


@pytest.mark.rule("TRC-02")
def test_refusals_before_validation_are_traced_by_gos_names(node: Node) -> None:
    its_id, own_id = node.message_id(), node.message_id(author=node.ME)
    for message, reason, message_id in (
        (replace(node.message(), signature=None), "missing signature", its_id),
        (node.message(author=node.ME), "self originated message", own_id),
        (replace(node.message(), from_peer=None), "missing signature", None),
    ):
        assert happened(node.receive(b"b", publish=[message])) == [rejected(reason, message_id)]


@pytest.mark.rule("TRC-02")
def test_refusals_of_a_topic_that_wants_no_signatures(make_node: Callable[..., Node]) -> None:
    unsigned = TopicParams(
        signature_policy=SignaturePolicy.STRICT_NO_SIGN, message_id=lambda message: b"id"
    )
    node = make_node(tracing=True, topics={"t": unsigned})
    node.join("t")
    node.connect([b"b"])
    for message, reason in (
        (Message("t", b"1", signature=b"s"), "unexpected signature"),
        (Message("t", b"1", from_peer=b"a"), "unexpected auth info"),
    ):
        assert happened(node.receive(b"b", publish=[message])) == [rejected(reason, b"id")]


@pytest.mark.rule("TRC-02")
def test_messages_of_blacklisted_peers_and_sources_are_traced_by_gos_names(node: Node) -> None:
    message, its_id = node.message(), node.message_id()
    node.router.blacklist(node.AUTHOR, now=0.0)
    assert happened(node.receive(b"b", publish=[message])) == [
        rejected("blacklisted source", its_id)
    ]
    node.router.blacklist(b"b", now=0.0)
    node.router.peer_disconnected(b"b", now=0.0)
    node.router.effects()
    assert traces(node.receive(b"b", publish=[message])) == [rejected("blacklisted peer", its_id)]


def test_a_message_without_an_id_and_one_too_many_are_rejected(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(tracing=True, limits=RouterLimits(max_pending=1))
    node.join("t")
    node.connect([b"b"])
    node.receive(b"b", publish=[node.message(1)])
    assert happened(node.receive(b"b", publish=[node.message(2)])) == [
        rejected("validation queue full", node.message_id(2))
    ]
    nameless = make_node(tracing=True, message_id=lambda message: None)
    nameless.join("t")
    nameless.connect([b"b"])
    assert happened(nameless.receive(b"b", publish=[node.message()])) == [
        rejected("no message id", None)
    ]


def test_the_heartbeat_traces_whom_it_prunes(make_node: Callable[..., Node]) -> None:
    node = make_node(tracing=True)
    node.join("t")
    node.connect(node.peers(20), outbound=True, graft=["t"])
    before = node.router.mesh("t")
    pruned = traces(node.tick())
    gone = [peer for peer in before if peer not in node.router.mesh("t")]
    assert len(gone) == 14
    assert pruned == [Trace(TraceKind.PRUNE, peer, "t") for peer in gone]


def test_a_peer_that_the_gater_throttles_is_traced_with_its_messages(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(tracing=True, gater=PeerGaterParams())
    node.join("t")
    node.connect([b"b"])
    arrived = [node.message(number) for number in range(1, 201)]
    effects = node.receive(b"b", publish=arrived)
    for number, validate in enumerate(each for each in effects if isinstance(each, Validate)):
        node.verdict(validate, Verdict.REJECT if number % 2 else Verdict.QUEUE_FULL)
    told: list[Trace] = []
    for number in range(300, 320):
        told += happened(node.receive(b"b", publish=[node.message(number)]))
    throttled = Trace(TraceKind.THROTTLE_PEER, b"b")
    expected = [
        trace
        for number in range(300, 320)
        for trace in (throttled, rejected("peer throttled", node.message_id(number)))
    ]
    assert told == expected
