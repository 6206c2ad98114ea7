"""The way of a message: receipt, validation, verdict, forwarding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Deliver, Effect, Lane, SendRpc, Validate, Verdict
from gossipsub.router.message_id import content_id
from gossipsub.router.params import RouterLimits, SignaturePolicy
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import IHave, IWant, Message, Rpc

if TYPE_CHECKING:
    from tests.router.conftest import Node


def forwarded(node: Node, message: Message, *peers: bytes) -> list[Effect]:
    return [SendRpc(peer, Rpc(publish=(message,)), Lane.FORWARDED) for peer in peers]


@pytest.fixture
def trio(node: Node) -> Node:
    """A node in topic t with the mesh b, c, d."""
    node.join("t")
    node.connect([b"b", b"c", b"d"])
    return node


@pytest.mark.rule("VAL-12", "CACHE-07")
def test_a_good_message_is_validated_delivered_and_forwarded_once(trio: Node) -> None:
    message, message_id = trio.message(), trio.message_id()
    effects = trio.receive(b"b", publish=[message])
    assert effects == [Validate(1, b"b", message, message_id)]
    effects = trio.verdict(effects[0])
    assert effects == [
        Deliver(message, message_id, b"b"),
        *forwarded(trio, message, b"c", b"d"),
    ]
    assert effects[1].rpc is effects[2].rpc  # type: ignore[union-attr]
    for peer in (b"b", b"c", b"d"):
        assert trio.receive(peer, publish=[message]) == []


@pytest.mark.rule("VAL-12")
def test_a_message_is_not_sent_to_its_author(trio: Node) -> None:
    message = trio.message(author=b"c")
    assert trio.accept(b"b", message)[1:] == forwarded(trio, message, b"d")


@pytest.mark.rule("FS-01", "FS-04", "FS-05")
def test_floodsub_peers_of_the_topic_get_every_message_once(node: Node) -> None:
    node.join("t")
    node.connect([b"b", b"c", b"low"], protocol="/floodsub/1.0.0")
    node.connect([b"elsewhere"], protocol="/floodsub/1.0.0", topics=("u",))
    node.scores[b"low"] = -50.1
    message = node.message()
    assert node.accept(b"b", message)[1:] == forwarded(node, message, b"c")
    assert node.receive(b"c", publish=[message]) == []


@pytest.mark.rule("VAL-02")
def test_a_message_of_a_topic_not_joined_has_no_effect_and_stays_unseen(node: Node) -> None:
    node.connect([b"b"])
    assert node.receive(b"b", publish=[node.message()]) == []
    node.join("t")
    assert node.receive(b"b", publish=[node.message()]) == [
        Validate(1, b"b", node.message(), node.message_id())
    ]


def test_a_message_accepted_after_leaving_the_topic_is_as_if_it_never_came(trio: Node) -> None:
    (validate,) = trio.receive(b"b", publish=[trio.message()])
    trio.leave("t")
    assert trio.verdict(validate) == []
    trio.join("t")
    assert len(trio.receive(b"b", publish=[trio.message()])) == 1


@pytest.mark.rule("VAL-10")
def test_a_copy_during_validation_is_not_validated_again(trio: Node) -> None:
    (validate,) = trio.receive(b"b", publish=[trio.message()])
    assert trio.receive(b"c", publish=[trio.message()]) == []
    trio.verdict(validate)
    assert trio.receive(b"d", publish=[trio.message()]) == []
    assert trio.router.snapshot().undelivered == {"duplicate": 2}


@pytest.mark.rule("VAL-13")
def test_peers_that_sent_a_copy_during_validation_get_none(trio: Node) -> None:
    message = trio.message()
    (validate,) = trio.receive(b"b", publish=[message])
    trio.receive(b"c", publish=[message])
    assert trio.verdict(validate)[1:] == forwarded(trio, message, b"d")


@pytest.mark.rule("VAL-13")
def test_copies_with_other_bytes_count_as_copies_too(trio: Node) -> None:
    message = trio.message()
    (validate,) = trio.receive(b"b", publish=[message])
    trio.receive(b"c", publish=[replace(message, encoding=b"other")])
    assert trio.verdict(validate)[1:] == forwarded(trio, message, b"d")


@pytest.mark.rule("VAL-04", "CACHE-04")
@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.IGNORE])
def test_a_refused_message_is_seen_and_goes_nowhere(trio: Node, verdict: Verdict) -> None:
    (validate,) = trio.receive(b"b", publish=[trio.message()])
    assert trio.verdict(validate, verdict) == []
    assert trio.receive(b"c", publish=[trio.message()]) == []
    assert trio.receive(b"c", iwant=(IWant((trio.message_id(),)),)) == []
    assert trio.router.snapshot().undelivered == {verdict.value: 1, "duplicate": 1}


@pytest.mark.rule("VAL-09")
@pytest.mark.parametrize("verdict", [Verdict.QUEUE_FULL, Verdict.THROTTLED])
def test_a_message_nobody_looked_at_may_come_again(trio: Node, verdict: Verdict) -> None:
    message = trio.message()
    (validate,) = trio.receive(b"b", publish=[message])
    assert trio.verdict(validate, verdict) == []
    assert trio.receive(b"c", publish=[message]) == [Validate(2, b"c", message, trio.message_id())]
    assert trio.router.snapshot().seen == 0


@pytest.mark.rule("SIGN-08")
def test_a_forged_copy_does_not_keep_the_genuine_one_out(trio: Node) -> None:
    genuine = trio.message()
    forged = replace(genuine, data=b"forged", encoding=b"forged")
    (first,) = trio.receive(b"b", publish=[forged])
    assert trio.receive(b"c", publish=[genuine]) == []
    (second,) = trio.verdict(first, Verdict.INVALID_SIGNATURE)
    assert second == Validate(2, b"c", genuine, trio.message_id())
    assert trio.verdict(second) == [
        Deliver(genuine, trio.message_id(), b"c"),
        *forwarded(trio, genuine, b"b", b"d"),
    ]


@pytest.mark.rule("SIGN-08")
def test_an_invalid_signature_leaves_the_id_unseen(trio: Node) -> None:
    (validate,) = trio.receive(b"b", publish=[trio.message()])
    assert trio.verdict(validate, Verdict.INVALID_SIGNATURE) == []
    assert len(trio.receive(b"c", publish=[trio.message()])) == 1


def test_copies_waiting_for_their_turn_go_when_the_topic_is_left(trio: Node) -> None:
    (first,) = trio.receive(b"b", publish=[trio.message()])
    trio.receive(b"c", publish=[replace(trio.message(), encoding=b"other")])
    trio.leave("t")
    assert trio.verdict(first, Verdict.INVALID_SIGNATURE) == []
    assert trio.router.snapshot().pending == 0


def test_only_so_many_differing_copies_are_kept(make_node: Callable[..., Node]) -> None:
    node = make_node(limits=RouterLimits(max_copies=3))
    node.join("t")
    node.connect(node.peers(10))
    effects: list[Effect] = []
    for number, peer in enumerate(node.peers(10)):
        effects += node.receive(peer, publish=[replace(node.message(), encoding=b"%d" % number)])
    tried = []
    while effects:
        (validate,) = effects
        assert isinstance(validate, Validate)
        tried.append(validate.message.encoding)
        effects = node.verdict(validate, Verdict.INVALID_SIGNATURE)
    assert tried == [b"0", b"1", b"2"]
    assert node.router.snapshot().pending == 0


@pytest.mark.rule("VAL-09")
def test_the_number_of_messages_under_validation_is_bounded(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(limits=RouterLimits(max_pending=2))
    node.join("t")
    node.connect([b"b"])
    first, _ = node.receive(b"b", publish=[node.message(number) for number in range(5)])
    assert node.router.snapshot().undelivered == {"validation queue full": 3}
    node.verdict(first)
    assert len(node.receive(b"b", publish=[node.message(4)])) == 1


@pytest.mark.rule("VAL-09")
def test_the_memory_of_messages_under_validation_is_bounded_and_shared(
    make_node: Callable[..., Node],
) -> None:
    """A flood of large messages, all without a verdict: it is dropped, and others are heard."""

    def large(number: int, author: bytes) -> Message:
        return replace(node.message(number, author=author), encoding=author + bytes([number] * 999))

    node = make_node(limits=RouterLimits(max_pending_bytes=100_000))
    node.join("t")
    node.connect([b"flooder", b"honest"])
    node.receive(b"flooder", publish=[large(number, b"f") for number in range(100)])
    snapshot = node.router.snapshot()
    assert (snapshot.pending, snapshot.pending_bytes) == (33, 66_000)
    assert snapshot.undelivered == {"validation queue full": 67}
    assert snapshot.seen == 0
    assert len(node.receive(b"honest", publish=[large(1, b"h")])) == 1
    # It was not blamed for, nor taken for seen: once there is room it is welcome.
    for ticket in range(1, 34):
        node.router.validation_result(ticket, Verdict.ACCEPT, now=node.now)
    node.router.effects()
    assert len(node.receive(b"flooder", publish=[large(99, b"f")])) == 1


@pytest.mark.rule("VAL-16")
def test_a_verdict_counts_once_and_only_for_a_ticket_that_was_given(trio: Node) -> None:
    (validate,) = trio.receive(b"b", publish=[trio.message()])
    assert isinstance(validate, Validate)
    verdict = trio.router.validation_result
    assert verdict(validate.ticket, Verdict.ACCEPT, now=0.0)
    assert len(trio.router.effects()) == 3
    before = trio.router.snapshot()
    assert not verdict(validate.ticket, Verdict.ACCEPT, now=0.0)
    assert not verdict(12345, Verdict.REJECT, now=0.0)
    assert trio.router.effects() == []
    assert trio.router.snapshot() == before


@pytest.mark.rule("CACHE-05")
def test_a_seen_message_is_new_again_after_the_ttl(trio: Node) -> None:
    trio.accept(b"b", trio.message())
    trio.wait(119.9)
    assert trio.receive(b"c", publish=[trio.message()]) == []
    trio.wait(0.2)
    assert trio.router.snapshot().seen == 0
    assert len(trio.receive(b"c", publish=[trio.message()])) == 1


@pytest.mark.rule("SIGN-12")
def test_a_message_in_my_name_that_is_not_mine_is_dropped(trio: Node) -> None:
    assert trio.receive(b"b", publish=[trio.message(7, author=trio.ME)]) == []
    assert trio.router.snapshot().undelivered == {"self originated message": 1}


@pytest.mark.rule("SIGN-12", "CACHE-08")
def test_the_echo_of_an_own_message_is_a_duplicate(trio: Node) -> None:
    trio.publish(trio.message(author=trio.ME))
    assert trio.receive(b"b", publish=[trio.message(author=trio.ME)]) == []
    assert trio.router.snapshot().undelivered == {"duplicate": 1}


@pytest.mark.rule("POL-01")
def test_unsigned_messages_are_refused_before_all_else(trio: Node) -> None:
    unsigned = replace(trio.message(author=trio.ME), signature=None)
    assert trio.receive(b"b", publish=[unsigned]) == []
    assert trio.router.snapshot().undelivered == {"missing signature": 1}


@pytest.mark.rule("POL-02", "POL-03", "MID-05")
def test_without_signing_messages_are_known_by_their_content(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(signature_policy=SignaturePolicy.STRICT_NO_SIGN, message_id=content_id)
    node.join("t")
    node.connect([b"b", b"c"])
    message = Message("t", b"data")
    assert node.accept(b"b", message) == [
        Deliver(message, content_id(message), b"b"),
        *forwarded(node, message, b"c"),
    ]
    assert node.receive(b"c", publish=[Message("t", b"data"), node.message()]) == []
    assert node.router.snapshot().undelivered == {"duplicate": 1, "unexpected signature": 1}
    assert node.router.publish(message, now=0.0).duplicate


@pytest.mark.rule("VAL-18", "MID-04")
@pytest.mark.parametrize("result", [ZeroDivisionError, None, "text", [b"unhashable"]])
def test_an_id_function_that_fails_costs_only_the_message(
    make_node: Callable[..., Node], result: object
) -> None:
    def failing(message: Message) -> bytes:
        if result is ZeroDivisionError:
            raise ZeroDivisionError
        return result  # type: ignore[return-value]

    node = make_node(message_id=failing)
    node.join("t")
    node.connect([b"b"])
    assert node.receive(b"b", publish=[node.message()], ihave=(IHave("t", (b"x",)),)) != []
    assert node.router.snapshot().undelivered == {"no message id": 1}
    with pytest.raises(LocalProtocolError, match="message"):
        node.router.publish(node.message(), now=0.0)


@pytest.mark.rule("CACHE-03", "CACHE-04")
def test_own_and_accepted_messages_can_be_asked_for_and_pending_ones_not(trio: Node) -> None:
    trio.publish(trio.message(1, author=trio.ME))
    trio.accept(b"b", trio.message(2))
    (pending,) = trio.receive(b"b", publish=[trio.message(3)])
    trio.connect([b"w"], topics=())
    ids = (trio.message_id(1, author=trio.ME), trio.message_id(2), trio.message_id(3))
    (answer,) = trio.receive(b"w", iwant=(IWant(ids),))
    assert [m.seqno for m in answer.rpc.publish] == [  # type: ignore[union-attr]
        bytes(7) + b"\x01",
        bytes(7) + b"\x02",
    ]
    trio.verdict(pending)
    assert len(trio.receive(b"w", iwant=(IWant(ids[2:]),))) == 1


@pytest.mark.rule("FS-04", "CACHE-08")
def test_an_own_message_is_delivered_here_and_sent_with_one_rpc(trio: Node) -> None:
    message = trio.message(author=trio.ME)
    receipt = trio.router.publish(message, now=0.0)
    assert (receipt.message_id, receipt.peers) == (
        trio.message_id(author=trio.ME),
        (b"b", b"c", b"d"),
    )
    effects = trio.router.effects()
    assert effects == [
        Deliver(message, receipt.message_id, None),
        *(SendRpc(peer, Rpc(publish=(message,)), Lane.OWN) for peer in receipt.peers),
    ]
    assert len({id(effect.rpc) for effect in effects[1:]}) == 1  # type: ignore[union-attr]


@pytest.mark.rule("MID-06", "VAL-19")
def test_publishing_what_was_delivered_does_nothing_and_says_so(trio: Node) -> None:
    trio.accept(b"b", trio.message())
    receipt = trio.router.publish(trio.message(), now=0.0)
    assert (receipt.duplicate, receipt.peers) == (True, ())
    assert trio.router.effects() == []


@pytest.mark.rule("VAL-19")
@pytest.mark.parametrize("verdict", [Verdict.IGNORE, Verdict.REJECT])
def test_what_was_only_ignored_or_rejected_can_still_be_published(
    trio: Node, verdict: Verdict
) -> None:
    (validate,) = trio.receive(b"b", publish=[trio.message()])
    trio.verdict(validate, verdict)
    assert len(trio.publish(trio.message())) == 4
    assert trio.publish(trio.message()) == []


def test_publishing_what_is_under_validation_delivers_it_once(trio: Node) -> None:
    message = trio.message()
    (validate,) = trio.receive(b"b", publish=[message])
    assert isinstance(validate, Validate)
    assert trio.router.publish(message, now=0.0).peers == (b"c", b"d")
    trio.router.effects()
    assert not trio.router.validation_result(validate.ticket, Verdict.ACCEPT, now=0.0)
    assert trio.router.effects() == []


def test_a_message_published_under_another_name_is_not_sent_to_that_peer(trio: Node) -> None:
    assert set(trio.sent(trio.publish(trio.message(author=b"c")))) == {b"b", b"d"}


@pytest.mark.rule("API-02")
def test_a_relay_forwards_and_does_not_deliver(node: Node) -> None:
    node.router.subscribe("t", deliver=False, now=0.0)
    node.connect([b"b", b"c"])
    assert node.router.mesh("t") == [b"b", b"c"]
    assert node.accept(b"b", node.message(1)) == forwarded(node, node.message(1), b"c")
    node.join("t")
    assert node.accept(b"b", node.message(2))[0] == Deliver(
        node.message(2), node.message_id(2), b"b"
    )
    node.router.subscribe("t", deliver=False, now=0.0)
    assert node.router.effects() == []
    assert node.accept(b"b", node.message(3)) == forwarded(node, node.message(3), b"c")


@pytest.mark.rule("GOS-07")
def test_messages_of_an_rpc_come_before_its_control(trio: Node) -> None:
    effects = trio.receive(
        b"b", publish=[trio.message()], ihave=(IHave("t", (trio.message_id(), b"x")),)
    )
    assert effects[0] == Validate(1, b"b", trio.message(), trio.message_id())
    assert effects[1].rpc.control.iwant == (IWant((b"x",)),)  # type: ignore[union-attr]


@pytest.mark.rule("CACHE-09")
def test_a_flood_of_messages_leaves_bounded_tables(make_node: Callable[..., Node]) -> None:
    node = make_node(limits=RouterLimits(max_seen=1000, max_cached_bytes=4000))
    node.join("t")
    for number in range(5000):
        node.publish(node.message(number, author=node.ME))
    snapshot = node.router.snapshot()
    assert (snapshot.seen, snapshot.cached) == (1000, 1000)
