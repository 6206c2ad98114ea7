"""Messages that are of use for a limited time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Deliver, SendRpc, Verdict
from gossipsub.router.params import TopicParams
from gossipsub.wire.rpc import IWant, Message, Prune

if TYPE_CHECKING:
    from tests.router.conftest import Node


def by_data(message: Message) -> float:
    """The age, written in the data."""
    return float(message.data or b"")


def aged(node: Node, number: int, age: bytes) -> Message:
    message = node.message(number)
    message.data = age
    return message


def test_a_message_older_than_its_topic_allows_is_ignored_without_blame_or_memory(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(topics={"t": TopicParams(message_lifetime=30.0, message_age=by_data)})
    node.connect([b"v", b"w"])
    node.join("t")
    assert node.receive(b"w", publish=[aged(node, 1, b"30.1")]) == []
    assert node.router.undelivered() == {"message expired": 1}
    assert node.router.snapshot().seen == 0
    effects = node.accept(b"w", aged(node, 2, b"30"))
    assert [type(effect) for effect in effects] == [Deliver, SendRpc]


@pytest.mark.parametrize("age", [b"none", b"nan", b"inf", b"-inf"])
def test_a_message_whose_age_cannot_be_told_is_too_old(
    make_node: Callable[..., Node], age: bytes
) -> None:
    node = make_node(topics={"t": TopicParams(message_lifetime=30.0, message_age=by_data)})
    node.connect([b"w"])
    node.join("t")
    assert node.receive(b"w", publish=[aged(node, 1, age)]) == []
    assert node.router.undelivered() == {"message expired": 1}


def test_a_message_from_the_future_is_new(make_node: Callable[..., Node]) -> None:
    node = make_node(topics={"t": TopicParams(message_lifetime=1.5, message_age=by_data)})
    node.connect([b"w"])
    node.join("t")
    node.accept(b"w", aged(node, 1, b"-1000"))
    node.wait(1.2)
    assert node.router.snapshot().cached == 1
    node.wait(1.0)
    assert node.router.snapshot().cached == 0  # long before its window of the cache goes


def test_a_verdict_that_comes_too_late_delivers_nothing(make_node: Callable[..., Node]) -> None:
    node = make_node(topics={"t": TopicParams(message_lifetime=3.0)})
    node.connect([b"v", b"w"])
    node.join("t")
    late, last = node.receive(b"w", publish=[node.message(1), node.message(2)])
    node.wait(3.0)
    assert len(node.verdict(last)) == 2
    node.wait(0.1)
    assert node.verdict(late, Verdict.ACCEPT) == []
    assert node.receive(b"v", publish=[node.message(1)]) == []
    assert node.router.undelivered() == {"message expired": 1, "duplicate": 1}


@pytest.mark.parametrize("own", [False, True])
def test_a_message_is_offered_and_sent_only_while_it_is_of_use(
    make_node: Callable[..., Node], own: bool
) -> None:
    node = make_node(topics={"t": TopicParams(message_lifetime=1.5)})
    node.join("t")
    node.connect([b"w"], topics=())
    node.receive(b"w", prune=(Prune("t", (), 3600),))
    node.receive(b"w", subscribe=["t"])
    author = node.ME if own else node.AUTHOR
    if own:
        node.publish(node.message(author=author))
    else:
        node.accept(b"w", node.message(author=author))
    want = (IWant((node.message_id(author=author),)),)
    offered = [len(node.controls(node.tick(), "ihave")) for _ in range(3)]
    assert offered == [1, 1, 0]  # at 0.1, 1.1 and 2.1, of five windows and three to gossip about
    assert node.receive(b"w", iwant=want) == []
    assert node.router.snapshot().cached == 0


def test_topics_without_a_lifetime_keep_messages_as_long_as_ever(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(topics={"other": TopicParams(message_lifetime=1.0)})
    node.join("t")
    node.publish(node.message(author=node.ME))
    node.wait(4.0)
    assert node.router.snapshot().cached == 1


def test_lifetimes_that_mean_nothing_are_refused() -> None:
    for lifetime in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"^message_lifetime must be positive and finite"):
            TopicParams(message_lifetime=lifetime)
    with pytest.raises(ValueError, match=r"^message_age needs a message_lifetime$"):
        TopicParams(message_age=by_data)
