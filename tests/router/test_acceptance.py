"""What of an RPC counts, and in which order that is decided."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from gossipsub.router.admission.acceptance import Acceptance
from gossipsub.router.admission.gater import PeerGater, PeerGaterParams
from gossipsub.router.callbacks import Callbacks
from gossipsub.router.effects import Lane, SendRpc, TopicPeer, Validate, Verdict
from gossipsub.router.features import Features
from gossipsub.router.message_id import origin_id
from gossipsub.router.params import GossipParams, LazyParams
from gossipsub.router.peers import Peer
from gossipsub.wire.rpc import Control, Graft, IDontWant, IHave, IWant, Message, Rpc, SubOpts

W = b"w"
FULL = Rpc(
    subscriptions=(SubOpts("u"),),
    publish=(Message("t", b"data"),),
    control=Control(graft=(Graft("t"),)),
)


# Direct peers


@pytest.mark.rule("GATE-07")
def test_direct_peers_pass_the_graylist_and_the_gater() -> None:
    gater = PeerGater(PeerGaterParams(), rng=Random(1), now=0.0)
    scores = {W: 0.0}
    acceptance = Acceptance(
        GossipParams(), score=scores.__getitem__, gater=gater, callbacks=Callbacks()
    )
    record = Peer(W, "/meshsub/1.2.0", Features(mesh=True), False, "1.1.1.1")
    gater.add_peer(W, "1.1.1.1")
    for _ in range(10_000):
        gater.judged(W, "t", Verdict.REJECT, 0.0)
        gater.judged(W, "t", Verdict.QUEUE_FULL, 0.0)
    assert acceptance.is_heeded(record)
    assert not acceptance.takes_messages(record, 0.0)
    scores[W] = -80.001
    assert not acceptance.is_heeded(record)
    assert acceptance.graylisted([record]) == [W]
    record.direct = True
    assert acceptance.is_heeded(record)
    assert acceptance.takes_messages(record, 0.0)
    assert acceptance.graylisted([record]) == []


# The inspector


@pytest.mark.rule("VAL-17")
@pytest.mark.parametrize("answer", [False, ZeroDivisionError()])
def test_the_inspector_can_drop_a_whole_rpc(make_node: Callable[..., Any], answer: object) -> None:
    inspected = []

    def inspector(peer: bytes, rpc: Rpc) -> bool:
        inspected.append((peer, rpc))
        if isinstance(answer, Exception):
            raise answer
        return not rpc.publish

    node = make_node(inspector=inspector)
    node.join("t")
    node.router.peer_connected(W, protocol="/meshsub/1.2.0", outbound=False, ip=None, now=0.0)
    node.router.effects()
    node.router.receive_rpc(W, FULL, now=0.0)
    assert node.router.effects() == []
    assert (node.router.topics_of(W), node.router.mesh("t")) == ([], [])
    assert inspected == [(W, FULL)]
    raised = isinstance(answer, Exception)
    snapshot = node.router.snapshot()
    assert (snapshot.refused_rpcs, snapshot.callback_failures) == (1, int(raised))
    node.router.receive_rpc(W, Rpc(subscriptions=(SubOpts("u"),)), now=0.0)
    assert node.router.topics_of(W) == ([] if raised else ["u"])


# The order of steps


class Instrumented:
    """A node of which every step on the way of an RPC leaves a word in `log`. What a message's
    data says is the step it fails at."""

    def __init__(self, make_node: Callable[..., Any]) -> None:
        self.log: list[str] = []
        self.failing = ""
        self.node = make_node(
            inspector=lambda peer, rpc: self.step("inspector"),
            subscription_filter=lambda topic: self.filter(topic),
            message_id=self.message_id,
            gater=PeerGaterParams(),
        )
        self.node.join("t")
        self.node.connect([W], topics=())
        self.node.connect([b"other"], graft=["t"])
        self.node.publish(self.node.message(99, author=self.node.ME))
        self.log.clear()

    def step(self, name: str) -> bool:
        self.log.append(name)
        return name != self.failing

    def filter(self, topic: str) -> bool:
        if topic != "s":
            return True
        return self.step("subscription filter")

    def message_id(self, message: Message) -> bytes:
        if message.seqno != SEEN:  # published here before
            self.log.append("id")
        return origin_id(message)

    def receive(self, *messages: Message, subscribe: str = "s") -> list[str]:
        """What happens to an RPC with subscription, messages and control."""
        node, self.log = self.node, []
        control = Control(
            iwant=(IWant((node.message_id(99, author=node.ME),)),), graft=(Graft("t"),)
        )
        rpc = Rpc((SubOpts(subscribe),), messages, control)
        node.router.receive_rpc(W, rpc, now=node.now)
        for effect in node.router.effects():
            match effect:
                case TopicPeer():
                    self.log.append("subscribed")
                case Validate():
                    self.log.append("validate")
                case SendRpc(rpc=Rpc(publish=(_,))):
                    self.log.append("iwant answered")
                case SendRpc(rpc=Rpc(control=Control(idontwant=(_,)))):
                    self.log.append("idontwant")
        if W in node.router.mesh("t"):
            self.log.append("grafted")
        return self.log


CONTROL = ["iwant answered", "grafted"]
SUBSCRIBED = ["inspector", "subscription filter", "subscribed"]
ME, SEEN = b"me", bytes(7) + b"\x63"


@pytest.fixture
def instrumented(make_node: Callable[..., Any]) -> Instrumented:
    return Instrumented(make_node)


@pytest.mark.rule("VAL-01")
def test_an_rpc_without_fault_takes_every_step_in_order(instrumented: Instrumented) -> None:
    node = instrumented.node
    big = node.message(1)
    big.data = bytes(1024)
    assert instrumented.receive(big) == [
        "inspector",
        "subscription filter",
        "id",
        "subscribed",
        "idontwant",
        "validate",
        "iwant answered",
        "grafted",
    ]


ONE = (1).to_bytes(8, "big")
STEPS: list[tuple[str, Message, list[str], dict[str, int]]] = [
    ("inspector", Message("t", b"d", b"x", ONE, b"s"), ["inspector"], {}),
    # A forbidden subscription is left out, not the RPC with it.
    (
        "subscription filter",
        Message("t", b"d", b"x", ONE, b"s"),
        ["inspector", "subscription filter", "id", "validate", *CONTROL],
        {},
    ),
    ("graylist", Message("t", b"d", b"x", ONE, b"s"), SUBSCRIBED, {}),
    ("blacklisted peer", Message("t", b"d", b"x", ONE, b"s"), [], {"blacklisted peer": 1}),
    # Each of these fails at this step and all the later ones: only the first is told.
    ("topic", Message("elsewhere", b"d", b"black"), [*SUBSCRIBED, *CONTROL], {}),
    ("source", Message("t", b"d", b"black"), [*SUBSCRIBED, *CONTROL], {"blacklisted source": 1}),
    ("policy", Message("t", b"d", ME), [*SUBSCRIBED, *CONTROL], {"missing signature": 1}),
    # An echo of our own is seen, hence no forgery: unlike go we look for that first.
    ("seen", Message("t", b"d", ME, SEEN, b"s"), [*SUBSCRIBED, *CONTROL], {"duplicate": 1}),
    (
        "self-origin",
        Message("t", b"d", ME, ONE, b"s"),
        ["inspector", "subscription filter", "id", "subscribed", *CONTROL],
        {"self originated message": 1},
    ),
]


@pytest.mark.rule("VAL-01")
@pytest.mark.parametrize(
    ("step", "message", "log", "reasons"), STEPS, ids=[step for step, *_ in STEPS]
)
def test_what_fails_at_one_step_takes_none_of_the_later_ones(
    instrumented: Instrumented,
    step: str,
    message: Message,
    log: list[str],
    reasons: dict[str, int],
) -> None:
    node = instrumented.node
    instrumented.failing = step
    node.router.blacklist(b"black", now=node.now)
    if step == "graylist":
        node.scores[W] = -80.001
    if step == "blacklisted peer":
        node.router.blacklist(W, now=node.now)
        node.router.effects()
    assert instrumented.receive(message) == log
    assert node.router.undelivered() == reasons
    assert ("s" in node.router.topics_of(W)) is ("subscribed" in log)


@pytest.mark.rule("VAL-01")
def test_the_gater_leaves_out_messages_and_nothing_else(instrumented: Instrumented) -> None:
    node = instrumented.node
    asked = node.receive(W, publish=[node.message(number) for number in range(200, 300)])
    for number, validate in enumerate(asked):
        node.verdict(validate, Verdict.QUEUE_FULL if number % 2 else Verdict.REJECT)
    assert instrumented.receive(node.message(1)) == [*SUBSCRIBED, *CONTROL]
    assert node.router.undelivered()["peer throttled"] == 1


# The peer filter


@pytest.fixture
def picky(make_node: Callable[..., Any]) -> Any:
    """A node that wants w only in topic u, joined to both topics, where w is too."""
    node = make_node(
        peer_filter=lambda peer, topic: peer != W or topic == "u",
        lazy=LazyParams(gossip_factor=1.0),
    )
    node.join("t", "u")
    node.connect([W], topics=["t", "u"])
    return node


@pytest.mark.rule("SUB-10")
def test_a_peer_the_filter_forbids_a_topic_is_kept_out_of_its_mesh(picky: Any) -> None:
    assert (picky.router.mesh("t"), picky.router.mesh("u")) == ([], [W])
    assert picky.router.topic_peers("t") == [W]
    assert picky.receive(W, graft=[Graft("t")]) == []
    picky.wait(3.0)
    picky.leave("t")
    picky.join("t")
    picky.wait(3.0)
    assert picky.router.mesh("t") == []


@pytest.mark.rule("SUB-10")
def test_it_is_not_gossiped_to_and_its_gossip_has_no_effect(picky: Any) -> None:
    picky.publish(picky.message(1, author=picky.ME))
    picky.publish(picky.message(2, topic="u", author=picky.ME))
    assert picky.controls(picky.wait(1.0), "ihave") == {}
    effects = picky.receive(W, ihave=[IHave("t", [b"forbidden"]), IHave("u", [b"wanted"])])
    effects += picky.wait(1.0)
    assert picky.controls(effects, "iwant") == {W: [IWant((b"wanted",))]}
    ids = [picky.message_id(number, author=picky.ME) for number in (1, 2)]
    answer = Rpc(publish=(picky.message(2, topic="u", author=picky.ME),))
    assert picky.receive(W, iwant=[IWant(ids)]) == [SendRpc(W, answer, Lane.FORWARDED)]


@pytest.mark.rule("SUB-10")
@pytest.mark.parametrize("flood", [True, False])
@pytest.mark.parametrize("protocol", ["/meshsub/1.2.0", "/floodsub/1.0.0"])
def test_it_gets_no_messages_of_the_topic(
    make_node: Callable[..., Any], flood: bool, protocol: str
) -> None:
    node = make_node(peer_filter=lambda peer, topic: peer != W, flood_publish=flood)
    node.connect([W, b"v"], protocol=protocol)
    assert list(node.sent(node.publish(node.message(1, author=node.ME)))) == [b"v"]
    assert not node.router.has_enough_peers("t", 2)
    node.join("t")
    assert W not in node.sent(node.publish(node.message(2, author=node.ME)))
    assert W not in node.sent(node.accept(b"v", node.message(3)))


def test_a_peer_filter_that_fails_keeps_everybody_out_and_is_counted(
    make_node: Callable[..., Any],
) -> None:
    node = make_node(peer_filter=lambda peer, topic: {}[peer])
    node.join("t")
    node.connect([W])
    assert node.router.mesh("t") == []
    assert node.router.snapshot().callback_failures > 0


def test_what_it_refuses_is_not_sent_to_it_in_other_topics(picky: Any) -> None:
    picky.connect([b"v"])
    picky.receive(W, idontwant=[IDontWant((picky.message_id(7),))])
    assert W not in picky.sent(picky.accept(b"v", picky.message(7, topic="u")))
    assert W in picky.sent(picky.accept(b"v", picky.message(8, topic="u")))
