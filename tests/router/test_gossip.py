"""IHAVE and IWANT."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Lane, SendRpc
from gossipsub.router.params import LazyParams
from gossipsub.wire.rpc import Control, Graft, IHave, IWant, Prune, Rpc

if TYPE_CHECKING:
    from tests.router.conftest import Node


def asked(node: Node, effects: list[object]) -> list[bytes]:
    """Ids in all IWANTs sent, in order."""
    entries = node.controls(effects, "iwant").values()  # type: ignore[arg-type]
    return [i for wants in entries for want in wants for i in want.message_ids]  # type: ignore[attr-defined]


def outsiders(node: Node, count: int, prefix: str = "out") -> list[bytes]:
    """Peers of the topic that are outside the mesh: they are in backoff."""
    peers = node.peers(count, prefix)
    node.connect(peers, topics=())
    for peer in peers:
        node.receive(peer, prune=(Prune("t", (), 3600),))
        node.receive(peer, subscribe=["t"])
    return peers


@pytest.mark.rule("GOS-01")
def test_a_heartbeat_tells_peers_outside_the_mesh_what_there_is(node: Node) -> None:
    node.join("t")
    node.connect([b"mesh"])
    (out,) = outsiders(node, 1)
    node.publish(node.message(author=node.ME))
    ihave = IHave("t", (node.message_id(author=node.ME),))
    assert node.tick() == [SendRpc(out, Rpc(control=Control(ihave=(ihave,))), Lane.FORWARDED)]


@pytest.mark.rule("GOS-01", "CACHE-01")
def test_a_message_is_gossiped_about_for_three_heartbeats(node: Node) -> None:
    node.join("t")
    outsiders(node, 1)
    node.publish(node.message(author=node.ME))
    assert [len(node.tick()) for _ in range(6)] == [1, 1, 1, 0, 0, 0]


@pytest.mark.rule("GOS-02")
@pytest.mark.parametrize(
    ("eligible", "lazy", "chosen"),
    [
        (5, LazyParams(), 5),
        (20, LazyParams(), 6),
        (40, LazyParams(), 10),
        (41, LazyParams(), 10),
        (20, LazyParams(d_lazy=0, gossip_factor=0.0), 0),
    ],
)
def test_as_many_are_told_as_d_lazy_and_the_gossip_factor_say(
    make_node: Callable[..., Node], eligible: int, lazy: LazyParams, chosen: int
) -> None:
    node = make_node(lazy=lazy)
    node.join("t")
    peers = outsiders(node, eligible)
    node.publish(node.message(author=node.ME))
    told = node.controls(node.tick(), "ihave")
    assert len(told) == chosen
    assert set(told) <= set(peers)


@pytest.mark.rule("GOS-03")
def test_mesh_floodsub_and_low_scored_peers_are_not_told(node: Node) -> None:
    node.join("t")
    node.connect([b"mesh"])
    node.connect([b"flood"], protocol="/floodsub/1.0.0")
    low, limit = outsiders(node, 2)
    node.connect([b"elsewhere"], topics=("u",))
    node.scores |= {low: -10.1, limit: -10.0}
    node.publish(node.message(author=node.ME))
    assert [*node.controls(node.tick(), "ihave")] == [limit]


@pytest.mark.rule("GOS-04")
def test_fanout_topics_are_gossiped_about_too(make_node: Callable[..., Node]) -> None:
    node = make_node(flood_publish=False)
    node.connect(node.peers(20))
    fanout = node.sent(node.publish(node.message(author=node.ME)))
    told = node.controls(node.tick(), "ihave")
    assert (len(fanout), len(told)) == (6, 6)
    assert set(told).isdisjoint(fanout)


@pytest.mark.rule("GOS-05", "SPAM-09")
def test_at_most_5000_ids_are_told_and_each_peer_gets_its_own_part(node: Node) -> None:
    node.join("t")
    outsiders(node, 2)
    for number in range(6000):
        node.publish(node.message(number, author=node.ME))
    one, two = (ihaves for ihaves in node.controls(node.tick(), "ihave").values())
    (first,), (second,) = one, two
    assert isinstance(first, IHave)
    assert isinstance(second, IHave)
    assert len(set(first.message_ids)) == len(set(second.message_ids)) == 5000
    assert set(first.message_ids) != set(second.message_ids)


@pytest.mark.rule("GOS-06")
def test_what_is_not_seen_is_asked_for_once_each_in_random_order(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=())
    node.accept(b"w", node.message())
    unknown = [b"id%d" % number for number in range(50)]
    ids = (node.message_id(), *unknown, *unknown)
    (effect,) = node.receive(b"w", ihave=(IHave("t", ids), IHave("t", (b"id1",))))
    assert isinstance(effect, SendRpc)
    (want,) = effect.rpc.control.iwant  # type: ignore[union-attr]
    assert sorted(want.message_ids) == sorted(unknown)
    assert list(want.message_ids) != unknown
    assert effect == SendRpc(
        b"w", Rpc(control=Control(iwant=(IWant(want.message_ids),))), Lane.FORWARDED
    )


@pytest.mark.rule("GOS-07")
def test_nothing_is_asked_where_all_is_seen_or_the_topic_is_not_joined(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=())
    node.accept(b"w", node.message())
    assert node.receive(b"w", ihave=(IHave("t", (node.message_id(),)),)) == []
    assert node.receive(b"w", ihave=(IHave("u", (b"unknown",)),)) == []
    assert node.receive(b"w", ihave=(IHave("t", ()),)) == []


@pytest.mark.rule("GOS-07")
def test_a_message_under_validation_is_not_asked_for(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=())
    node.receive(b"w", publish=[node.message()])
    assert node.receive(b"w", ihave=(IHave("t", (node.message_id(),)),)) == []


@pytest.mark.rule("GOS-08", "GOS-11", "THR-03")
def test_gossip_of_peers_below_the_threshold_is_neither_heeded_nor_answered(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=())
    node.accept(b"w", node.message())
    ihave, iwant = IHave("t", (b"unknown",)), IWant((node.message_id(),))
    node.scores[b"w"] = -10.1
    assert node.receive(b"w", ihave=(ihave,), iwant=(iwant,)) == []
    assert len(node.receive(b"w", publish=[node.message(2)])) == 1
    node.scores[b"w"] = -10.0
    assert len(node.receive(b"w", ihave=(ihave,), iwant=(iwant,))) == 2


@pytest.mark.rule("GOS-09")
def test_messages_asked_for_are_sent_as_they_are(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=())
    node.connect([b"v"], topics=("u",))
    messages = [node.message(1), node.message(2)]
    for message in messages:
        node.accept(b"w", message)
    ids = (node.message_id(1), node.message_id(2), b"unknown", node.message_id(1))
    (answer,) = node.receive(b"v", iwant=(IWant(ids), IWant(ids)))
    assert answer == SendRpc(b"v", Rpc(publish=tuple(messages)), Lane.FORWARDED)
    assert answer.rpc.publish[0] is messages[0]  # type: ignore[union-attr]


@pytest.mark.rule("GOS-10")
@pytest.mark.parametrize(("ticks", "served"), [(0, 1), (4, 1), (5, 0), (6, 0)])
def test_a_message_is_served_through_four_shifts_and_no_more(
    node: Node, ticks: int, served: int
) -> None:
    node.join("t")
    node.publish(node.message(author=node.ME))
    for _ in range(ticks):
        node.tick()
    node.connect([b"w"], topics=())
    answers = node.receive(b"w", iwant=(IWant((node.message_id(author=node.ME),)),))
    assert len(answers) == served


@pytest.mark.rule("GOS-12")
def test_a_message_is_sent_to_one_peer_three_times_at_most(node: Node) -> None:
    node.join("t")
    node.publish(node.message(author=node.ME))
    node.connect([b"w", b"v"], topics=())
    want = (IWant((node.message_id(author=node.ME),)),)
    assert [len(node.receive(b"w", iwant=want)) for _ in range(10)] == [1, 1, 1] + [0] * 7
    assert [len(node.receive(b"v", iwant=want)) for _ in range(4)] == [1, 1, 1, 0]


@pytest.mark.rule("GOS-14")
def test_gossip_rides_with_the_prune_of_the_same_heartbeat(node: Node) -> None:
    node.join("t")
    node.connect([b"w", b"mesh"])
    node.publish(node.message(author=node.ME))
    node.scores[b"w"] = -0.1
    ihave = IHave("t", (node.message_id(author=node.ME),))
    control = Control(ihave=(ihave,), prune=(Prune("t", (), 60),))
    assert node.tick() == [SendRpc(b"w", Rpc(control=control), Lane.CONTROL)]


@pytest.mark.rule("GOS-16")
def test_every_peer_that_offers_a_message_is_asked(node: Node) -> None:
    node.join("t")
    node.connect([b"w", b"v"], topics=())
    for peer in (b"w", b"v"):
        assert asked(node, node.receive(peer, ihave=(IHave("t", (b"x",)),))) == [b"x"]


@pytest.mark.rule("SPAM-01", "GOS-17")
def test_ten_rpcs_with_ihave_are_considered_per_peer_and_heartbeat(node: Node) -> None:
    node.join("t")
    node.connect([b"w", b"v"], topics=())
    node.tick()
    for _ in range(20):
        node.receive(b"w", graft=(Graft("unknown"),))  # other control messages do not count
    answers = [
        len(node.receive(b"w", ihave=(IHave("t", (b"id%d" % number,)),))) for number in range(20)
    ]
    assert answers == [1] * 10 + [0] * 10
    assert len(node.receive(b"v", ihave=(IHave("t", (b"x",)),))) == 1
    node.tick()
    assert len(node.receive(b"w", ihave=(IHave("t", (b"x",)),))) == 1


@pytest.mark.rule("SPAM-08")
def test_rpcs_with_iwant_can_be_limited_per_peer_and_heartbeat(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(lazy=LazyParams(max_iwant_messages=10))
    node.join("t")
    node.tick()
    ids = [node.message_id(number, author=node.ME) for number in range(20)]
    for number in range(20):
        node.publish(node.message(number, author=node.ME))
    node.connect([b"w", b"v"], topics=())
    answers = [len(node.receive(b"w", iwant=(IWant((one,)),))) for one in ids]
    assert answers == [1] * 10 + [0] * 10
    assert len(node.receive(b"v", iwant=(IWant(tuple(ids)),))) == 1
    node.tick()
    assert len(node.receive(b"w", iwant=(IWant((ids[19],)),))) == 1


@pytest.mark.rule("SPAM-02", "GOS-17")
def test_5000_ids_are_asked_for_per_peer_and_heartbeat(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=())
    ids = [b"%d" % number for number in range(5200)]
    first = asked(node, node.receive(b"w", ihave=(IHave("t", ids[:5100]),)))
    assert sorted(first) == sorted(ids[:5000])  # of one IHAVE only so many are looked at
    assert node.receive(b"w", ihave=(IHave("t", ids[5100:]),)) == []
    node.tick()
    assert len(asked(node, node.receive(b"w", ihave=(IHave("t", ids[5100:]),)))) == 100


@pytest.mark.rule("SPAM-02")
def test_the_budget_holds_over_several_ihaves(make_node: Callable[..., Node]) -> None:
    node = make_node(lazy=LazyParams(max_ihave_length=10, iwant_patience=0.0))
    node.join("t")
    node.connect([b"w"], topics=())
    ids = [b"%d" % number for number in range(20)]
    rpc = tuple(IHave("t", ids[at : at + 4]) for at in range(0, 20, 4))
    assert len(set(asked(node, node.receive(b"w", ihave=rpc)))) == 10


@pytest.mark.rule("MID-03")
def test_ids_are_bytes_of_any_kind(make_node: Callable[..., Node]) -> None:
    odd = b"\x00\xff\x80"
    node = make_node(message_id=lambda message: odd)
    node.join("t")
    outsiders(node, 1)
    node.connect([b"w"], topics=())
    node.accept(b"w", node.message())
    (ihave,) = node.controls(node.tick(), "ihave")[b"out00"]
    assert ihave == IHave("t", (odd,))
    assert len(node.receive(b"w", iwant=(IWant((odd,)),))) == 1


@pytest.mark.rule("FS-02", "FS-06")
def test_control_from_a_floodsub_peer_has_no_effect(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], protocol="/floodsub/1.0.0")
    node.publish(node.message(author=node.ME))
    want = IWant((node.message_id(author=node.ME),))
    assert node.receive(b"w", ihave=(IHave("t", (b"x",)),), iwant=(want,)) == []
