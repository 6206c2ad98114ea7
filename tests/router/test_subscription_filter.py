"""Subscription filters, alone and in the router."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from gossipsub.router.admission.subscription_filter import allow_matching, allow_topics, narrowed
from gossipsub.router.effects import TopicPeer
from gossipsub.router.params import RouterLimits
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Rpc, SubOpts

FILTERS = [
    allow_topics(["a", "b"]),
    allow_topics(name for name in "ab"),
    allow_matching("[ab]"),
    allow_matching(re.compile(r"a|b")),
    lambda topic: topic in "ab",
]


def test_a_single_topic_needs_no_list() -> None:
    allows = allow_topics("news")
    assert (allows("news"), allows("n")) == (True, False)


def options(text: str) -> list[SubOpts]:
    """Of `a+ b-`: a is subscribed to and b withdrawn."""
    return [SubOpts(each[:-1], each[-1] == "+") for each in text.split()]


@pytest.mark.rule("FILT-01")
@pytest.mark.parametrize("allows", FILTERS)
def test_only_subscriptions_to_allowed_topics_are_recorded(
    make_node: Callable[..., Any], allows: Callable[[str], bool]
) -> None:
    node = make_node(subscription_filter=allows)
    node.join("a")
    node.connect([b"w"], topics=["a", "b", "c", "ab!"])
    assert node.router.topics_of(b"w") == ["a", "b"]
    assert node.receive(b"w", subscribe=["c"]) == []
    assert node.receive(b"w", unsubscribe=["b", "c"]) == [TopicPeer("b", b"w", False)]


@pytest.mark.rule("FILT-02")
@pytest.mark.parametrize("allows", FILTERS)
def test_subscribing_to_a_forbidden_topic_is_an_error_and_announces_nothing(
    make_node: Callable[..., Any], allows: Callable[[str], bool]
) -> None:
    node = make_node(subscription_filter=allows)
    node.connect([b"w"], topics=())
    with pytest.raises(LocalProtocolError, match=r"^the subscription filter forbids the topic: c$"):
        node.join("c")
    assert node.router.effects() == []
    assert node.router.topics() == []
    assert len(node.join("a")) == 1


@pytest.mark.rule("FILT-03")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a+ a+ b+ b-", "a+"),
        ("a+ a+ a+", "a+"),
        ("b- b+", ""),
        ("b+ b- b+", ""),
        ("a+ b- c+", "b- a+"),
        ("", ""),
    ],
)
def test_in_one_rpc_equal_entries_count_once_and_opposite_ones_cancel(sent: str, kept: str) -> None:
    assert narrowed(options(sent), allow_topics(["a", "b"]), 10) == options(kept)


def test_a_name_too_long_to_be_remembered_is_not_shown_to_the_filter() -> None:
    shown: list[str] = []

    def allows(topic: str) -> bool:
        shown.append(topic)
        return True

    assert narrowed(options("short+ muchlonger+ short+"), allows, 5) == options("short+")
    assert shown == ["short"]


@pytest.mark.rule("FILT-04")
def test_an_rpc_with_too_many_subscriptions_is_ignored_as_a_whole(
    make_node: Callable[..., Any],
) -> None:
    node = make_node(limits=RouterLimits(max_subscriptions_per_rpc=100))
    node.join("t")
    node.connect([b"w"], topics=())
    topics = [f"t{number}" for number in range(101)]
    assert node.receive(b"w", subscribe=topics, publish=[node.message()]) == []
    assert node.router.topics_of(b"w") == []
    assert node.router.snapshot().refused_rpcs == 1
    node.receive(b"w", subscribe=topics[:100])
    assert node.router.topics_of(b"w") == topics[:100]


@pytest.mark.rule("FILT-04", "FILT-06")
def test_by_default_the_limit_is_beyond_what_is_remembered_of_a_peer(
    make_node: Callable[..., Any],
) -> None:
    node = make_node()
    assert RouterLimits().max_subscriptions_per_rpc == 2 * RouterLimits().max_topics_per_peer
    node.connect([b"w"], topics=[f"t{number}" for number in range(2048)])
    assert len(node.router.topics_of(b"w")) == 1024
    node.connect([b"v"], topics=[f"t{number}" for number in range(2049)])
    assert node.router.topics_of(b"v") == []


@pytest.mark.rule("FILT-05")
@pytest.mark.parametrize("sent", ["a- z+", "z+ a-"])
def test_at_the_limit_of_topics_a_withdrawal_makes_room_in_the_same_rpc(
    make_node: Callable[..., Any], sent: str
) -> None:
    node = make_node(
        limits=RouterLimits(max_topics_per_peer=2), subscription_filter=allow_matching("[a-z]")
    )
    node.connect([b"w"], topics=["a", "b"])
    node.router.receive_rpc(b"w", Rpc(subscriptions=options(sent)), now=0.0)
    assert node.router.topics_of(b"w") == ["b", "z"]


def test_a_filter_that_fails_allows_nothing_and_is_counted(make_node: Callable[..., Any]) -> None:
    node = make_node(subscription_filter=lambda topic: {"a": True}[topic])
    node.connect([b"w"], topics=["a", "b"])
    assert node.router.topics_of(b"w") == ["a"]
    assert node.router.snapshot().callback_failures == 1
