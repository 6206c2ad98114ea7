"""One IWANT at a time for a message, after a short delay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Effect, Verdict
from gossipsub.router.params import LazyParams, RouterLimits
from gossipsub.router.score.params import PeerScoreParams
from gossipsub.router.wanted import MAX_OFFERS
from gossipsub.wire.rpc import IHave, IWant

if TYPE_CHECKING:
    from tests.router.conftest import Node

PROTOCOL = "/meshsub/1.2.0"


@pytest.fixture
def make(make_node: Callable[..., Node]) -> Callable[..., Node]:
    def made(peers: Iterable[bytes] = (b"v", b"w"), **params: object) -> Node:
        params.setdefault("lazy", LazyParams())
        node = make_node(**params)
        node.wait(0.5)  # heartbeats are at tenths, the tests in between
        node.join("t")
        node.connect(peers, topics=())
        return node

    return made


def offer(node: Node, peer: bytes, *numbers: int, topic: str = "t") -> list[Effect]:
    ids = [node.message_id(number) for number in numbers]
    return node.receive(peer, ihave=(IHave(topic, ids),))


def asked(node: Node, effects: Iterable[Effect]) -> dict[bytes, list[bytes]]:
    """Ids asked for, by peer; never the same twice of one."""
    found: dict[bytes, list[bytes]] = {}
    for peer, wants in node.controls(effects, "iwant").items():
        (want,) = wants
        assert isinstance(want, IWant)
        found[peer] = sorted(want.message_ids)
    return found


@pytest.mark.rule("GOS-06")
def test_a_message_is_asked_for_when_it_has_not_come_by_itself_for_a_moment(
    make: Callable[..., Node],
) -> None:
    node = make(lazy=LazyParams(iwant_delay=0.02))
    assert offer(node, b"w", 1, 2) == []
    assert node.router.next_deadline() == pytest.approx(node.now + 0.02)
    node.receive(b"v", publish=[node.message(1)])  # under validation is good enough
    assert node.wait(0.019) == []
    assert asked(node, node.wait(0.002)) == {b"w": [node.message_id(2)]}


def test_what_comes_in_time_is_never_asked_for(make: Callable[..., Node]) -> None:
    node = make()
    offer(node, b"w", 1)
    node.accept(b"v", node.message(1))
    assert asked(node, node.wait(10.0)) == {}
    assert node.router.snapshot().wanted == 0


def test_who_opened_its_stream_anew_without_gossip_is_not_asked(make: Callable[..., Node]) -> None:
    node = make()
    offer(node, b"w", 1)
    node.router.outbound_stream_reopened(b"w", protocol="/floodsub/1.0.0", now=node.now)
    node.router.effects()
    assert node.wait(10.0) == []


def test_without_a_delay_the_first_is_asked_at_once(make: Callable[..., Node]) -> None:
    node = make(lazy=LazyParams(iwant_delay=0.0))
    assert asked(node, offer(node, b"w", 1)) == {b"w": [node.message_id(1)]}
    assert offer(node, b"v", 1) == []


def test_the_next_who_offered_is_asked_when_the_first_does_not_deliver(
    make: Callable[..., Node],
) -> None:
    node = make((b"u", b"v", b"w"), lazy=LazyParams(iwant_delay=0.0, iwant_patience=0.25))
    order = [*asked(node, offer(node, b"u", 1))]
    for peer in (b"v", b"w"):
        assert offer(node, peer, 1) == []
    assert node.wait(0.249) == []
    order += asked(node, node.wait(0.002))
    order += asked(node, node.wait(0.25))
    assert sorted(order) == [b"u", b"v", b"w"]
    assert asked(node, node.wait(10.0)) == {}  # nobody is left
    assert asked(node, offer(node, b"u", 1)) == {b"u": [node.message_id(1)]}


def test_whom_to_ask_is_random_so_that_nobody_gains_by_offering_first(
    make: Callable[..., Node],
) -> None:
    first: set[bytes] = set()
    for seed in range(20):
        node = make(seed=seed)
        offer(node, b"v", 1)
        offer(node, b"w", 1)
        first.update(asked(node, node.wait(0.03)))
    assert first == {b"v", b"w"}


def test_one_peer_is_asked_with_one_rpc_for_all_that_is_due(make: Callable[..., Node]) -> None:
    node = make()
    offer(node, b"w", 1, 2)
    offer(node, b"w", 3)
    ids = [node.message_id(number) for number in (1, 2, 3)]
    assert asked(node, node.wait(0.03)) == {b"w": ids}


@pytest.mark.rule("GOS-16")
def test_without_patience_whoever_offers_is_asked_at_once(make: Callable[..., Node]) -> None:
    node = make(lazy=LazyParams(iwant_patience=0.0))
    for peer in (b"v", b"w"):
        assert asked(node, offer(node, peer, 1)) == {peer: [node.message_id(1)]}
    assert node.router.snapshot().wanted == 0


def test_a_message_under_validation_is_asked_for_again_only_when_it_was_not_genuine(
    make: Callable[..., Node],
) -> None:
    node = make(lazy=LazyParams(iwant_patience=0.25))
    offer(node, b"w", 1)
    (validate,) = node.receive(b"v", publish=[node.message(1)])
    assert node.wait(1.0 - 0.6 + 0.19) == []  # short of the heartbeat
    node.verdict(validate, Verdict.INVALID_SIGNATURE)
    assert asked(node, node.wait(0.3)) == {b"w": [node.message_id(1)]}


def test_a_peer_that_left_or_fell_below_the_threshold_is_not_asked(
    make: Callable[..., Node],
) -> None:
    node = make((b"u", b"v", b"w"))
    for peer in (b"u", b"v", b"w"):
        offer(node, peer, 1)
    node.router.peer_disconnected(b"u", now=node.now)
    node.scores[b"v"] = -10.1
    assert asked(node, node.wait(5.0)) == {b"w": [node.message_id(1)]}


def test_a_peer_that_connects_anew_has_offered_nothing(make: Callable[..., Node]) -> None:
    node = make((b"v", b"w"))
    for peer in (b"v", b"w"):
        offer(node, peer, 1)
    node.router.peer_disconnected(b"w", now=node.now)
    node.connect([b"w"], topics=())
    assert asked(node, node.wait(5.0)) == {b"v": [node.message_id(1)]}


def test_messages_of_a_topic_that_was_left_are_not_asked_for(make: Callable[..., Node]) -> None:
    node = make()
    offer(node, b"w", 1)
    node.leave("t")
    assert asked(node, node.wait(5.0)) == {}
    assert node.router.snapshot().wanted == 0


def test_beyond_the_memory_limit_whoever_offers_is_asked_at_once(
    make: Callable[..., Node],
) -> None:
    node = make(limits=RouterLimits(max_wanted_bytes=1100))
    ids = [b"id of 20 bytes number", b"another one", b"and one too many"]
    effects = node.receive(b"w", ihave=(IHave("t", ids),))
    ((late, *others),) = asked(node, effects).values()
    assert others == []
    assert node.router.snapshot().wanted == 2
    assert asked(node, node.wait(0.03)) == {b"w": sorted({*ids} - {late})}
    node.wait(10.0)
    assert node.router.snapshot().wanted == 0
    assert len(node.receive(b"v", ihave=(IHave("t", ids),))) == 1  # there is room again: for two


def test_long_ids_give_their_memory_back(make: Callable[..., Node]) -> None:
    node = make(limits=RouterLimits(max_wanted_bytes=1600))
    for number in range(10):
        long = bytes([number]) * 1000
        assert node.receive(b"w", ihave=(IHave("t", [long]),)) == []
        node.wait(5.0)
    assert node.router.snapshot().wanted == 0
    for peer in (b"w", b"v"):
        node.receive(peer, ihave=(IHave("t", [b"y" * 1000, b"z" * 1000]),))
    assert node.router.snapshot().wanted == 1


@pytest.mark.rule("SPAM-03")
def test_who_is_asked_late_has_the_whole_time_to_deliver(make: Callable[..., Node]) -> None:
    score = PeerScoreParams(
        behaviour_penalty_weight=-1.0, behaviour_penalty_decay=0.99, decay_interval=100.0
    )
    node = make(lazy=LazyParams(iwant_delay=0.0, iwant_patience=2.0), score=score)
    offer(node, b"v", 1)  # at 0.5: until 3.5
    offer(node, b"w", 1)  # asked at 2.5: until 5.5
    node.wait(3.3)  # 3.8
    assert (node.router.score(b"v"), node.router.score(b"w")) == (0.0, 0.0)
    node.wait(0.5)  # beyond the heartbeat at 4.1
    assert (node.router.score(b"v"), node.router.score(b"w")) == (-1.0, 0.0)
    node.wait(2.0)
    assert (node.router.score(b"v"), node.router.score(b"w")) == (-1.0, -1.0)


@pytest.mark.rule("SPAM-03")
def test_no_order_of_offers_decides_which_of_them_is_the_promise(
    make: Callable[..., Node],
) -> None:
    """One IHAVE with a message it delivers, a moment later one with made-up ids: one IWANT asks
    for all, and whether the delivered one was the promise must be left to chance."""
    score = PeerScoreParams(
        behaviour_penalty_weight=-1.0, behaviour_penalty_decay=0.99, decay_interval=100.0
    )
    caught = 0
    for seed in range(20):
        node = make((b"w",), seed=seed, score=score)
        offer(node, b"w", 1)
        offer(node, b"w", *range(2, 12))
        assert len(asked(node, node.wait(0.03))[b"w"]) == 11
        node.accept(b"w", node.message(1))
        node.wait(5.0)
        caught += node.router.score(b"w") < 0.0
    assert 10 < caught <= 20


def test_peers_that_offer_a_message_in_great_number_keep_nobody_from_being_asked(
    make: Callable[..., Node],
) -> None:
    sybils = [b"s%02d" % number for number in range(MAX_OFFERS)]
    node = make([*sybils, b"honest"])
    for peer in sybils:
        assert offer(node, peer, 1) == []
    assert asked(node, offer(node, b"honest", 1)) == {b"honest": [node.message_id(1)]}
    assert offer(node, sybils[0], 1) == []  # it waits for its turn already
    (asked_next,) = asked(node, node.wait(0.03))
    assert asked_next in sybils
