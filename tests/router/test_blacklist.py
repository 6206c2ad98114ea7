"""Blacklisted peers: unknown to the router, and their messages refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gossipsub.router.admission.blacklist import Blacklist
from gossipsub.router.effects import Disconnect, TopicPeer, Validate
from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.wire.rpc import Graft

W, V = b"w", b"v"


def test_a_peer_is_listed_until_its_time_or_for_ever() -> None:
    listed = Blacklist()
    listed.add(W, 10.0)
    listed.add(V, None)
    assert [listed.contains(peer, 9.9) for peer in (W, V, b"x", None)] == [True, True, False, False]
    assert [listed.contains(peer, 10.0) for peer in (W, V)] == [False, True]
    assert (listed.peers(9.9), listed.peers(1e9)) == ([W, V], [V])
    listed.sweep(10.0)
    assert not listed.remove(W)
    assert listed.remove(V)
    assert listed.peers(0.0) == []


@pytest.fixture
def node(make_node: Callable[..., Any]) -> Any:
    score = PeerScoreParams(
        topics={
            "t": TopicScoreParams(
                invalid_message_deliveries_weight=-1.0, invalid_message_deliveries_decay=0.99
            )
        }
    )
    node = make_node(score=score)
    node.join("t")
    node.connect([W, V], graft=["t"])
    return node


@pytest.mark.rule("VAL-15")
def test_a_blacklisted_peer_is_forgotten_with_all_its_ties(node: Any) -> None:
    node.router.blacklist(W, now=0.0)
    assert node.router.effects() == [TopicPeer("t", W, False)]
    assert node.router.blacklisted(now=0.0) == [W]
    assert (node.router.peers(), node.router.mesh("t"), node.router.topic_peers("t")) == (
        [V],
        [V],
        [V],
    )
    assert W not in node.sent(node.publish(node.message(1, author=node.ME)))
    assert W not in node.sent(node.wait(3.0))


@pytest.mark.rule("VAL-15")
def test_what_it_sends_or_wrote_is_refused_without_blame(node: Any) -> None:
    node.router.blacklist(W, now=0.0)
    node.router.effects()
    assert node.receive(W, subscribe=["u"], publish=[node.message(1)], graft=[Graft("t")]) == []
    by_it = [node.message(2, author=W), node.message(3, author=W, topic="elsewhere")]
    assert node.receive(V, publish=by_it) == []
    assert node.router.undelivered() == {"blacklisted peer": 1, "blacklisted source": 1}
    assert node.router.score(V) == 0.0
    assert len(node.receive(V, publish=[node.message(1)])) == 1


@pytest.mark.rule("VAL-15")
def test_it_connects_in_vain_until_its_time_is_over(node: Any) -> None:
    node.router.blacklist(W, until=100.0, now=0.0)
    node.router.blacklist(b"never met", until=100.0, now=0.0)
    node.router.effects()
    node.now = 99.0
    assert node.connect([W, b"never met"], graft=["t"]) == []
    node.router.outbound_stream_reopened(W, protocol="/meshsub/1.2.0", now=node.now)
    node.router.peer_disconnected(W, now=node.now)
    assert node.router.peers() == [V]
    node.wait(1.5)
    node.connect([W])
    assert node.router.peers() == [V, W]
    assert node.router.blacklisted(now=node.now) == []
    assert not node.router.unblacklist(W)
    assert isinstance(node.receive(W, publish=[node.message(1, author=W)])[0], Validate)


@pytest.mark.rule("VAL-15")
def test_it_can_be_let_in_again_early(node: Any) -> None:
    node.router.blacklist(W, now=0.0)
    assert node.router.unblacklist(W)
    assert not node.router.unblacklist(W)
    node.connect([W])
    assert node.router.peers() == [V, W]


def test_a_time_that_is_over_changes_nothing(node: Any) -> None:
    node.now = 10.0
    node.router.blacklist(W, until=10.0, now=node.now)
    assert node.router.effects() == []
    assert node.router.peers() == [W, V]
    assert not any(isinstance(effect, Disconnect) for effect in node.wait(2.0))
