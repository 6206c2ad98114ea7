"""What parameters leave unpunished is measured right, by cases that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams, decay_factor
from gossipsub.router.score_check.limits import misbehaviour_limits, topic_limits
from gossipsub.router.score_check.report import MisbehaviourLimits, TopicLimits
from gossipsub.router.score_check.strategies import Strategies

TOPIC = TopicScoreParams(
    first_message_deliveries_weight=1.0,
    first_message_deliveries_cap=10.0,
    mesh_message_deliveries_weight=-1.0,
    mesh_message_deliveries_threshold=2.0,
    mesh_message_deliveries_decay=0.9,
    mesh_message_deliveries_activation=5.0,
    invalid_message_deliveries_weight=-2.0,
    invalid_message_deliveries_decay=0.5,
)


def limits_of(**topics: TopicScoreParams) -> list[TopicLimits]:
    strategies = Strategies(PeerScoreParams(topics=topics, decay_to_zero=0.1))
    return [topic_limits(strategies, *group) for group in strategies.groups]


def test_the_limits_of_a_topic() -> None:
    assert limits_of(a=TOPIC, b=TOPIC, c=TOPIC) == [
        TopicLimits(
            topics=("a", "b", "c"),
            best=10.0,
            silent_seconds=6.0,
            silent_value=-4.0,
            silent_overall=6.0,  # -4 and twice 10, halved by a refresh
            silent_together=1,  # two cost 8, and the third has 5 after a refresh
            invalid_at_once=3,  # 30 - 2 * 9, and 30 - 2 * 16
            invalid_forgiven=4.0,  # 1, 0.5, 0.25, 0.125, and below 0.1
        )
    ]


def test_without_a_penalty_nothing_is_ever_noticed() -> None:
    harmless = replace(
        TOPIC, mesh_message_deliveries_weight=0.0, invalid_message_deliveries_weight=0.0
    )
    (limits,) = limits_of(a=harmless)
    assert (limits.silent_seconds, limits.invalid_at_once) == (None, None)
    assert limits.invalid_forgiven == 0.0
    assert limits.silent_together == 0  # nothing to be had elsewhere


def test_a_reward_for_time_can_outweigh_silence() -> None:
    (limits,) = limits_of(a=replace(TOPIC, time_in_mesh_weight=1.0))
    assert limits.silent_seconds is None
    assert limits.silent_value == 3596.0


def test_a_debt_that_does_not_fade_in_time_is_told_so() -> None:
    slow = decay_factor(1e6, to_zero=0.1)
    (limits,) = limits_of(a=replace(TOPIC, invalid_message_deliveries_decay=slow))
    assert limits.invalid_forgiven is None


def misbehaviour(**params: float) -> MisbehaviourLimits:
    return misbehaviour_limits(Strategies(PeerScoreParams(topics={"a": TOPIC}, **params)))  # type: ignore[arg-type]


def test_misdeeds_up_to_the_threshold_are_free() -> None:
    limits = misbehaviour(
        behaviour_penalty_weight=-5.0,
        behaviour_penalty_threshold=2.0,
        behaviour_penalty_decay=0.5,
    )
    # A model peer has 10 to lose; one each second comes to 2 at most.
    assert limits == MisbehaviourLimits(at_once=2, at_once_model=3, every_seconds=1.0)


@pytest.mark.parametrize(
    ("threshold", "decay", "seconds"),
    [
        (4.0, 0.5, 0.5),  # two each second come to 4
        (1.25, 0.5, 3.0),  # one every third second comes to 8/7, every second to 4/3
        (1.0, 0.5, 7.0),  # what is left must fall below decay_to_zero first
        (0.5, 0.5, None),
        (5.0, 1 - 1e-7, None),  # too slow to say
    ],
)
def test_the_rate_of_misdeeds_that_goes_unpunished(
    threshold: float, decay: float, seconds: float | None
) -> None:
    limits = misbehaviour(
        behaviour_penalty_weight=-1.0,
        behaviour_penalty_threshold=threshold,
        behaviour_penalty_decay=decay,
    )
    assert limits.every_seconds == seconds


def test_without_p7_any_number_of_misdeeds_is_free() -> None:
    assert misbehaviour() == MisbehaviourLimits(at_once=None, at_once_model=None, every_seconds=0.0)
