"""Own subscriptions: hello, announcements, and what is dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Lane, SendRpc
from gossipsub.wire.rpc import Control, IHave, Rpc, SubOpts

if TYPE_CHECKING:
    from tests.router.conftest import Node


def announcement(topic: str, subscribe: bool = True) -> Rpc:
    return Rpc(subscriptions=(SubOpts(topic, subscribe),))


@pytest.mark.rule("SUB-01")
def test_the_first_rpc_to_a_peer_holds_all_subscriptions(node: Node) -> None:
    node.join("a", "b", "c")
    hello = Rpc(subscriptions=(SubOpts("a"), SubOpts("b"), SubOpts("c")))
    assert node.connect([b"w"], topics=()) == [SendRpc(b"w", hello, Lane.URGENT)]


@pytest.mark.rule("SUB-01")
def test_without_subscriptions_there_is_no_hello(node: Node) -> None:
    assert node.connect([b"w"], topics=()) == []
    node.join("a")
    node.leave("a")
    assert node.connect([b"x"], topics=()) == []


@pytest.mark.rule("SUB-02")
def test_joining_and_leaving_is_announced_to_everybody_in_the_topic_or_not(node: Node) -> None:
    node.connect([b"flood"], protocol="/floodsub/1.0.0", topics=())
    node.connect([b"out"], topics=())
    joined = node.join("d")
    rpc = announcement("d")
    assert joined == [
        SendRpc(b"flood", rpc, Lane.CONTROL),
        SendRpc(b"out", rpc, Lane.CONTROL),
    ]
    assert joined[0].rpc is joined[1].rpc  # type: ignore[union-attr]
    rpc = announcement("d", False)
    assert node.leave("d") == [
        SendRpc(b"flood", rpc, Lane.CONTROL),
        SendRpc(b"out", rpc, Lane.CONTROL),
    ]


@pytest.mark.rule("SUB-03")
def test_joining_again_and_leaving_what_is_left_is_not_announced(node: Node) -> None:
    node.connect([b"w"])
    node.join("t")
    assert node.join("t") == []
    node.leave("t")
    assert node.leave("t") == []
    assert node.leave("never joined") == []


@pytest.mark.rule("QUE-04")
def test_a_topic_is_announced_before_its_grafts(node: Node) -> None:
    node.connect([b"w"])
    assert node.join("t") == [
        SendRpc(b"w", announcement("t"), Lane.CONTROL),
        node.graft(b"w", "t"),
    ]


@pytest.mark.rule("SUB-08")
def test_a_dropped_announcement_is_repeated_within_a_second(node: Node) -> None:
    node.connect([b"w", b"v"], topics=())
    node.join("t")
    before = node.router.next_deadline()
    node.router.rpc_dropped(b"w", announcement("t"), now=node.now)
    assert node.router.snapshot().announcements_owed == 1
    assert node.now <= node.router.next_deadline() <= min(before, node.now + 1.0)
    assert node.wait(1.0) == [SendRpc(b"w", announcement("t"), Lane.CONTROL)]
    assert node.wait(5.0) == []
    assert node.router.snapshot().announcements_owed == 0


@pytest.mark.rule("SUB-08")
def test_what_is_no_longer_true_is_not_announced_again(node: Node) -> None:
    node.connect([b"w"], topics=())
    node.join("t", "u")
    node.router.rpc_dropped(b"w", announcement("t"), now=node.now)
    node.router.rpc_dropped(b"w", announcement("u"), now=node.now)
    node.leave("t")
    assert node.wait(2.0) == [SendRpc(b"w", announcement("u"), Lane.CONTROL)]


@pytest.mark.rule("SUB-08")
def test_a_newer_announcement_makes_the_retry_unnecessary(node: Node) -> None:
    node.connect([b"w"], topics=())
    node.join("t")
    node.router.rpc_dropped(b"w", announcement("t"), now=node.now)
    node.leave("t")
    node.join("t")
    assert node.wait(2.0) == []


@pytest.mark.rule("SUB-08")
def test_a_drop_reported_after_leaving_is_not_made_good(node: Node) -> None:
    node.connect([b"w"], topics=())
    node.join("t")
    node.leave("t")
    node.router.rpc_dropped(b"w", announcement("t"), now=node.now)
    assert node.wait(2.0) == []


@pytest.mark.rule("SUB-08", "WIRE-21")
def test_a_new_hello_makes_retries_unnecessary(node: Node) -> None:
    node.connect([b"w"], topics=())
    node.join("t")
    node.router.rpc_dropped(b"w", announcement("t"), now=node.now)
    node.router.outbound_stream_reopened(b"w", protocol="/meshsub/1.2.0", now=node.now)
    assert node.router.effects() == [SendRpc(b"w", announcement("t"), Lane.URGENT)]
    assert node.wait(2.0) == []


def test_several_dropped_announcements_are_repeated_in_one_rpc(node: Node) -> None:
    node.connect([b"w"], topics=())
    node.join("t", "u")
    node.leave("u")
    for rpc in (announcement("t"), announcement("u", False)):
        node.router.rpc_dropped(b"w", rpc, now=node.now)
    rpc = Rpc(subscriptions=(SubOpts("t"), SubOpts("u", False)))
    assert node.wait(2.0) == [SendRpc(b"w", rpc, Lane.CONTROL)]


@pytest.mark.rule("SUB-08", "WIRE-16")
def test_nothing_is_announced_to_a_peer_that_left(node: Node) -> None:
    node.connect([b"w"], topics=())
    node.join("t")
    node.router.rpc_dropped(b"w", announcement("t"), now=node.now)
    node.router.peer_disconnected(b"w", now=node.now)
    node.router.rpc_dropped(b"w", announcement("t"), now=node.now)
    assert node.wait(2.0) == []
    assert node.router.snapshot().announcements_owed == 0


@pytest.mark.parametrize("retry_max", [0.0, 5.0])
def test_the_delay_is_configurable(retry_max: float, make_node: Callable[..., Node]) -> None:
    node = make_node(announce_retry_max=retry_max)
    node.connect([b"w"], topics=())
    node.join("t")
    node.router.rpc_dropped(b"w", announcement("t"), now=node.now)
    assert node.wait(retry_max) == [SendRpc(b"w", announcement("t"), Lane.CONTROL)]


def test_gossip_that_was_dropped_is_forgotten(node: Node) -> None:
    node.connect([b"w"])
    node.router.rpc_dropped(b"w", Rpc(control=Control(ihave=(IHave("t", (b"a",)),))), now=0.0)
    assert node.wait(3.0) == []
    assert node.router.snapshot().control_owed == 0
