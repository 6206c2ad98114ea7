"""The router as a whole: peers that come and go, order, determinism."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Lane, SendRpc, Validate
from gossipsub.router.features import Features
from gossipsub.router.params import LazyParams, MeshParams
from gossipsub.router.score.params import PeerScoreParams
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Control, Graft, IHave, IWant, Prune, Rpc, SubOpts

if TYPE_CHECKING:
    from tests.router.conftest import Node


def test_a_peer_cannot_connect_twice_and_nothing_changes(node: Node) -> None:
    node.connect([b"w"])
    before = node.router.snapshot()
    for peer in (b"w", node.ME):
        with pytest.raises(LocalProtocolError) as caught:
            node.router.peer_connected(
                peer, protocol="/meshsub/1.1.0", outbound=True, ip=None, now=0.0
            )
        assert str(caught.value) == f"the peer is connected already: {peer.hex()}"
    assert node.router.snapshot() == before


def test_inputs_that_name_an_unknown_peer_have_no_effect(node: Node) -> None:
    node.join("t")
    before = node.router.snapshot()
    rpc = Rpc(
        (SubOpts("t"),),
        (node.message(),),
        Control(graft=(Graft("t"),), ihave=(IHave("t", (b"x",)),)),
    )
    node.router.receive_rpc(b"w", rpc, now=0.0)
    node.router.rpc_dropped(b"w", rpc, now=0.0)
    node.router.peer_disconnected(b"w", now=0.0)
    node.router.inbound_stream_closed(b"w", now=0.0)
    node.router.outbound_stream_reopened(b"w", protocol="/meshsub/1.2.0", now=0.0)
    assert node.router.effects() == []
    assert node.router.snapshot() == before


@pytest.mark.rule("WIRE-16")
def test_a_hundred_peers_that_came_and_went_leave_nothing_but_backoffs(node: Node) -> None:
    node.join("t")
    for peer in node.peers(100):
        node.connect([peer], topics=("t", "u"), graft=("t",))
        node.receive(peer, ihave=(IHave("t", (b"x",)),), prune=(Prune("t", (), 5),))
        node.receive(peer, publish=[node.message(int(peer[1:]))], graft=(Graft("t"),))
        rpc = Rpc((SubOpts("t"),), (), Control(prune=(Prune("t", (), 5),)))
        node.router.rpc_dropped(peer, rpc, now=node.now)
    for peer in node.peers(100):
        node.router.peer_disconnected(peer, now=node.now)
    snapshot = node.router.snapshot()
    assert snapshot.mesh == {"t": ()}
    assert (snapshot.peers, snapshot.known_topics, snapshot.backoffs) == ({}, 0, 100)
    assert (snapshot.announcements_owed, snapshot.control_owed) == (0, 0)
    node.router.effects()
    assert node.wait(10.0) == []


@pytest.mark.rule("WIRE-16")
def test_a_peer_that_came_back_has_a_fresh_budget_and_no_old_topics(node: Node) -> None:
    node.connect([b"w"], topics=("t", "u"))
    node.router.peer_disconnected(b"w", now=0.0)
    node.connect([b"w"], topics=("u",))
    assert node.router.topic_peers("t") == []
    assert node.router.topic_peers("u") == [b"w"]


@pytest.mark.rule("WIRE-15")
def test_peers_that_were_there_first_learn_of_a_later_subscription(node: Node) -> None:
    node.connect([b"w"])
    assert node.join("t") == [
        SendRpc(b"w", Rpc(subscriptions=(SubOpts("t"),)), Lane.CONTROL),
        node.graft(b"w", "t"),
    ]


@pytest.mark.rule("CFG-08")
def test_applications_may_name_protocols_and_their_features(
    make_node: Callable[..., Node],
) -> None:
    table = {"/x/1": Features(mesh=True), "/x/2": Features(mesh=True, peer_exchange=True)}
    node = make_node(protocols=("/x/2", "/x/1"), features=lambda protocol: table[protocol])
    node.connect([b"one"], protocol="/x/1")
    node.connect([b"two"], protocol="/x/2")
    node.join("t")
    pruned = node.controls(node.leave("t"), "prune")
    assert pruned == {b"one": [Prune("t")], b"two": [Prune("t", (), 10)]}


@pytest.mark.rule("THR-07")
def test_without_scoring_every_score_is_zero(node: Node) -> None:
    node.connect([b"w"])
    assert node.router.score(b"w") == node.router.score(b"unknown") == 0.0


def test_control_is_handled_in_the_order_ihave_iwant_graft_prune(node: Node) -> None:
    node.join("t")
    node.publish(node.message(author=node.ME))
    node.connect([b"w"], topics=())
    effects = node.receive(
        b"w",
        prune=(Prune("t", (), 60),),
        graft=(Graft("t"),),
        iwant=(IWant((node.message_id(author=node.ME),)),),
        ihave=(IHave("t", (b"x",)),),
    )
    assert node.router.mesh("t") == []  # pruned after it was grafted
    assert effects == [
        SendRpc(b"w", Rpc(publish=(node.message(author=node.ME),)), Lane.FORWARDED),
        SendRpc(b"w", Rpc(control=Control(iwant=(IWant((b"x",)),))), Lane.FORWARDED),
    ]


def test_an_entry_without_subscribe_withdraws(node: Node) -> None:
    node.connect([b"w"])
    node.router.receive_rpc(b"w", Rpc((SubOpts("t", False),)), now=0.0)
    assert node.router.topic_peers("t") == []


def test_an_empty_rpc_has_no_effect(node: Node) -> None:
    node.connect([b"w"])
    before = node.router.snapshot()
    assert node.receive(b"w") == []
    assert node.router.snapshot() == before


def test_queries_tell_what_is_joined_and_connected(node: Node) -> None:
    node.join("b", "a")
    node.connect([b"w"], topics=("a",))
    assert node.router.topics() == ["b", "a"]
    assert node.router.peers() == [b"w"]
    assert node.router.mesh("a") == [b"w"]
    assert node.router.mesh("unknown") == []
    assert node.router.effects() == []


def test_early_timers_are_harmless(node: Node) -> None:
    node.join("t")
    node.publish(node.message(author=node.ME))
    node.router.effects()
    for _ in range(10):
        node.router.handle_timer(now=0.05)
    assert node.router.snapshot().cached == 1
    assert node.router.next_deadline() == 0.1


SCRIPT = """
import random
from gossipsub.router.effects import Validate, Verdict
from gossipsub.router.params import GossipParams
from gossipsub.router.router import Router
from gossipsub.wire.rpc import *

router = Router(GossipParams(flood_publish=False), me=b"me", rng=random.Random(7), now=0.0)
script = random.Random(8)
peers = [b"peer %d" % n for n in range(40)]
topics = ["topic %d" % n for n in range(5)]
log, now = [], 0.0

def note():
    for effect in router.effects():
        log.append(repr(effect))
        if isinstance(effect, Validate):
            router.validation_result(effect.ticket, script.choice(list(Verdict)), now=now)

for topic in topics[:3]:
    router.subscribe(topic, now=now)
for n, peer in enumerate(peers):
    protocol = ("/meshsub/1.2.0", "/meshsub/1.0.0", "/floodsub/1.0.0")[n % 9 % 3]
    router.peer_connected(peer, protocol=protocol, outbound=n % 4 == 0, ip=None, now=now)
    options = tuple(SubOpts(topic) for topic in topics if script.random() < 0.8)
    router.receive_rpc(peer, Rpc(options), now=now)
for n in range(3000):
    now += script.random() * 0.02
    router.handle_timer(now=now)
    peer, topic = script.choice(peers), script.choice(topics)
    seqno = script.randrange(500).to_bytes(8, "big")
    ids = tuple(b"author" + script.randrange(600).to_bytes(8, "big") for _ in range(20))
    message = Message(topic, b"data", b"author", seqno, b"signature", encoding=seqno)
    match n % 7:
        case 0 | 1:
            router.receive_rpc(peer, Rpc(publish=(message,)), now=now)
        case 2:
            router.receive_rpc(peer, Rpc(control=Control(ihave=(IHave(topic, ids),))), now=now)
        case 3:
            router.receive_rpc(peer, Rpc(control=Control(graft=(Graft(topic),))), now=now)
        case 4:
            router.receive_rpc(peer, Rpc(control=Control(prune=(Prune(topic, (), 3),))), now=now)
        case 5:
            router.receive_rpc(peer, Rpc(control=Control(iwant=(IWant(ids),))), now=now)
        case 6:
            mine = Message(topic, b"mine", b"me", n.to_bytes(8, "big"), b"signature")
            router.publish(mine, now=now)
    note()
    note()
for topic in topics[:3]:
    router.unsubscribe(topic, now=now)
note()
print(len(log))
print("\\n".join(log))
"""


def test_equal_inputs_give_equal_effects_under_any_hash_seed() -> None:
    outputs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    ]
    assert outputs[0] == outputs[1] == outputs[2]
    assert int(outputs[0].split(b"\n", 1)[0]) > 5000
    for kind in (b"Validate(", b"Deliver(", b"iwant=(IWant", b"ihave=(IHave", b"prune=(Prune"):
        assert kind in outputs[0]


def test_validate_names_the_peer_and_the_id(node: Node) -> None:
    node.join("t")
    node.connect([b"w"])
    assert node.receive(b"w", publish=[node.message(1), node.message(2)]) == [
        Validate(1, b"w", node.message(1), node.message_id(1)),
        Validate(2, b"w", node.message(2), node.message_id(2)),
    ]


@pytest.mark.rule("MESH-09")
def test_a_heartbeat_does_one_thing_after_the_other(make_node: Callable[..., Node]) -> None:
    node = make_node(
        mesh=MeshParams(d=2, d_low=2, d_high=4, d_score=1, d_out=0),
        lazy=LazyParams(history_gossip=1),
        score=PeerScoreParams(behaviour_penalty_weight=-1.0, behaviour_penalty_decay=0.99),
        flood_publish=False,
    )
    node.join("t")
    node.wait(0.2)
    node.connect([b"liar", b"good"], graft=["t"])
    node.connect([b"back"], topics=())
    node.receive(b"back", prune=[Prune("t", (), 1)])  # may be grafted from 3.2 on
    node.receive(b"back", subscribe=["t"])
    node.receive(b"liar", ihave=[IHave("t", [b"promised"])])  # to come until 3.2
    node.connect([b"fan1"], topics=["f"])
    node.publish(node.message(1, topic="f", author=node.ME))
    node.wait(3.0)
    node.connect([b"fan2"], topics=["f"])
    node.publish(node.message(2, topic="f", author=node.ME))
    node.publish(node.message(3, author=node.ME))
    assert node.router.snapshot().backoffs == 1
    effects = node.wait(1.0)
    # The broken promise costs the liar its place, which goes to the one whose backoff is over.
    # The liar hears gossip with its PRUNE; who is in mesh or fanout by now does not; and the
    # window is shifted last, or there would be nothing to gossip about.
    ihave = (IHave("t", (node.message_id(3, author=node.ME),)),)
    pruned = Control(ihave=ihave, prune=(Prune("t", (), 60),))
    assert effects == [
        SendRpc(b"liar", Rpc(control=pruned), Lane.CONTROL),
        SendRpc(b"back", Rpc(control=Control(graft=(Graft("t"),))), Lane.CONTROL),
    ]
    assert node.router.snapshot().fanout == {"f": (b"fan1", b"fan2")}
    assert node.router.mesh("t") == [b"good", b"back"]
    assert node.controls(node.wait(1.0), "ihave") == {}
