"""Parameters of peer scoring: what is refused, and what may be left out."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest

from gossipsub.router.score.params import (
    PeerScoreParams,
    PeerScoreThresholds,
    TopicScoreParams,
    decay_factor,
)

FULL_TOPIC: dict[str, float] = {
    "topic_weight": 1.0,
    "time_in_mesh_weight": 0.01,
    "time_in_mesh_quantum": 1.0,
    "time_in_mesh_cap": 10.0,
    "first_message_deliveries_weight": 1.0,
    "first_message_deliveries_decay": 0.5,
    "first_message_deliveries_cap": 10.0,
    "mesh_message_deliveries_weight": -1.0,
    "mesh_message_deliveries_decay": 0.5,
    "mesh_message_deliveries_cap": 10.0,
    "mesh_message_deliveries_threshold": 5.0,
    "mesh_message_deliveries_window": 0.01,
    "mesh_message_deliveries_activation": 1.0,
    "mesh_failure_penalty_weight": -1.0,
    "mesh_failure_penalty_decay": 0.5,
    "invalid_message_deliveries_weight": -1.0,
    "invalid_message_deliveries_decay": 0.3,
}
FULL: dict[str, Any] = {
    "topics": {"t": TopicScoreParams(**FULL_TOPIC)},
    "topic_score_cap": 10.0,
    "app_specific_score": lambda peer: 0.0,
    "app_specific_weight": 1.0,
    "ip_colocation_factor_weight": -1.0,
    "ip_colocation_factor_threshold": 1,
    "behaviour_penalty_weight": -1.0,
    "behaviour_penalty_threshold": 1.0,
    "behaviour_penalty_decay": 0.5,
    "decay_interval": 1.0,
    "decay_to_zero": 0.01,
    "retain_score": 10.0,
}
NOT_NUMBERS = [math.nan, math.inf, -math.inf, 1e51]


@pytest.mark.rule("SCORE-32")
def test_a_full_set_of_sensible_values_passes() -> None:
    assert set(FULL_TOPIC) == {field.name for field in fields(TopicScoreParams)}
    assert PeerScoreParams(**FULL).topics["t"] == TopicScoreParams(**FULL_TOPIC)


@pytest.mark.rule("SCORE-32")
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("topic_weight", -1.0, "topic_weight must be 0 or more: -1.0"),
        ("time_in_mesh_weight", -1.0, "time_in_mesh_weight must be 0 or more: -1.0"),
        ("time_in_mesh_quantum", 0.0, "time_in_mesh_quantum must be more than 0: 0.0"),
        ("time_in_mesh_quantum", -1.0, "time_in_mesh_quantum must be more than 0: -1.0"),
        ("time_in_mesh_cap", 0.0, "time_in_mesh_cap must be more than 0: 0.0"),
        ("time_in_mesh_cap", -1.0, "time_in_mesh_cap must be 0 or more: -1.0"),
        ("first_message_deliveries_weight", -1.0, None),
        ("first_message_deliveries_decay", 0.0, None),
        ("first_message_deliveries_decay", 1.0, None),
        ("first_message_deliveries_decay", 2.0, None),
        ("first_message_deliveries_cap", 0.0, None),
        ("first_message_deliveries_cap", -1.0, None),
        ("mesh_message_deliveries_weight", 1.0, None),
        ("mesh_message_deliveries_decay", 0.0, None),
        ("mesh_message_deliveries_decay", 1.0, None),
        ("mesh_message_deliveries_cap", 0.0, None),
        ("mesh_message_deliveries_threshold", 0.0, None),
        ("mesh_message_deliveries_threshold", -3.0, None),
        ("mesh_message_deliveries_window", -1.0, None),
        ("mesh_message_deliveries_activation", 0.9, None),
        ("mesh_failure_penalty_weight", 1.0, None),
        ("mesh_failure_penalty_decay", 0.0, None),
        ("mesh_failure_penalty_decay", 1.0, None),
        ("invalid_message_deliveries_weight", 1.0, None),
        ("invalid_message_deliveries_decay", 0.0, None),
        ("invalid_message_deliveries_decay", 1.0, None),
        *((name, value, None) for name in FULL_TOPIC for value in NOT_NUMBERS),
    ],
)
def test_one_bad_value_of_a_topic_is_refused(name: str, value: float, error: str | None) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        TopicScoreParams(**{**FULL_TOPIC, name: value})
    if error is not None:
        assert str(caught.value) == error


@pytest.mark.rule("SCORE-32", "SCORE-34")
@pytest.mark.parametrize(
    ("weights", "unset"),
    [
        (["time_in_mesh_weight"], ["time_in_mesh_cap"]),
        (
            ["first_message_deliveries_weight"],
            ["first_message_deliveries_decay", "first_message_deliveries_cap"],
        ),
        (
            ["mesh_message_deliveries_weight", "mesh_failure_penalty_weight"],
            [
                "mesh_message_deliveries_decay",
                "mesh_message_deliveries_cap",
                "mesh_message_deliveries_threshold",
                "mesh_message_deliveries_window",
                "mesh_message_deliveries_activation",
                "mesh_failure_penalty_decay",
            ],
        ),
    ],
)
def test_a_group_without_weight_may_be_left_at_zero(weights: list[str], unset: list[str]) -> None:
    zero = dict.fromkeys([*weights, *unset], 0.0)
    assert TopicScoreParams(**{**FULL_TOPIC, **zero}).topic_weight == 1.0


@pytest.mark.rule("SCORE-34")
def test_the_penalty_for_leaving_needs_what_it_measures_by() -> None:
    with pytest.raises(ValueError, match="mesh_message_deliveries_threshold must be more than 0"):
        TopicScoreParams(mesh_failure_penalty_weight=-1.0, mesh_message_deliveries_threshold=0.0)


@pytest.mark.rule("SCORE-34")
def test_a_topic_may_name_only_some_groups() -> None:
    params = TopicScoreParams(first_message_deliveries_weight=2.0)
    assert params.mesh_message_deliveries_weight == params.invalid_message_deliveries_weight == 0
    assert PeerScoreParams().app_specific_score is None


@pytest.mark.rule("SCORE-32")
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("topic_score_cap", -1.0, "topic_score_cap must be 0 or more: -1.0"),
        ("app_specific_score", None, "app_specific_weight needs an app_specific_score"),
        ("ip_colocation_factor_weight", 1.0, "ip_colocation_factor_weight must be 0 or less: 1.0"),
        ("ip_colocation_factor_threshold", 0, None),
        *(("ip_colocation_factor_threshold", value, None) for value in NOT_NUMBERS),
        ("ip_colocation_factor_whitelist", ("10.0.0.0/40",), None),
        ("behaviour_penalty_weight", 1.0, "behaviour_penalty_weight must be 0 or less: 1.0"),
        ("behaviour_penalty_threshold", -1.0, None),
        ("behaviour_penalty_decay", 0.0, "behaviour_penalty_decay must be between 0 and 1: 0.0"),
        ("behaviour_penalty_decay", 1.0, "behaviour_penalty_decay must be between 0 and 1: 1.0"),
        ("decay_interval", 0.99, "decay_interval must be 1 or more: 0.99"),
        ("decay_to_zero", 0.0, "decay_to_zero must be between 0 and 1: 0.0"),
        ("decay_to_zero", 1.0, "decay_to_zero must be between 0 and 1: 1.0"),
        ("retain_score", -1.0, "retain_score must be 0 or more: -1.0"),
        *(
            (name, value, f"{name} must be finite, at most 1e50: {value}")
            for name in FULL
            if isinstance(FULL[name], float)
            for value in NOT_NUMBERS
        ),
    ],
)
def test_one_bad_value_is_refused(name: str, value: Any, error: str | None) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        PeerScoreParams(**{**FULL, name: value})
    if error is not None:
        assert str(caught.value) == error


@pytest.mark.rule("SCORE-33")
@pytest.mark.parametrize(
    ("values", "accepted"),
    [
        ({}, True),
        ({"gossip": -1.0, "publish": -2.0, "graylist": -3.0, "accept_px": 1.0}, True),
        ({"gossip": 0.0, "publish": 0.0, "graylist": 0.0}, True),
        ({"accept_px": 0.0, "opportunistic_graft": 0.0}, True),
        ({"gossip": 0.1}, False),
        ({"publish": -9.0}, False),
        ({"graylist": -49.0}, False),
        ({"accept_px": -0.1}, False),
        ({"opportunistic_graft": -0.1}, False),
        *(({f.name: bad}, False) for f in fields(PeerScoreThresholds) for bad in NOT_NUMBERS),
    ],
)
def test_thresholds_are_in_order_and_numbers(values: dict[str, float], accepted: bool) -> None:
    if accepted:
        assert PeerScoreThresholds(**values)
    else:
        with pytest.raises(ValueError):  # noqa: PT011
            PeerScoreThresholds(**values)


@pytest.mark.rule("SCORE-28")
def test_a_decay_is_found_from_the_time_to_zero() -> None:
    assert decay_factor(3600) == pytest.approx(0.9987216039048303, abs=1e-16)
    assert decay_factor(10, to_zero=0.5, interval=5) == pytest.approx(0.5**0.5)


@pytest.mark.parametrize("seconds", [0.0, 0.5, -1.0, math.inf, math.nan])
def test_a_decay_needs_at_least_one_interval(seconds: float) -> None:
    with pytest.raises(ValueError, match="need 0 < interval <= seconds"):
        decay_factor(seconds)
