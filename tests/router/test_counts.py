"""What a router counts, by topic."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.counts import MAX_TOPICS, OTHER_TOPICS, RouterCounts, TopicCounts
from gossipsub.router.effects import Verdict
from gossipsub.router.params import MeshParams
from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.wire.rpc import Graft, Message, Prune

if TYPE_CHECKING:
    from tests.router.conftest import Node


def test_messages_are_counted_by_topic_and_by_what_became_of_them(node: Node) -> None:
    node.join("t")
    node.router.subscribe("relayed", deliver=False, now=node.now)
    node.connect([b"a", b"b"], topics=("t", "relayed"))
    node.accept(b"a", node.message(1))
    node.receive(b"b", publish=[node.message(1)])
    node.accept(b"a", node.message(1, topic="relayed", author=b"somebody else"))
    (validate,) = node.receive(b"a", publish=[node.message(2)])
    node.verdict(validate, Verdict.REJECT)
    node.receive(b"a", publish=[Message("t", b"unsigned"), node.message(3, topic="not joined")])
    node.publish(node.message(4, author=node.ME))
    node.publish(node.message(5, topic="fanout", author=node.ME))
    topics = node.router.counts().topics
    assert list(topics) == ["t", "relayed", "fanout"]
    assert (topics["t"].accepted, topics["t"].delivered, topics["t"].published) == (1, 2, 1)
    assert topics["t"].duplicates == 1
    assert topics["t"].undelivered == {"validation failed": 1, "missing signature": 1}
    assert topics["relayed"] == TopicCounts(accepted=1, grafts=2)
    assert topics["fanout"] == TopicCounts(published=1)
    assert node.router.undelivered() == {
        "validation failed": 1,
        "missing signature": 1,
        "duplicate": 1,
    }


MESHES: dict[str, tuple[Callable[[Node], object], dict[str, int], dict[str, int]]] = {
    "leaving": (lambda n: n.leave("t"), {"leaving the topic": 2}, {"leaving the topic": 2}),
    "gone": (lambda n: n.router.peer_disconnected(b"a", now=n.now), {}, {"peer gone": 1}),
    "unsubscribed": (
        lambda n: n.receive(b"a", unsubscribe=["t"]),
        {},
        {"peer unsubscribed": 1},
    ),
    "pruned": (lambda n: n.receive(b"a", prune=[Prune("t")]), {}, {"pruned by peer": 1}),
    "direct": (
        lambda n: n.router.add_direct_peer(b"a", now=n.now),
        {"direct peer": 1},
        {"direct peer": 1},
    ),
    "bad": (
        lambda n: (n.scores.update({b"a": -1.0}), n.tick()),
        {"negative score": 1},
        {"negative score": 1},
    ),
    "full": (
        lambda n: n.connect([b"c"], graft=["t"]),
        {"mesh full": 1},
        {},
    ),
    "unwelcome": (
        lambda n: (n.scores.update({b"c": -1.0}), n.connect([b"c"], graft=["t"])),
        {"unwelcome graft": 1},
        {},
    ),
}


@pytest.mark.parametrize(("act", "prunes", "left"), MESHES.values(), ids=MESHES)
def test_prunes_sent_and_peers_that_leave_a_mesh_are_counted_by_reason(
    make_node: Callable[..., Node],
    act: Callable[[Node], object],
    prunes: dict[str, int],
    left: dict[str, int],
) -> None:
    node = make_node(mesh=MeshParams(d=2, d_low=2, d_high=2, d_score=0, d_out=0))
    node.join("t")
    node.connect([b"a", b"b"])
    act(node)
    counts = node.router.counts().topics["t"]
    assert (counts.grafts, counts.prunes, counts.mesh_left) == (2, prunes, left)


def test_a_mesh_that_has_grown_too_large_counts_whom_it_prunes(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(mesh=MeshParams(d=2, d_low=2, d_high=2, d_score=0, d_out=0))
    node.join("t")
    node.connect(node.peers(4), outbound=True, graft=["t"])
    node.tick()
    assert node.router.counts().topics["t"].prunes == {"too many": 2}


def test_penalties_are_counted_by_what_they_are_for(make_node: Callable[..., Node]) -> None:
    node = make_node(
        score=PeerScoreParams(
            topics={"t": TopicScoreParams(invalid_message_deliveries_weight=-1.0)},
            behaviour_penalty_weight=-1.0,
        )
    )
    node.join("t")
    node.connect([b"a"])
    node.receive(b"a", prune=[Prune("t", (), 60)])
    node.receive(b"a", graft=[Graft("t")])
    node.receive(b"a", publish=[Message("t", b"unsigned")] * 3)
    counts = node.router.counts()
    assert counts.penalties == {"P7": 2, "P4": 3}
    assert counts.backoff_violations == 1


def test_topics_above_a_number_are_counted_together(node: Node) -> None:
    for number in range(MAX_TOPICS + 3):
        node.publish(node.message(number, topic=f"topic {number}", author=node.ME))
    topics = node.router.counts().topics
    assert len(topics) == MAX_TOPICS + 1
    assert topics[OTHER_TOPICS] == TopicCounts(published=3)


def test_peers_cannot_make_topics_be_counted(node: Node) -> None:
    node.join("t")
    node.connect([b"a"], topics=["theirs"], graft=["theirs"])
    node.receive(b"a", prune=[Prune("theirs")], publish=[node.message(topic="theirs")])
    assert list(node.router.counts().topics) == []


def test_what_was_asked_for_stays_as_it_is(node: Node) -> None:
    node.publish(node.message(1, author=node.ME))
    before = node.router.counts()
    node.publish(node.message(2, author=node.ME))
    assert before == RouterCounts({"t": TopicCounts(published=1)}, {}, 0)
