"""What the score function is known not to see, with the parameters of two large networks.

The vectors are those of the formal model of GossipSub (arXiv 2212.05197). They document what the
specified function does; nothing here is to be "repaired".
"""

from __future__ import annotations

import pytest

from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.router.score.snapshot import TopicScoreSnapshot

A = b"a"


def eth2(*names: str) -> dict[str, TopicScoreParams]:
    def params(weight: float, p2: float, p3: float, p4: float, **rest: float) -> TopicScoreParams:
        return TopicScoreParams(
            topic_weight=weight,
            time_in_mesh_weight=0.0324,
            time_in_mesh_cap=300.0,
            first_message_deliveries_weight=p2,
            first_message_deliveries_decay=0.99,
            mesh_message_deliveries_weight=p3,
            mesh_message_deliveries_decay=0.99,
            mesh_failure_penalty_weight=p3,
            mesh_failure_penalty_decay=0.9999999,
            invalid_message_deliveries_weight=p4,
            invalid_message_deliveries_decay=0.99,
            **rest,
        )

    def values(cap2: float, cap3: float, threshold: float, activation: float) -> dict[str, float]:
        return {
            "first_message_deliveries_cap": cap2,
            "mesh_message_deliveries_cap": cap3,
            "mesh_message_deliveries_threshold": threshold,
            "mesh_message_deliveries_activation": activation,
        }

    subnet = params(
        1 / 3, 0.955, -37.55, -4544.0, time_in_mesh_quantum=10.0, **values(24, 100, 2, 17)
    )
    known = {
        "blocks": params(0.8, 1.0, -0.717, -140.4475, **values(23, 50, 5, 4)),
        "aggregates": params(0.5, 0.128, -0.064, -140.4475, **values(179, 500, 10, 32)),
        "subnet 1": subnet,
        "subnet 2": subnet,
        "subnet 3": subnet,
    }
    return {name: known[name] for name in names or known}


class Engine(PeerScores):
    """Scores of one peer, a."""

    def __init__(self, topics: dict[str, TopicScoreParams], cap: float = 0.0) -> None:
        params = PeerScoreParams(topics=topics, topic_score_cap=cap)
        super().__init__(params, max_retained=1, now=0.0)
        self.add_peer(A, ())

    def of(self, topic: str) -> TopicScoreSnapshot:
        snapshot = self.snapshot(A)
        assert snapshot is not None
        return snapshot.topics[topic]

    def deliver(self, topic: str, times: int) -> None:
        for _ in range(times):
            self.first_delivery(A, topic)


def with_counters(
    topics: dict[str, TopicScoreParams], seconds: dict[str, int], deliveries: dict[str, int]
) -> Engine:
    """a was in the mesh of each topic for so long, and then first to deliver so much."""
    engine = Engine(topics, cap=32.72)
    end = max(seconds.values())
    for name in seconds:
        engine.graft(A, name, float(end - seconds[name]))
    engine.refresh_if_due(float(end))
    for name in deliveries:
        engine.deliver(name, deliveries[name])
    return engine


@pytest.mark.rule("SCORE-41")
def test_the_vectors_of_the_formal_model_for_eth2() -> None:
    seconds = {"blocks": 123, "aggregates": 170, "subnet 1": 117, "subnet 2": 164, "subnet 3": 111}
    deliveries = {
        "blocks": 176, "aggregates": 117, "subnet 1": 170, "subnet 2": 117, "subnet 3": 164
    }  # fmt: skip
    engine = with_counters(eth2(), seconds, deliveries)
    assert engine.of("blocks").score == pytest.approx(67463 / 3125)
    assert engine.of("aggregates").score == pytest.approx(5121 / 500)
    # The model counts fractions of quanta, we whole ones: less than one quantum's worth apart.
    for name, vector in (
        ("subnet 1", 194159 / 25000),
        ("subnet 2", 48857 / 6250),
        ("subnet 3", 193997 / 25000),
    ):
        assert 0 <= vector - engine.of(name).score < 0.0324 / 3
    assert engine.score(A) == 32.72


@pytest.mark.rule("SCORE-41")
def test_known_weakness_the_cap_hides_a_topic_that_turned_bad() -> None:
    seconds = {"blocks": 123, "aggregates": 170, "subnet 1": 117, "subnet 2": 164, "subnet 3": 111}
    engine = with_counters(eth2(), seconds, dict.fromkeys(seconds, 117))
    before = engine.of("subnet 2").score
    assert before == pytest.approx(7.82, abs=0.01)
    left = Engine(eth2("subnet 2"))
    left.graft(A, "subnet 2", 0.0)
    left.refresh_if_due(18.0)
    left.mesh_delivery(A, "subnet 2")
    left.prune(A, "subnet 2")  # one delivery short: P3b is 1
    left.graft(A, "subnet 2", 18.0)
    left.refresh_if_due(182.0)
    left.deliver("subnet 2", 117)
    after = left.of("subnet 2").score
    assert after == pytest.approx(-176233 / 37500, abs=0.02)
    others = sum(engine.of(name).score for name in seconds if name != "subnet 2")
    assert engine.score(A) == 32.72 < others + after


@pytest.mark.rule("SCORE-41")
@pytest.mark.parametrize(
    ("silent", "own", "score"),
    [("blocks", -6.564, 32.72), ("aggregates", 1.66, 32.72), ("subnet 1", -46.827, 17.43)],
)
def test_known_weakness_a_peer_silent_in_one_topic_stays_positive(
    silent: str, own: float, score: float
) -> None:
    topics = eth2()
    engine = with_counters(
        topics,
        dict.fromkeys(topics, 3000),
        {name: 0 if name == silent else 200 for name in topics},
    )
    assert engine.of(silent).score == pytest.approx(own, abs=1e-3)
    assert engine.score(A) == pytest.approx(score, abs=5e-3)


@pytest.mark.rule("SCORE-41")
def test_where_an_invalid_message_outweighs_all_gains_there_is_no_such_weakness() -> None:
    def params(p1: float, p2: float) -> TopicScoreParams:
        return TopicScoreParams(
            time_in_mesh_weight=p1,
            time_in_mesh_cap=1.0,
            first_message_deliveries_weight=p2,
            first_message_deliveries_cap=100,
            invalid_message_deliveries_weight=-1000.0,
        )

    filecoin = {"blocks": params(0.027, 5.0), "messages": params(2.778, 0.5)}
    for bad in filecoin:
        engine = Engine(filecoin)
        for name in filecoin:
            engine.graft(A, name, 0.0)
        engine.refresh_if_due(1000.0)
        assert engine.score(A) > 0  # silent, and blameless: no deficit exists
        for name in filecoin:
            engine.deliver(name, 500)
        assert engine.score(A) > 500
        engine.invalid_delivery(A, bad, "validation failed")
        assert engine.of(bad).score < 0
        assert engine.score(A) < 0
