"""IDONTWANT: sent for large messages, and honoured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Deliver, Effect, Lane, SendRpc, Unqueue, Validate, Verdict
from gossipsub.router.message_id import content_id
from gossipsub.router.params import LazyParams, RouterLimits
from gossipsub.wire.rpc import Control, Graft, IDontWant, IHave, IWant, Message, Prune, Rpc

if TYPE_CHECKING:
    from tests.router.conftest import Node


def large(node: Node, number: int = 1, *, author: bytes = b"author", size: int = 1024) -> Message:
    return replace(node.message(number, author=author), data=bytes(size))


def idontwant(*message_ids: bytes) -> tuple[IDontWant]:
    return (IDontWant(message_ids),)


def told(message_id: bytes, *peers: bytes) -> list[Effect]:
    rpc = Rpc(control=Control(idontwant=(IDontWant((message_id,)),)))
    return [SendRpc(peer, rpc, Lane.URGENT) for peer in peers]


def forwarded(message: Message, *peers: bytes) -> list[Effect]:
    return [SendRpc(peer, Rpc(publish=(message,)), Lane.FORWARDED) for peer in peers]


@pytest.fixture
def trio(node: Node) -> Node:
    """A node in topic t with the mesh b, c, d."""
    node.join("t")
    node.connect([b"b", b"c", b"d"])
    return node


# Sent


@pytest.mark.rule("IDW-01", "IDW-02", "IDW-11")
def test_the_mesh_is_told_of_a_large_message_before_it_is_validated(trio: Node) -> None:
    trio.connect([b"outside"], topics=())
    message = large(trio, size=2048)
    effects = trio.receive(b"b", publish=[message])
    assert effects == [
        *told(trio.message_id(), b"c", b"d"),
        Validate(1, b"b", message, trio.message_id()),
    ]
    assert effects[0].rpc is effects[1].rpc  # type: ignore[union-attr]


@pytest.mark.rule("IDW-04")
@pytest.mark.parametrize(
    ("threshold", "size", "is_told"),
    [(1024, 1023, False), (1024, 1024, True), (10, 9, False), (10, 10, True), (0, 0, True)],
)
def test_only_messages_from_the_threshold_on_are_told_of(
    make_node: Callable[..., Node], threshold: int, size: int, is_told: bool
) -> None:
    node = make_node(lazy=LazyParams(idontwant_threshold=threshold))
    node.join("t")
    node.connect([b"b", b"c"])
    effects = node.receive(b"b", publish=[large(node, size=size)])
    assert effects[:-1] == (told(node.message_id(), b"c") if is_told else [])


@pytest.mark.rule("IDW-04")
def test_a_message_without_data_is_small(trio: Node) -> None:
    message = replace(trio.message(), data=None)
    assert trio.receive(b"b", publish=[message]) == [Validate(1, b"b", message, trio.message_id())]


@pytest.mark.rule("IDW-02")
def test_the_author_of_a_message_is_not_told_of_it(trio: Node) -> None:
    effects = trio.receive(b"b", publish=[large(trio, author=b"c")])
    assert effects[:-1] == told(trio.message_id(author=b"c"), b"d")


@pytest.mark.rule("IDW-03", "FS-02")
def test_only_peers_that_speak_v1_2_or_later_are_told(node: Node) -> None:
    node.join("t")
    node.connect([b"b"])
    versions = ["/floodsub/1.0.0", *(f"/meshsub/1.{minor}.0" for minor in range(4))]
    for version in versions:
        node.connect([version.encode()], protocol=version)
    assert len(node.router.mesh("t")) == 5
    effects = node.receive(b"b", publish=[large(node)])
    assert effects[:-1] == told(node.message_id(), b"/meshsub/1.2.0", b"/meshsub/1.3.0")


@pytest.mark.rule("IDW-05")
def test_nobody_is_told_of_a_duplicate(trio: Node) -> None:
    (*_, validate) = trio.receive(b"b", publish=[large(trio)])
    assert trio.receive(b"c", publish=[large(trio)]) == []
    assert trio.receive(b"c", publish=[replace(large(trio), encoding=b"other")]) == []
    trio.verdict(validate)
    assert trio.receive(b"d", publish=[large(trio)]) == []


@pytest.mark.rule("IDW-05")
def test_the_next_copy_after_a_forged_one_is_not_told_of_again(trio: Node) -> None:
    (*_, validate) = trio.receive(b"b", publish=[large(trio)])
    genuine = replace(large(trio), encoding=b"genuine")
    trio.receive(b"c", publish=[genuine])
    assert trio.verdict(validate, Verdict.INVALID_SIGNATURE) == [
        Validate(2, b"c", genuine, trio.message_id())
    ]


def test_a_message_that_is_not_taken_in_may_still_be_sent(make_node: Callable[..., Node]) -> None:
    node = make_node(limits=RouterLimits(max_pending=1))
    node.join("t")
    node.connect([b"b", b"c"])
    node.receive(b"b", publish=[large(node, 1)])
    assert node.receive(b"b", publish=[large(node, 2)]) == []


@pytest.mark.rule("IDW-08")
def test_messages_that_came_together_are_told_of_together_ten_in_an_rpc(trio: Node) -> None:
    effects = trio.receive(b"b", publish=[large(trio, number) for number in range(12)])
    ids = [trio.message_id(number) for number in range(12)]
    entries = trio.controls(effects, "idontwant")
    told_of = [IDontWant(tuple(ids[:10])), IDontWant(tuple(ids[10:]))]
    assert entries == {b"c": told_of, b"d": told_of}


@pytest.mark.rule("IDW-01")
def test_messages_of_rpcs_whose_effects_are_taken_together_are_told_of_before_they_are_validated(
    trio: Node,
) -> None:
    for number in (1, 2):
        trio.router.receive_rpc(b"b", Rpc(publish=(large(trio, number),)), now=trio.now)
    first, second = trio.message_id(1), trio.message_id(2)
    rpc = Rpc(control=Control(idontwant=idontwant(first, second)))
    assert trio.router.effects() == [
        SendRpc(b"c", rpc, Lane.URGENT),
        SendRpc(b"d", rpc, Lane.URGENT),
        Validate(1, b"b", large(trio, 1), first),
        Validate(2, b"b", large(trio, 2), second),
    ]


def test_who_sent_one_of_some_messages_is_told_of_the_others(trio: Node) -> None:
    for peer, number in ((b"b", 1), (b"c", 2), (b"c", 3)):
        trio.router.receive_rpc(peer, Rpc(publish=(large(trio, number),)), now=trio.now)
    first, second, third = (trio.message_id(number) for number in (1, 2, 3))
    assert trio.controls(trio.router.effects(), "idontwant") == {
        b"c": [IDontWant((first,))],
        b"d": [IDontWant((first,)), IDontWant((second, third))],
        b"b": [IDontWant((second, third))],
    }


@pytest.mark.rule("IDW-10")
def test_the_mesh_is_told_of_a_large_message_published_for_another_before_it_comes(
    trio: Node,
) -> None:
    trio.connect([b"old"], protocol="/meshsub/1.1.0")
    trio.connect([b"outside"], topics=())
    message, message_id = large(trio, author=b"other"), trio.message_id(author=b"other")
    assert trio.publish(message) == [
        *told(message_id, b"b", b"c", b"d"),
        Deliver(message, message_id, None),
        *(SendRpc(peer, Rpc(publish=(message,)), Lane.OWN) for peer in (b"b", b"c", b"d", b"old")),
    ]


def test_nobody_is_told_of_a_message_of_our_own_since_nobody_sends_it_to_its_author(
    trio: Node,
) -> None:
    message, message_id = large(trio, author=trio.ME), trio.message_id(author=trio.ME)
    assert trio.publish(message) == [
        Deliver(message, message_id, None),
        *(SendRpc(peer, Rpc(publish=(message,)), Lane.OWN) for peer in (b"b", b"c", b"d")),
    ]


@pytest.mark.rule("IDW-05", "IDW-10")
def test_publishing_what_is_known_already_tells_nobody(trio: Node) -> None:
    trio.receive(b"b", publish=[large(trio)])
    assert trio.controls(trio.publish(large(trio)), "idontwant") == {}
    assert trio.publish(large(trio)) == []


@pytest.mark.rule("IDW-11")
def test_nobody_is_told_of_an_own_message_in_a_topic_not_joined(node: Node) -> None:
    node.connect([b"b", b"c"])
    effects = node.publish(large(node, author=b"other"))
    assert set(node.sent(effects)) == {b"b", b"c"}
    assert node.controls(effects, "idontwant") == {}


@pytest.mark.rule("MESH-15")
def test_an_idontwant_that_could_not_be_queued_is_not_sent_again(trio: Node) -> None:
    effect = trio.receive(b"b", publish=[large(trio)])[0]
    assert isinstance(effect, SendRpc)
    trio.router.rpc_dropped(effect.peer, effect.rpc, now=trio.now)
    assert trio.wait(10) == []


# After an IWANT


def asked(node: Node, peer: bytes, message_id: bytes, *, protocol: str = "/meshsub/1.2.0") -> None:
    node.connect([peer], topics=(), protocol=protocol)
    effects = node.receive(peer, ihave=(IHave("t", (message_id,)),))
    assert node.controls(effects, "iwant") == {peer: [IWant((message_id,))]}


@pytest.mark.rule("IDW-13")
def test_who_was_asked_for_a_message_is_told_when_another_sends_it(trio: Node) -> None:
    message_id = trio.message_id()
    asked(trio, b"out", message_id)
    asked(trio, b"old", message_id, protocol="/meshsub/1.1.0")
    effects = trio.receive(b"b", publish=[large(trio)])
    assert effects[:-1] == told(message_id, b"c", b"d", b"out")


@pytest.mark.rule("IDW-13")
def test_who_sends_what_it_was_asked_for_is_not_told(trio: Node) -> None:
    asked(trio, b"out", trio.message_id())
    effects = trio.receive(b"out", publish=[large(trio)])
    assert effects[:-1] == told(trio.message_id(), b"b", b"c", b"d")


@pytest.mark.rule("IDW-13")
def test_who_was_asked_is_told_once_and_not_after_it_left(trio: Node) -> None:
    message_id = trio.message_id()
    asked(trio, b"gone", message_id)
    trio.router.peer_disconnected(b"gone", now=trio.now)
    trio.receive(b"d", ihave=(IHave("t", (message_id,)),))
    trio.receive(b"d", ihave=(IHave("t", (message_id,)),))
    effects = trio.receive(b"b", publish=[large(trio)])
    assert effects[:-1] == told(message_id, b"c", b"d")


@pytest.mark.rule("IDW-13")
@pytest.mark.parametrize(("ticks", "is_told"), [(2, True), (3, False)])
def test_who_was_asked_long_ago_is_not_told(trio: Node, ticks: int, is_told: bool) -> None:
    asked(trio, b"out", trio.message_id())
    for _ in range(ticks):
        trio.tick()
    effects = trio.receive(b"b", publish=[large(trio)])
    assert (b"out" in trio.sent(effects)) is is_told


# Honoured


@pytest.mark.rule("IDW-06", "IDW-11")
@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1.2.0", "1.3.0"])
def test_a_message_is_not_forwarded_to_a_peer_that_refused_it(trio: Node, version: str) -> None:
    trio.connect([b"w"], protocol=f"/meshsub/{version}")
    assert trio.receive(b"w", idontwant=idontwant(trio.message_id())) == []
    assert trio.accept(b"b", trio.message())[1:] == forwarded(trio.message(), b"c", b"d")
    other = trio.message(2)
    assert trio.accept(b"b", other)[1:] == forwarded(other, b"c", b"d", b"w")


@pytest.mark.rule("IDW-06")
def test_a_refusal_that_comes_during_validation_counts(trio: Node) -> None:
    (validate,) = trio.receive(b"b", publish=[trio.message()])
    trio.receive(b"c", idontwant=idontwant(trio.message_id()))
    assert trio.verdict(validate)[1:] == forwarded(trio.message(), b"d")


@pytest.mark.rule("IDW-11")
def test_a_refusal_counts_from_a_peer_that_joins_the_mesh_after_it(trio: Node) -> None:
    trio.connect([b"w"], topics=())
    trio.receive(b"w", idontwant=idontwant(trio.message_id()))
    trio.receive(b"w", subscribe=["t"], graft=(Graft("t"),))
    assert trio.accept(b"b", trio.message())[1:] == forwarded(trio.message(), b"c", b"d")


@pytest.mark.rule("IDW-01")
def test_a_peer_that_refused_a_message_is_told_not_to_send_it(trio: Node) -> None:
    trio.receive(b"c", idontwant=idontwant(trio.message_id()))
    effects = trio.receive(b"b", publish=[large(trio)])
    assert effects[:-1] == told(trio.message_id(), b"c", b"d")


@pytest.mark.rule("IDW-07")
def test_a_refused_message_is_not_sent_on_iwant_either(trio: Node) -> None:
    trio.accept(b"b", trio.message(1))
    trio.accept(b"b", trio.message(2))
    want = (IWant((trio.message_id(1), trio.message_id(2))),)
    trio.connect([b"w", b"v"], topics=())
    trio.receive(b"w", idontwant=idontwant(trio.message_id(1)))
    for _ in range(3):
        assert trio.receive(b"w", iwant=want) == forwarded(trio.message(2), b"w")
    (answer,) = trio.receive(b"v", iwant=want)
    assert answer.rpc.publish == (trio.message(1), trio.message(2))  # type: ignore[union-attr]
    for _ in range(3):
        trio.tick()
    # What was refused was not sent, so it does not count as sent.
    assert trio.receive(b"w", iwant=want) == forwarded(trio.message(1), b"w")


@pytest.mark.rule("IDW-07")
def test_refused_and_asked_for_in_one_rpc_is_refused(trio: Node) -> None:
    trio.accept(b"b", trio.message())
    message_id = trio.message_id()
    effects = trio.receive(b"c", iwant=(IWant((message_id,)),), idontwant=idontwant(message_id))
    assert effects == [Unqueue(b"c", trio.message())]  # and nothing is sent


@pytest.mark.parametrize("flood_publish", [True, False])
@pytest.mark.parametrize("joined", [True, False])
def test_an_own_message_is_not_sent_to_a_peer_that_has_it_from_elsewhere(
    make_node: Callable[..., Node], flood_publish: bool, joined: bool
) -> None:
    node = make_node(message_id=content_id, flood_publish=flood_publish)
    if joined:
        node.join("t")
    node.connect([b"b", b"c"])
    message = node.message(author=node.ME)
    node.receive(b"b", idontwant=idontwant(content_id(message)))
    assert node.router.publish(message, now=node.now).peers == (b"c",)
    assert set(node.sent(node.router.effects())) == {b"c"}


@pytest.mark.rule("FS-02")
def test_a_floodsub_peer_cannot_refuse(trio: Node) -> None:
    trio.connect([b"w"], protocol="/floodsub/1.0.0")
    trio.receive(b"w", idontwant=idontwant(trio.message_id()))
    assert trio.accept(b"b", trio.message())[1:] == forwarded(trio.message(), b"c", b"d", b"w")


# For how long, and how much


def is_sent(node: Node, number: int, peer: bytes) -> bool:
    return peer in node.sent(node.accept(b"b", node.message(number)))


@pytest.mark.rule("IDW-09", "MESH-09")
@pytest.mark.parametrize(("heartbeats", "ticks"), [(3, 3), (1, 1), (5, 5)])
def test_a_refusal_ends_after_so_many_heartbeats(
    make_node: Callable[..., Node], heartbeats: int, ticks: int
) -> None:
    node = make_node(lazy=LazyParams(idontwant_heartbeats=heartbeats))
    node.join("t")
    node.connect([b"b", b"c"])
    node.receive(b"c", idontwant=idontwant(node.message_id(1), node.message_id(2)))
    for _ in range(ticks - 1):
        node.tick()
    assert not is_sent(node, 1, b"c")
    node.tick()
    assert is_sent(node, 2, b"c")
    assert node.router.snapshot().refusals == 0


@pytest.mark.rule("IDW-09")
def test_refusing_again_prolongs_the_refusal_and_no_other(trio: Node) -> None:
    trio.receive(b"c", idontwant=idontwant(trio.message_id(1), trio.message_id(2)))
    trio.tick()
    trio.receive(b"c", idontwant=idontwant(trio.message_id(1)))
    trio.tick()
    trio.tick()
    assert not is_sent(trio, 1, b"c")
    assert is_sent(trio, 2, b"c")
    trio.tick()
    assert trio.router.snapshot().refusals == 0


@pytest.mark.rule("IDW-08", "SPAM-07")
def test_ten_ids_per_rpc_are_looked_at(trio: Node) -> None:
    ids = [trio.message_id(number) for number in range(20)]
    trio.receive(b"c", idontwant=(IDontWant(ids[:4]), IDontWant(()), IDontWant(ids[4:])))
    assert trio.router.snapshot().refusals == 10
    assert [is_sent(trio, number, b"c") for number in range(20)] == [False] * 10 + [True] * 10
    trio.receive(b"d", idontwant=(IDontWant((ids[18],) * 10 + (ids[19],)),))
    assert trio.router.snapshot().refusals == 11


@pytest.mark.rule("IDW-08", "SPAM-07")
def test_1000_rpcs_per_peer_and_heartbeat_are_considered(trio: Node) -> None:
    for number in range(1010):
        trio.receive(b"c", idontwant=idontwant(trio.message_id(number)))
    trio.receive(b"d", idontwant=idontwant(trio.message_id(1009)))
    assert [is_sent(trio, number, b"c") for number in (0, 999, 1000)] == [False, False, True]
    assert not is_sent(trio, 1009, b"d")
    trio.tick()
    trio.receive(b"c", idontwant=idontwant(trio.message_id(1010)))
    assert not is_sent(trio, 1010, b"c")


@pytest.mark.rule("IDW-08", "SPAM-07")
def test_the_number_of_refusals_per_peer_is_bounded(make_node: Callable[..., Node]) -> None:
    node = make_node(limits=RouterLimits(max_refusals=12))
    node.join("t")
    node.connect([b"b", b"c", b"d"])
    for start in range(0, 1000, 10):
        ids = [node.message_id(number) for number in range(start, start + 10)]
        node.receive(b"c", idontwant=idontwant(*ids))
    assert node.router.snapshot().refusals == 12
    assert [is_sent(node, number, b"c") for number in (0, 11, 12)] == [False, False, True]
    node.receive(b"d", idontwant=idontwant(node.message_id(13)))
    assert not is_sent(node, 13, b"d")


@pytest.mark.rule("IDW-08")
def test_a_full_table_still_prolongs_what_is_in_it(make_node: Callable[..., Node]) -> None:
    node = make_node(limits=RouterLimits(max_refusals=1))
    node.join("t")
    node.connect([b"b", b"c"])
    for _ in range(5):
        node.receive(b"c", idontwant=idontwant(node.message_id(1), node.message_id(2)))
        node.tick()
    assert not is_sent(node, 1, b"c")
    assert is_sent(node, 2, b"c")


@pytest.mark.rule("IDW-12", "IDW-08")
def test_idontwant_beyond_the_limits_has_no_other_effect(trio: Node) -> None:
    ids = [trio.message_id(number) for number in range(100)]
    for _ in range(1100):
        assert trio.receive(b"c", idontwant=(IDontWant(ids),)) == []
    assert b"c" in trio.router.mesh("t")
    assert not any(trio.controls(trio.wait(5), name) for name in ("prune", "graft"))


@pytest.mark.rule("IDW-12")
def test_a_message_sent_in_spite_of_our_idontwant_is_a_plain_duplicate(trio: Node) -> None:
    (*_, validate) = trio.receive(b"b", publish=[large(trio)])
    assert trio.receive(b"c", publish=[large(trio)]) == []
    assert trio.verdict(validate)[1:] == forwarded(large(trio), b"d")
    assert trio.router.snapshot().undelivered == {"duplicate": 1}
    assert trio.router.mesh("t") == [b"b", b"c", b"d"]


@pytest.mark.rule("MID-03")
@pytest.mark.parametrize("length", [0, 1, 64, 65, 100_000])
def test_ids_of_any_length_can_be_refused_and_told(
    make_node: Callable[..., Node], length: int
) -> None:
    odd = (b"\x00\xff\x80" * length)[:length]
    node = make_node(message_id=lambda message: odd)
    node.join("t")
    node.connect([b"b", b"c", b"d"])
    node.receive(b"c", idontwant=idontwant(odd))
    node.receive(b"d", idontwant=idontwant(b"x" + odd))
    (*effects, validate) = node.receive(b"b", publish=[large(node)])
    assert effects == told(odd, b"c", b"d")
    assert node.verdict(validate)[1:] == forwarded(large(node), b"d")
    assert node.receive(b"c", iwant=(IWant((odd,)),)) == []


# Gone


@pytest.mark.rule("WIRE-16")
def test_what_a_peer_refused_is_forgotten_when_it_goes(trio: Node) -> None:
    ids = [trio.message_id(number) for number in range(5)]
    for peer in (b"c", b"d"):
        trio.receive(peer, idontwant=idontwant(*ids))
    trio.receive(b"c", idontwant=idontwant(trio.message_id(7)))
    assert trio.router.snapshot().refusals == 6
    trio.router.peer_disconnected(b"c", now=trio.now)
    assert trio.router.snapshot().refusals == 5
    trio.connect([b"c"])
    assert is_sent(trio, 0, b"c")
    trio.router.peer_disconnected(b"d", now=trio.now)
    assert trio.router.snapshot().refusals == 0
    trio.wait(5)


@pytest.mark.rule("WIRE-21")
def test_what_a_peer_refused_ends_with_its_stream_and_not_with_ours(trio: Node) -> None:
    trio.receive(b"c", idontwant=idontwant(trio.message_id(1), trio.message_id(2)))
    trio.router.outbound_stream_reopened(b"c", protocol="/meshsub/1.2.0", now=trio.now)
    trio.receive(b"c", graft=(Graft("t"),))
    assert not is_sent(trio, 1, b"c")
    trio.router.inbound_stream_closed(b"c", now=trio.now)
    trio.receive(b"c", subscribe=["t"], graft=(Graft("t"),))
    assert is_sent(trio, 2, b"c")


def test_a_pruned_peer_is_not_told(trio: Node) -> None:
    trio.receive(b"c", prune=(Prune("t", (), 60),))
    effects = trio.receive(b"b", publish=[large(trio)])
    assert effects[:-1] == told(trio.message_id(), b"d")


@pytest.mark.rule("IDW-06")
def test_a_message_that_was_handed_over_already_is_taken_back_from_the_queue(trio: Node) -> None:
    message = large(trio)
    *_, validate = trio.receive(b"b", publish=[message])
    trio.verdict(validate)
    refusal = idontwant(trio.message_id(), b"unknown")
    assert trio.receive(b"c", idontwant=refusal) == [Unqueue(b"c", message)]
