"""Options of publishing, and the order in which the messages of a batch leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Deliver, Lane, PublishReceipt, SendRpc, TopicPeer
from gossipsub.router.publishing import in_turns
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Control, IHave, IWant, Message, Prune, Rpc

if TYPE_CHECKING:
    from tests.router.conftest import Node


@pytest.fixture
def trio(node: Node) -> Node:
    """Joined to t, with three peers in its mesh."""
    node.join("t")
    node.connect([b"a", b"b", b"c"], graft=["t"])
    return node


def own(node: Node, number: int) -> Message:
    return node.message(number, author=node.ME)


@pytest.mark.rule("API-08")
def test_the_messages_of_a_batch_leave_in_turns(trio: Node) -> None:
    messages = [own(trio, number) for number in (1, 2, 3)]
    receipts = trio.router.publish_batch(messages, now=0.0)
    ids = [trio.message_id(number, author=trio.ME) for number in (1, 2, 3)]
    assert receipts == [PublishReceipt(one, (b"a", b"b", b"c")) for one in ids]
    sent = [
        SendRpc(peer, Rpc(publish=(message,)), Lane.OWN)
        for peer in (b"a", b"b", b"c")
        for message in messages
    ]
    delivered = [Deliver(*each, None) for each in zip(messages, ids, strict=True)]
    assert trio.router.effects() == [*delivered, *sent]


def test_a_batch_leaves_what_was_to_be_done_before_where_it_is(trio: Node) -> None:
    trio.publish(own(trio, 1))
    trio.router.publish(own(trio, 2), now=0.0)
    before = [Deliver(own(trio, 2), trio.message_id(2, author=trio.ME), None)]
    before += [SendRpc(p, Rpc(publish=(own(trio, 2),)), Lane.OWN) for p in (b"a", b"b", b"c")]
    (again,) = trio.router.publish_batch([own(trio, 1)], now=0.0)
    assert again.duplicate
    assert trio.router.publish_batch([], now=0.0) == []
    assert trio.router.effects() == before


def test_of_a_batch_in_which_one_has_no_id_nothing_is_published(trio: Node) -> None:
    with pytest.raises(LocalProtocolError, match=r"^the message has no id: "):
        trio.router.publish_batch([own(trio, 1), Message("t", b"no origin")], now=0.0)
    assert trio.router.effects() == []


def test_messages_for_unequal_numbers_of_peers_take_turns_as_long_as_they_last() -> None:
    one, two = Rpc(publish=(Message("t", b"1"),)), Rpc(publish=(Message("t", b"2"),))
    first = [SendRpc(peer, one, Lane.OWN) for peer in (b"a", b"b", b"c")]
    second = [SendRpc(b"a", two, Lane.OWN)]
    other = [TopicPeer("t", b"a", True), SendRpc(b"a", Rpc(), Lane.FORWARDED)]
    assert in_turns([*first, other[0], *second, other[1]]) == [
        *other,
        first[0],
        second[0],
        *first[1:],
    ]
    assert in_turns([]) == []


@pytest.mark.rule("API-05")
def test_what_is_published_locally_is_delivered_and_no_peer_hears_of_it(trio: Node) -> None:
    message, message_id = own(trio, 1), trio.message_id(1, author=trio.ME)
    trio.connect([b"out"], topics=())
    receipt = trio.router.publish(message, local_only=True, now=trio.now)
    assert receipt == PublishReceipt(message_id, ())
    assert trio.router.effects() == [Deliver(message, message_id, None)]
    trio.receive(b"out", prune=[Prune("t", (), 3600)])
    trio.receive(b"out", subscribe=["t"])
    assert trio.tick() == []
    assert trio.receive(b"out", iwant=[IWant([message_id])]) == []
    assert trio.router.publish(message, now=trio.now).duplicate


@pytest.mark.rule("CACHE-10")
@pytest.mark.parametrize("cache", [False, True])
def test_a_message_kept_out_of_the_cache_is_sent_once_and_never_offered_or_served(
    trio: Node, cache: bool
) -> None:
    trio.connect([b"out"], topics=())
    trio.receive(b"out", prune=[Prune("t", (), 3600)])
    message, message_id = own(trio, 1), trio.message_id(1, author=trio.ME)
    assert trio.router.publish(message, cache=cache, now=trio.now).peers == (b"a", b"b", b"c")
    trio.router.effects()
    trio.receive(b"out", subscribe=["t"])
    ihave = Rpc(control=Control(ihave=(IHave("t", (message_id,)),)))
    answer = SendRpc(b"out", Rpc(publish=(message,)), Lane.FORWARDED)
    assert trio.tick() == ([SendRpc(b"out", ihave, Lane.FORWARDED)] if cache else [])
    assert trio.receive(b"out", iwant=[IWant([message_id])]) == ([answer] if cache else [])


@pytest.mark.rule("MESH-16")
@pytest.mark.parametrize(
    ("mesh", "floodsub", "wanted", "enough"),
    [
        (0, 0, None, False),
        (4, 0, None, False),
        (5, 0, None, True),
        (3, 2, None, True),
        (0, 5, None, True),
        (0, 4, None, False),
        (2, 1, 3, True),
        (2, 0, 3, False),
        (0, 0, 0, True),
        (11, 0, 20, False),
        (12, 0, 20, True),
        (0, 12, 20, False),
    ],
)
def test_when_a_topic_has_enough_peers(
    node: Node, mesh: int, floodsub: int, wanted: int | None, enough: bool
) -> None:
    node.join("t")
    node.connect(node.peers(mesh, "m"), graft=["t"])
    node.connect(node.peers(floodsub, "f"), protocol="/floodsub/1.0.0")
    assert node.router.has_enough_peers("t", wanted) is enough


@pytest.mark.rule("MESH-16")
def test_where_a_topic_is_not_joined_those_count_that_a_fanout_can_take(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(flood_publish=False)
    node.connect(node.peers(4))
    assert not node.router.has_enough_peers("t")
    node.connect([b"fifth"])
    assert node.router.has_enough_peers("t")
    assert not node.router.has_enough_peers("u")
