"""The behaviours a check tries are what they are called."""

from __future__ import annotations

from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.router.score_check.strategies import (
    OTHER_TOPICS,
    Strategies,
    count_until_negative,
    sustained,
)
from gossipsub.router.score_check.trial import Act, Step, Trial

SCORED = TopicScoreParams(
    time_in_mesh_weight=0.1,
    time_in_mesh_quantum=2.0,
    time_in_mesh_cap=10.0,
    first_message_deliveries_weight=1.0,
    first_message_deliveries_cap=5.0,
    mesh_message_deliveries_weight=-1.0,
    mesh_message_deliveries_threshold=4.5,
    mesh_message_deliveries_decay=0.9,
    mesh_message_deliveries_activation=30.0,
)
PLAIN = TopicScoreParams(invalid_message_deliveries_weight=-1.0)


def strategies(**topics: TopicScoreParams) -> Strategies:
    return Strategies(PeerScoreParams(topics=topics))


def test_topics_of_equal_parameters_are_one_group() -> None:
    params = PeerScoreParams(
        topics={"a": SCORED, "b": PLAIN, "c": SCORED, "d": TopicScoreParams(topic_weight=0.0)},
        other_topics=PLAIN,
    )
    found = Strategies(params)
    assert found.groups == [(SCORED, ("a", "c")), (PLAIN, ("b", OTHER_TOPICS))]
    assert found.unscored == ("d",)


def test_a_model_peer_has_all_that_can_be_had() -> None:
    model = strategies(a=SCORED, b=SCORED, c=PLAIN).model()
    for name in ("a", "b"):
        assert model.topic_score(name) == 0.1 * 10 + 5.0
    assert model.score == 12.0
    model.play([Step(act=Act.WAIT)])
    assert model.snapshot().topics["a"].mesh_message_deliveries >= 4.5


def test_a_model_peer_is_never_short_of_deliveries_while_it_settles() -> None:
    found = strategies(a=SCORED)
    graft, wait = found.settle()
    trial = Trial(found.params).play([graft])
    for _ in range(wait.times):
        trial.play([Step(act=Act.WAIT, between=wait.between)])
        assert trial.score >= 0.0
    assert trial.now > 30.0


def test_a_silent_peer_is_silent_in_the_named_topics_only() -> None:
    silent = strategies(a=SCORED, b=SCORED).all_but(("b",))
    topics = silent.snapshot().topics
    assert topics["b"].mesh_message_deliveries == topics["b"].first_message_deliveries == 0.0
    assert silent.topic_score("b") == 1.0 - 4.5**2
    assert topics["a"].mesh_message_deliveries >= 4.5
    assert sustained(silent) == silent.score  # deliveries elsewhere have decayed since


def test_a_peer_is_short_by_what_is_asked_for() -> None:
    found = strategies(a=SCORED)
    for missing, delivered in ((0, 5.0), (1, 4.0), (9, 0.0)):
        trial = found.short_by(missing, SCORED, "a")
        assert trial.snapshot().topics["a"].mesh_message_deliveries == delivered


def test_one_trial_does_not_change_another() -> None:
    found = strategies(a=PLAIN)
    spoilt = found.model().play([Step(act=Act.INVALID, topics=("a",))])
    assert (spoilt.score, found.model().score) == (-1.0, 0.0)


def test_deeds_are_counted_until_the_score_is_negative() -> None:
    found = strategies(a=SCORED, b=PLAIN)
    invalid = Step(act=Act.INVALID, topics=("b",))
    assert count_until_negative(found.model(), invalid, 10) == 2  # 6 - 1, 6 - 4, 6 - 9
    assert count_until_negative(found.model(), invalid, 2) is None


def test_huge_times_are_cut_to_what_can_be_simulated() -> None:
    slow = TopicScoreParams(time_in_mesh_weight=1.0, time_in_mesh_quantum=1e40)
    assert strategies(a=slow).settle()[1].times < 20_001
