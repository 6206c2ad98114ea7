"""The watcher sees what a node sends that an honest one would not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gossipsub.router.params import BackoffParams
from gossipsub.router.score.params import PeerScoreParams
from gossipsub.testing import (
    FLOODSUB,
    GOSSIPSUB_V10,
    GossipParams,
    Network,
    SendRpc,
    connect_line,
)
from gossipsub.testing.nodes import OutgoingFunction
from gossipsub.testing.wire_watch import WireWatch
from gossipsub.wire.rpc import Control, Graft, IDontWant, IHave, IWant, Message, Prune, Rpc

TOPIC = "t"
PARAMS = GossipParams(backoff=BackoffParams(prune_backoff=4.0, unsubscribe_backoff=2.0))


def line(watch: WireWatch, count: int = 3, **options: object) -> Network:
    network = Network(params=PARAMS, observer=watch)
    connect_line(network, network.add_nodes(count, **options))
    for node in network.nodes:
        network.subscribe(node, TOPIC)
    network.run_for(2.0)
    return network


def test_an_honest_network_shows_no_fault() -> None:
    watch = WireWatch(PARAMS)
    network = line(watch)
    network.publish(network.nodes[0], TOPIC, 5000)
    network.run_for(1.0)
    network.unsubscribe(network.nodes[1], TOPIC)
    network.run_for(20.0)
    assert watch.wrong == []
    assert watch.counts["deliveries"] == 3
    assert min(watch.counts[kind] for kind in ("grafts", "prunes", "messages", "heartbeats")) > 0


def adding(control: Control) -> OutgoingFunction:
    """Whatever is sent with a message, a control message goes along."""

    def change(effect: SendRpc) -> Rpc:
        rpc = effect.rpc
        return Rpc(publish=rpc.publish, control=control) if rpc.publish else rpc

    return change


@pytest.mark.parametrize(
    ("control", "protocols", "fault"),
    [
        (Control(ihave=(IHave(TOPIC, (b"1",)),)), None, "IHAVE to a mesh peer"),
        (
            Control(ihave=(IHave("other", (b"1",)),)),
            None,
            "IHAVE of a topic that the peer is not in",
        ),
        (Control(iwant=(IWant((b"1",)),)), None, "IWANT for what the peer did not offer"),
        (
            Control(idontwant=(IDontWant((b"1",)),)),
            (GOSSIPSUB_V10,),
            "IDONTWANT for a peer that does not know it",
        ),
        (
            Control(graft=(Graft("other"),)),
            None,
            "GRAFT in a topic that one of both is not in",
        ),
        (Control(ihave=(IHave(TOPIC, (b"1",)),)), (FLOODSUB,), "control for a floodsub peer"),
    ],
)
def test_control_that_is_out_of_place_is_seen(
    control: Control, protocols: tuple[str, ...] | None, fault: str
) -> None:
    watch = WireWatch(PARAMS)
    network = line(watch, protocols=protocols)
    network.nodes[0].outgoing = adding(control)
    network.publish(network.nodes[0], TOPIC, 16)
    assert watch.wrong == [f"2.000 Node(0) to Node(1): {fault}"]


def test_a_graft_in_a_backoff_is_seen() -> None:
    watch = WireWatch(PARAMS)
    network = line(watch)
    network.nodes[1].outgoing = adding(Control(prune=(Prune(TOPIC, backoff=4),)))
    network.nodes[0].outgoing = adding(Control(graft=(Graft(TOPIC),)))
    network.publish(network.nodes[1], TOPIC, 16)  # prunes both, by its own words
    network.run_for(1.0)
    network.publish(network.nodes[0], TOPIC, 16)
    assert watch.wrong[0] == "3.000 Node(0) to Node(1): GRAFT in a backoff until 6.05"


def test_a_prune_states_its_backoff_to_who_knows_what_that_is() -> None:
    watch = WireWatch(PARAMS)
    network = line(watch)
    network.nodes[0].outgoing = adding(Control(prune=(Prune(TOPIC),)))
    network.publish(network.nodes[0], TOPIC, 16)
    assert "PRUNE with backoff None" in watch.wrong[0]


def replacing(message: Callable[[Message], Message]) -> OutgoingFunction:
    def change(effect: SendRpc) -> Rpc:
        rpc = effect.rpc
        return Rpc(publish=(message(rpc.publish[0]),)) if rpc.publish else rpc

    return change


def test_messages_that_go_where_they_should_not_are_seen() -> None:
    watch = WireWatch(PARAMS)
    network = line(watch)
    first, middle, _ = network.nodes
    first.outgoing = replacing(
        lambda each: Message("other", each.data, each.from_peer, each.seqno, each.signature)
    )
    network.publish(first, TOPIC, 16)
    first.outgoing = replacing(lambda each: Message(TOPIC, b"", middle.id, bytes(8), b"s"))
    network.publish(first, TOPIC, 16)
    network.publish(first, TOPIC, 16)  # the same again
    prefix = "2.000 Node(0) to Node(1): a message"
    assert watch.wrong == [
        f"{prefix} of a topic that the peer did not ask for",
        f"{prefix} back to its author",
        f"{prefix} back to its author",
        f"{prefix} for the second time",
    ]


def test_a_message_that_was_refused_or_came_from_there_is_seen() -> None:
    watch = WireWatch(PARAMS)
    network = line(watch)
    first, middle, last = network.nodes
    copies: list[Message] = []

    def keep(effect: SendRpc) -> Rpc:
        copies.extend(effect.rpc.publish)
        return effect.rpc

    first.outgoing = keep
    receipt = network.publish(first, TOPIC, 16)
    network.run_for(1.0)
    middle.outgoing = replacing(lambda each: copies[0])
    network.publish(middle, TOPIC, 16)
    assert "3.000 Node(1) to Node(0): a message back to who sent it" in watch.wrong
    assert receipt is not None
    refusal = Control(idontwant=(IDontWant((receipt.message_id,)),))
    last.outgoing = adding(refusal)
    network.publish(last, TOPIC, 16)
    network.run_for(0.5)
    watch.wrong.clear()
    network.publish(middle, TOPIC, 16)
    assert "3.500 Node(1) to Node(2): a message that the peer refused" in watch.wrong


def test_a_low_score_of_an_honest_peer_is_seen_where_it_is_expected_to_be_good() -> None:
    score = PeerScoreParams(app_specific_score=lambda peer: -1.0, app_specific_weight=1.0)
    params = GossipParams(score=score)
    for expected in (True, False):
        watch = WireWatch(params)
        watch.expects_good_scores = expected
        network = Network(params=params, observer=watch)
        connect_line(network, network.add_nodes(2))
        network.run_for(2.5)
        assert bool(watch.wrong) is expected


def test_what_is_sent_twice_on_request_is_no_fault() -> None:
    watch = WireWatch(PARAMS)
    network = line(watch)
    receipt = network.publish(network.nodes[1], TOPIC, 16)
    network.run_for(0.5)
    assert receipt is not None
    network.nodes[0].outgoing = adding(Control(iwant=(IWant((receipt.message_id,)),)))
    network.publish(network.nodes[0], TOPIC, 16)
    network.run_for(0.5)
    assert watch.counts["answers"] == 1
    assert [fault.split(": ")[1] for fault in watch.wrong] == [
        "IWANT for what the peer did not offer"
    ]
