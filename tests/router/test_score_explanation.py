"""Why a score is what it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.router.effects import Verdict
from gossipsub.router.score.explanation import MAX_EVENTS, ScoreEvent, ScorePart
from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.wire.rpc import Graft, Prune, Rpc

if TYPE_CHECKING:
    from tests.router.conftest import Node

A = b"a"
TOPIC = TopicScoreParams(
    topic_weight=0.5,
    time_in_mesh_weight=1.0,
    time_in_mesh_quantum=1.0,
    time_in_mesh_cap=10.0,
    first_message_deliveries_weight=2.0,
    first_message_deliveries_decay=0.5,
    first_message_deliveries_cap=10.0,
    mesh_message_deliveries_weight=-1.0,
    mesh_message_deliveries_decay=0.5,
    mesh_message_deliveries_cap=10.0,
    mesh_message_deliveries_threshold=3.0,
    mesh_message_deliveries_window=0.01,
    mesh_message_deliveries_activation=5.0,
    mesh_failure_penalty_weight=-1.0,
    mesh_failure_penalty_decay=0.5,
    invalid_message_deliveries_weight=-4.0,
    invalid_message_deliveries_decay=0.5,
)
SCORE = PeerScoreParams(
    topics={"t": TOPIC},
    app_specific_score=lambda peer: 3.0,
    app_specific_weight=2.0,
    ip_colocation_factor_weight=-1.0,
    ip_colocation_factor_threshold=1,
    behaviour_penalty_weight=-10.0,
    behaviour_penalty_threshold=1.0,
    behaviour_penalty_decay=0.5,
    slow_peer_weight=-0.5,
    slow_peer_threshold=2.0,
    slow_peer_decay=0.5,
)


def event(at: float, component: str, reason: str, count: int, cost: float) -> ScoreEvent:
    topic = "t" if component in ("P3b", "P4") else None
    return ScoreEvent(
        at=at, component=component, topic=topic, reason=reason, count=count, cost=cost
    )


@pytest.fixture
def scores() -> PeerScores:
    scores = PeerScores(SCORE, max_retained=10, now=0.0)
    for peer in (A, b"b"):
        scores.add_peer(peer, ["10.0.0.1"])
    return scores


def test_every_component_is_named_with_its_counter_and_weight(scores: PeerScores) -> None:
    scores.graft(A, "t", 0.0)
    scores.refresh_if_due(7.0)
    scores.first_delivery(A, "t")
    scores.invalid_delivery(A, "t", "invalid signature")
    scores.penalise(A, 3, "misdeed")
    scores.send_lost(A, 4)
    explanation = scores.explain(A)
    assert explanation is not None
    assert explanation.parts == tuple(
        ScorePart(component=component, topic=topic, counter=counter, weight=weight)
        for component, topic, counter, weight in [
            ("P1", "t", 7.0, 0.5),
            ("P2", "t", 1.0, 1.0),
            ("P3", "t", 4.0, -0.5),
            ("P4", "t", 1.0, -2.0),
            ("P5", None, 3.0, 2.0),
            ("P6", None, 1.0, -1.0),
            ("P7", None, 4.0, -10.0),
            ("slow peer", None, 2.0, -0.5),
        ]
    )
    assert explanation.score == scores.score(A) == sum(part.value for part in explanation.parts)
    assert (
        str(explanation)
        == """\
score -35.50
  +3.50  P1 in t: 7 x 0.5
  +1.00  P2 in t: 1 x 1
  -2.00  P3 in t: 4 x -0.5
  -2.00  P4 in t: 1 x -2
  +6.00  P5: 3 x 2
  -1.00  P6: 1 x -1
  -40.00  P7: 4 x -10
  -1.00  slow peer: 2 x -0.5
  at 7.0 s -2.00  P4 in t: invalid signature
  at 7.0 s -40.00  P7: misdeed, 3 times
  at 7.0 s -1.00  slow peer: its queue was full, 4 times"""
    )


def test_each_misdeed_is_told_with_what_it_cost_when_it_happened(scores: PeerScores) -> None:
    scores.invalid_delivery(A, "t", "one")
    scores.invalid_delivery(A, "t", "another")
    scores.invalid_delivery(A, "t", "one")
    scores.penalise(A, 1, "forgiven")  # below the threshold
    scores.refresh_if_due(1.0)
    scores.invalid_delivery(A, "t", "one")  # the counter is 1.5
    explanation = scores.explain(A)
    assert explanation is not None
    assert explanation.events == (
        event(0.0, "P4", "one", 2, -2.0 + -10.0),
        event(0.0, "P4", "another", 1, -6.0),
        event(1.0, "P4", "one", 1, -8.0),
    )


@pytest.mark.rule("SCORE-37")
def test_messages_a_peer_had_no_room_for_cost_beyond_a_threshold_and_decay() -> None:
    params = PeerScoreParams(slow_peer_weight=-0.5, slow_peer_threshold=2.0, slow_peer_decay=0.5)
    scores = PeerScores(params, max_retained=10, now=0.0)
    scores.add_peer(A, ())
    scores.send_lost(A, 2)
    assert scores.score(A) == 0.0
    scores.send_lost(A, 4)
    assert scores.score(A) == -2.0
    scores.refresh_if_due(1.0)
    assert scores.score(A) == -0.5
    scores.send_lost(b"stranger", 4)
    snapshot = scores.snapshot(A)
    assert snapshot is not None
    assert snapshot.lost_sends == 3.0
    for second in range(2, 11):
        scores.refresh_if_due(float(second))
    snapshot = scores.snapshot(A)
    assert snapshot is not None
    assert snapshot.lost_sends == 0.0


def test_leaving_the_mesh_in_debt_is_an_event_and_so_is_hanging_up(scores: PeerScores) -> None:
    for peer in (A, b"b"):
        scores.graft(peer, "t", 0.0)
    scores.refresh_if_due(6.0)
    scores.prune(A, "t")
    scores.penalise(b"b", 5, "misdeed")  # so that its score is bad enough to be kept
    scores.remove_peer(b"b", 6.0)
    for peer in (A, b"b"):
        explanation = scores.explain(peer)
        assert explanation is not None
        failure = event(6.0, "P3b", "left the mesh owing deliveries", 1, -4.5)
        assert explanation.events[-1] == failure


def test_what_a_cap_on_all_topics_took_is_told() -> None:
    params = PeerScoreParams(topics={"t": TOPIC}, topic_score_cap=2.0)
    scores = PeerScores(params, max_retained=10, now=0.0)
    scores.add_peer(A, ())
    for _ in range(5):
        scores.first_delivery(A, "t")
    explanation = scores.explain(A)
    assert explanation is not None
    assert (explanation.score, explanation.cut_by_topic_cap) == (2.0, -3.0)
    assert str(explanation).splitlines()[-1] == "  -3.00  cap on all topics"


def test_only_so_many_events_are_remembered_and_a_flood_of_one_kind_is_one(
    scores: PeerScores,
) -> None:
    for number in range(MAX_EVENTS + 10):
        for _ in range(3):
            scores.invalid_delivery(A, "t", "flood")
        scores.refresh_if_due(float(number + 1))
    explanation = scores.explain(A)
    assert explanation is not None
    assert [(e.at, e.count) for e in explanation.events] == [
        (float(number), 3) for number in range(10, MAX_EVENTS + 10)
    ]
    assert scores.explain(b"stranger") is None


@given(st.lists(st.integers(0, 6), max_size=40))
def test_the_parts_always_add_up_to_the_score(steps: list[int]) -> None:
    scores = PeerScores(SCORE, max_retained=10, now=0.0)
    scores.add_peer(A, ["10.0.0.1"])
    for now, step in enumerate(steps):
        [
            lambda: scores.graft(A, "t", float(now)),  # noqa: B023
            lambda: scores.prune(A, "t"),
            lambda: scores.first_delivery(A, "t"),
            lambda: scores.invalid_delivery(A, "t", "x"),
            lambda: scores.penalise(A, 1, "x"),
            lambda: scores.send_lost(A, 1),
            lambda: scores.refresh_if_due(float(now)),  # noqa: B023
        ][step]()
        explanation = scores.explain(A)
        assert explanation is not None
        total = math.fsum(part.value for part in explanation.parts)
        assert total + explanation.cut_by_topic_cap == pytest.approx(scores.score(A))
        assert all(event.cost < 0 for event in explanation.events)


def test_the_router_says_what_each_thing_a_peer_did_cost_it(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(score=SCORE)
    node.join("t")
    node.connect([b"w", b"v"])
    first, second = node.receive(b"w", publish=[node.message(1), node.message(2)])
    node.verdict(first, Verdict.INVALID_SIGNATURE)
    node.verdict(second, Verdict.REJECT)
    node.receive(b"w", prune=(Prune("t", (), 60),))
    for _ in range(2):
        node.receive(b"w", graft=(Graft("t"),))
    node.router.rpc_dropped(b"w", Rpc(publish=(node.message(3),) * 5), now=node.now)
    node.router.report_delivery(b"w", "t", useful=False)
    explanation = node.router.explain_score(b"w")
    assert explanation is not None
    assert [(e.component, e.reason, e.count) for e in explanation.events] == [
        ("P4", Verdict.INVALID_SIGNATURE.value, 1),
        ("P4", Verdict.REJECT.value, 1),
        ("P7", "GRAFT during the backoff", 4),
        ("slow peer", "its queue was full", 5),
        ("P4", "reported by the application", 1),
    ]
    assert make_node().router.explain_score(b"w") is None
