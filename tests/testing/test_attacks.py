"""Attacks with sybils: the defences of v1.1, and that nothing but them stops the attackers."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from gossipsub.router.params import BackoffParams, GossipParams, MeshParams
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from gossipsub.testing import Link
from gossipsub.testing.attacks import (
    AttackReport,
    MeshSample,
    Sybils,
    attack,
    eclipse,
    evaluated_params,
    sybil_flood,
)
from gossipsub.testing.report import Report
from gossipsub.testing.scenarios import TOPIC, Setup, steady_state

ACTIVATION = 5.0
MISSING_DELIVERIES = TopicScoreParams(
    mesh_message_deliveries_weight=-1.0,
    mesh_message_deliveries_decay=0.9,
    mesh_message_deliveries_cap=50.0,
    mesh_message_deliveries_threshold=2.0,
    mesh_message_deliveries_window=0.05,
    mesh_message_deliveries_activation=ACTIVATION,
    mesh_failure_penalty_weight=-1.0,
    mesh_failure_penalty_decay=0.99,
)
"""P3, tuned to the ten messages a second of `FLOOD`."""
FLOOD = Setup(nodes=20, links=12, messages=200, rate=10.0, size=64)


def scored(topic: TopicScoreParams, **thresholds: float) -> GossipParams:
    score = PeerScoreParams(topics={TOPIC: topic})
    return GossipParams(score=score, thresholds=PeerScoreThresholds(**thresholds))


# Sybils that forward nothing


@pytest.mark.rule("SIM-04")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("connect_at", [0.0, 5.0])
def test_sybils_are_out_of_all_meshes_once_missing_deliveries_count(
    seed: int, connect_at: float
) -> None:
    setup = replace(FLOOD, seed=seed, params=scored(MISSING_DELIVERIES))
    result = sybil_flood(setup, Sybils(count=20, links=12, connect_at=connect_at))
    assert (result.report.delivery_ratio, result.victims_missed) == (1.0, 0)
    worst = max(result.meshes, key=lambda sample: sample.sybils)
    # Who is first in the meshes has half of them, or the few places between D and D_high.
    assert worst.sybils > (4.0 if connect_at == 0.0 else 0.5)
    assert result.evicted_after is not None
    # Refresh and heartbeat may each take a second more, and the look at it another.
    assert result.evicted_after <= ACTIVATION + 3.0
    assert max(result.stays) <= ACTIVATION + 3.0


def test_without_scores_the_sybils_stay_and_gossip_alone_brings_the_messages() -> None:
    result = sybil_flood(FLOOD, Sybils(count=20, links=12))
    assert result.evicted_after is None
    assert result.meshes[-1].sybils > 4.0
    assert result.report.delivery_ratio == 1.0


def test_sybils_that_forward_a_little_are_found_out_and_those_that_forward_all_stay() -> None:
    topic = replace(MISSING_DELIVERIES, mesh_message_deliveries_threshold=8.0)
    setup = replace(FLOOD, params=scored(topic))
    assert sybil_flood(setup, Sybils(count=20, links=12, withhold=0.9)).evicted_after is not None
    honest = sybil_flood(setup, Sybils(count=20, links=12, withhold=0.0))
    assert honest.meshes[-1].sybils > 2.0


def test_sybils_that_behaved_for_long_are_put_out_after_they_turned() -> None:
    setup = replace(FLOOD, messages=400, params=scored(MISSING_DELIVERIES))
    result = sybil_flood(setup, Sybils(count=20, links=12, misbehave_at=15.0))
    turned = next(sample for sample in result.meshes if sample.time >= 0.0)
    assert turned.sybils > 3.0
    assert result.meshes[-1].sybils < turned.sybils / 3
    assert result.report.delivery_ratio == 1.0


def test_sybils_behind_few_addresses_are_not_grafted() -> None:
    score = PeerScoreParams(ip_colocation_factor_weight=-10.0, ip_colocation_factor_threshold=2)
    setup = replace(FLOOD, messages=20, params=GossipParams(score=score))
    many = sybil_flood(setup, Sybils(count=20, links=12))
    few = sybil_flood(setup, Sybils(count=20, links=12, addresses=2))
    assert many.meshes[-1].sybils > 4.0
    # Up to two at an address are nobody's business.
    assert few.meshes[-1].sybils < 0.5


# A node surrounded

PERIOD = 10
SURROUNDED = MeshParams(d_out=0, opportunistic_graft_ticks=PERIOD)
"""Without the outbound quota, which alone would bring honest peers in."""


def surrounded(threshold: float, seed: int = 0) -> AttackReport:
    """Its mesh is full of sybils before its first honest peer comes; they earn P1 alone."""
    topic = TopicScoreParams(
        time_in_mesh_weight=0.01,
        time_in_mesh_cap=100.0,
        first_message_deliveries_weight=1.0,
        first_message_deliveries_decay=0.99,
    )
    # Honest peers that the full mesh refused must not be in backoff for longer than a period.
    params = replace(
        scored(topic, opportunistic_graft=threshold),
        mesh=SURROUNDED,
        backoff=BackoffParams(prune_backoff=2.0),
    )
    setup = Setup(nodes=20, links=8, messages=200, rate=10.0, size=64, params=params, seed=seed)
    return eclipse(setup, Sybils(count=12), head_start=5.0)


@pytest.mark.rule("SIM-05")
@pytest.mark.parametrize("seed", range(3))
def test_honest_peers_enter_a_mesh_of_sybils_within_two_opportunistic_periods(seed: int) -> None:
    result = surrounded(threshold=5.0, seed=seed)
    taken = next(sample for sample in result.meshes if sample.time == 5.0)
    assert (taken.honest, taken.sybils) == (0.0, 12.0)
    entered = next(sample.time for sample in result.meshes if sample.honest >= 2.0)
    assert entered <= 5.0 + 2 * PERIOD + 1.0
    assert result.victims_missed == 0


@pytest.mark.rule("SIM-05")
def test_below_the_threshold_a_mesh_of_sybils_stays_as_it_is() -> None:
    result = surrounded(threshold=0.0)
    assert max(sample.honest for sample in result.meshes) == 0.0
    assert result.meshes[-1].sybils == 12.0


def test_an_eclipsed_node_keeps_the_honest_mesh_it_had() -> None:
    setup = replace(FLOOD, nodes=30, params=scored(MISSING_DELIVERIES))
    result = eclipse(setup, Sybils(count=100, links=5, connect_at=8.0))
    assert (result.victims, result.sybils, result.victims_missed) == (1, 100, 0)
    before = [sample.honest for sample in result.meshes if -2.0 <= sample.time < 0.0]
    after = [sample.honest for sample in result.meshes if sample.time >= 0.0]
    assert min(after) >= min(before) - 1.0
    assert result.evicted_after is not None


def test_sybils_that_are_there_first_do_not_keep_honest_nodes_apart() -> None:
    setup = replace(FLOOD, params=scored(MISSING_DELIVERIES))
    result = attack(setup, Sybils(count=40, links=20), honest_at=3.0)
    assert result.report.delivery_ratio == 1.0
    assert result.evicted_after is not None


# The evaluation, in small


def test_the_parameters_of_the_evaluation_put_sybils_out_in_small_networks_too() -> None:
    params = evaluated_params(activation=ACTIVATION)
    link = Link(latency=0.025, jitter=0.0025)
    setup = replace(FLOOD, messages=400, rate=40.0, warm_up=3.0, params=params, link=link)
    calm = steady_state(setup)
    result = sybil_flood(setup, Sybils(count=80, links=20))
    assert (calm.delivery_ratio, result.report.delivery_ratio) == (1.0, 1.0)
    assert result.evicted_after is not None
    assert result.report.latency_p99 < 3 * calm.latency_p99


# Reports


def test_a_seed_gives_the_same_attack_again() -> None:
    setup = replace(FLOOD, messages=20, params=scored(MISSING_DELIVERIES))
    sybils = Sybils(count=10, links=5, withhold=0.5)
    assert sybil_flood(setup, sybils) == sybil_flood(setup, sybils)
    assert sybil_flood(setup, sybils) != sybil_flood(replace(setup, seed=1), sybils)


def test_only_deliveries_to_honest_nodes_are_counted() -> None:
    result = sybil_flood(replace(FLOOD, messages=10))
    assert result.sybils == 20
    assert result.report.deliveries == 10 * 19


def report_of(samples: list[tuple[float, float]]) -> AttackReport:
    inner: Report = steady_state(Setup(nodes=2, links=2, messages=0, warm_up=0.0, cool_down=0.0))
    return AttackReport(
        report=inner,
        victims=1,
        sybils=1,
        victims_missed=0,
        victims_latency_p99=0.5,
        victims_latency_max=1.0,
        meshes=tuple(MeshSample(time, 4.0, sybils, int(sybils)) for time, sybils in samples),
        stays=(1.0, 7.0),
    )


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([(0.0, 2.0), (1.0, 0.0), (2.0, 0.0)], 1.0),
        ([(0.0, 2.0), (1.0, 0.0), (2.0, 1.0), (3.0, 0.0)], 3.0),  # they came back
        ([(-1.0, 0.0), (0.0, 0.0), (1.0, 0.0)], 0.0),
        ([(0.0, 0.0), (1.0, 1.0)], None),
    ],
)
def test_eviction_is_when_the_last_sybil_left_for_good(
    samples: list[tuple[float, float]], expected: float | None
) -> None:
    assert report_of(samples).evicted_after == expected


def test_a_report_tells_the_story_in_a_few_lines() -> None:
    text = str(report_of([(-1.0, 0.0), (0.0, 2.0), (1.0, 3.0), (2.0, 0.0)]))
    assert text.splitlines()[-5:] == [
        "1 sybils, 1 victims: 0 missed, latency p99 500 ms, max 1000 ms",
        "mesh, attack begins (+0 s): 4.0 honest, 2.0 sybils, at most 2",
        "mesh, worst (+1 s): 4.0 honest, 3.0 sybils, at most 3",
        "mesh, end (+2 s): 4.0 honest, 0.0 sybils, at most 0",
        "stays of sybils in a mesh: 2, p50 1 s, p99 7 s, max 7 s; all gone for good: after 2 s",
    ]
    assert str(report_of([(0.0, 1.0)])).endswith("all gone for good: no")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "count and links must be positive: 0, 20"),
        ({"links": 0}, "count and links must be positive: 100, 0"),
        ({"withhold": 1.5}, "withhold must be in 0..1: 1.5"),
        ({"connect_at": -1.0}, "times must not be past: -1.0, 0.0"),
        ({"addresses": 0}, "addresses must be in 1..65536: 0"),
    ],
)
def test_sybils_that_cannot_be_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Sybils(**values)  # type: ignore[arg-type]
