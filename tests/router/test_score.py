"""The score function, counter by counter, with the numbers of the spec and of go's tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.router.score.snapshot import PeerScoreSnapshot, TopicScoreSnapshot

A, B, C, D = b"a", b"b", b"c", b"d"
P3: dict[str, float] = {
    "mesh_message_deliveries_weight": -1.0,
    "mesh_message_deliveries_threshold": 20.0,
    "mesh_message_deliveries_activation": 5.0,
    "mesh_message_deliveries_decay": 0.9,
    "mesh_message_deliveries_cap": 100.0,
}
P3B: dict[str, float] = {
    **P3,
    "mesh_message_deliveries_weight": 0.0,
    "mesh_failure_penalty_weight": -1.0,
    "mesh_failure_penalty_decay": 0.5,
}


def topic(**values: float) -> TopicScoreParams:
    return TopicScoreParams(**values)


class Engine(PeerScores):
    """Scores with peers a to d and a clock that runs from refresh to refresh."""

    def __init__(
        self,
        topics: dict[str, TopicScoreParams] | None = None,
        *,
        max_retained: int = 100,
        **params: Any,
    ) -> None:
        super().__init__(
            PeerScoreParams(topics=topics or {}, **params), max_retained=max_retained, now=0.0
        )
        self.now = 0.0
        for peer in (A, B, C, D):
            self.add_peer(peer, ())

    def wait(self, seconds: float) -> None:
        """Time passes, refreshes run when they are due."""
        end = self.now + seconds
        while self.next_deadline() <= end:
            self.now = self.next_deadline()
            self.refresh_if_due(self.now)
        self.now = end

    def enter(self, *peers: bytes, topic: str = "t") -> None:
        for peer in peers:
            self.graft(peer, topic, self.now)

    def repeat(self, times: int, act: Callable[[bytes, str], object], peer: bytes = A) -> None:
        for _ in range(times):
            act(peer, "t")

    def counters(self, peer: bytes = A, topic: str = "t") -> TopicScoreSnapshot:
        snapshot = self.snapshot(peer)
        assert snapshot is not None
        return snapshot.topics[topic]


@pytest.mark.rule("SCORE-01")
def test_the_parts_are_weighted_and_added() -> None:
    engine = Engine(
        {
            "t": topic(
                topic_weight=0.5,
                time_in_mesh_weight=1.0,
                first_message_deliveries_weight=2.0,
                mesh_failure_penalty_weight=-1.0,
                mesh_failure_penalty_decay=0.999999,
                mesh_message_deliveries_threshold=2.0,
                mesh_message_deliveries_activation=1.0,
                invalid_message_deliveries_weight=-0.5,
            )
        },
        app_specific_score=lambda peer: 1.5,
        app_specific_weight=1.0,
    )
    engine.enter(A)
    engine.wait(2)
    engine.prune(A, "t")  # a deficit of 2: P3b is 4
    engine.enter(A)
    engine.wait(4)  # P1 is 4
    engine.repeat(3, engine.first_delivery)
    engine.repeat(2, engine.invalid_delivery)
    assert engine.score(A) == pytest.approx(3.5, abs=1e-4)


@pytest.mark.rule("SCORE-02")
def test_an_unknown_peer_and_an_unscored_topic_count_nothing() -> None:
    engine = Engine({"t": topic(first_message_deliveries_weight=1.0)})
    engine.enter(A, topic="other")
    engine.first_delivery(A, "other")
    engine.invalid_delivery(A, "other", "validation failed")
    engine.mesh_delivery(A, "other")
    engine.prune(A, "other")
    for act in (engine.first_delivery, engine.invalid_delivery, engine.mesh_delivery, engine.prune):
        act(b"stranger", "t")
    engine.graft(b"stranger", "t", 0.0)
    engine.penalise(b"stranger", 1, "misdeed")
    engine.set_addresses(b"stranger", ["1.2.3.4"])
    engine.remove_peer(b"stranger", 0.0)
    assert engine.score(A) == engine.score(b"stranger") == 0.0
    assert engine.snapshot(A) == PeerScoreSnapshot(
        score=0.0,
        topics={},
        app_specific_score=0.0,
        ip_colocation_factor=0.0,
        behaviour_penalty=0.0,
        lost_sends=0.0,
    )
    assert engine.snapshot(b"stranger") is None
    assert len(engine) == 4


@pytest.mark.rule("SCORE-02")
def test_topics_not_named_may_have_parameters_in_common() -> None:
    engine = Engine({"t": topic()}, other_topics=topic(first_message_deliveries_weight=2.0))
    engine.first_delivery(A, "t")
    engine.first_delivery(A, "other")
    assert engine.score(A) == 2.0


@pytest.mark.rule("SCORE-03")
@pytest.mark.parametrize(
    ("deliveries", "invalid", "app", "score"),
    [
        (30, 0, 0.0, 10.0),
        (10, 0, 0.0, 10.0),
        (9, 0, 0.0, 9.0),
        (0, 2, 0.0, -40.0),
        (30, 0, 5.0, 15.0),
    ],
)
def test_the_cap_holds_down_the_sum_of_the_topics_only(
    deliveries: int, invalid: int, app: float, score: float
) -> None:
    params = topic(first_message_deliveries_weight=1.0, invalid_message_deliveries_weight=-10.0)
    engine = Engine(
        {"t": params}, topic_score_cap=10.0, app_specific_score=lambda _: app, app_specific_weight=1
    )
    engine.repeat(deliveries, engine.first_delivery)
    engine.repeat(invalid, engine.invalid_delivery)
    assert engine.score(A) == score


@pytest.mark.rule("SCORE-04")
def test_time_in_mesh_counts_from_refresh_to_prune() -> None:
    engine = Engine({"t": topic(time_in_mesh_weight=0.5)})
    engine.enter(A)
    engine.wait(0.9)
    assert engine.score(A) == 0.0
    engine = Engine({"t": topic(time_in_mesh_weight=0.5)})
    engine.enter(A)
    engine.wait(200)
    assert engine.score(A) == 100.0
    engine.prune(A, "t")
    assert engine.score(A) == 0.0


@pytest.mark.rule("SCORE-05")
@pytest.mark.parametrize(
    ("quantum", "quanta"),
    [(9.9 / 2.7, 2.0), (0.1, 99.0), (3.3, 3.0), (9.91, 0.0), (1e-320, 3600.0)],
)
def test_only_whole_quanta_count(quantum: float, quanta: float) -> None:
    engine = Engine({"t": topic(time_in_mesh_weight=1.0, time_in_mesh_quantum=quantum)})
    engine.graft(A, "t", 0.1)
    engine.wait(10)
    assert engine.score(A) == quanta


@pytest.mark.rule("SCORE-06")
def test_time_in_mesh_is_capped() -> None:
    engine = Engine({"t": topic(time_in_mesh_weight=0.5, time_in_mesh_cap=10)})
    engine.enter(A)
    engine.wait(1000)
    assert engine.score(A) == 5.0


@pytest.mark.rule("SCORE-07")
def test_first_deliveries_are_capped_and_decay() -> None:
    params = topic(
        first_message_deliveries_weight=1.0,
        first_message_deliveries_cap=50,
        first_message_deliveries_decay=0.9,
    )
    engine = Engine({"t": params})
    engine.repeat(100, engine.first_delivery)
    assert engine.score(A) == 50.0
    engine.wait(10)
    assert engine.score(A) == pytest.approx(17.433922, abs=1e-6)


@pytest.mark.rule("SCORE-09")
@pytest.mark.parametrize(("deliveries", "score"), [(0, -400.0), (5, -225.0), (20, 0.0), (25, 0.0)])
def test_a_deficit_costs_its_square(deliveries: int, score: float) -> None:
    engine = Engine({"t": topic(**P3)})
    engine.enter(A)
    engine.wait(6)
    engine.repeat(deliveries, engine.mesh_delivery)
    assert engine.score(A) == score


@pytest.mark.rule("SCORE-09")
def test_each_delivery_lessens_the_deficit_at_once() -> None:
    engine = Engine({"t": topic(**P3)})
    engine.enter(A)
    engine.wait(6)
    seen = [engine.score(A)]
    for deliver in (engine.mesh_delivery, engine.first_delivery, engine.mesh_delivery):
        deliver(A, "t")
        seen.append(engine.score(A))
    assert seen == [-400.0, -361.0, -324.0, -289.0]


@pytest.mark.rule("SCORE-10")
def test_a_deficit_counts_only_after_the_activation_time() -> None:
    engine = Engine({"t": topic(**P3)})
    engine.enter(A)
    engine.wait(5)
    assert engine.score(A) == 0.0
    engine.wait(1)
    assert engine.score(A) == -400.0


@pytest.mark.rule("SCORE-10")
def test_the_noise_of_clocks_does_not_activate_early() -> None:
    engine = Engine({"t": topic(**P3)})
    engine.now = 1.0 - 1e-9
    engine.enter(A)
    engine.wait(5.1)
    assert engine.score(A) == 0.0


@pytest.mark.rule("SCORE-11")
def test_deliveries_are_counted_for_mesh_peers_and_capped() -> None:
    engine = Engine({"t": topic(**{**P3, "mesh_message_deliveries_cap": 3})})
    engine.enter(A, B)
    assert engine.mesh_delivery(A, "t")
    engine.first_delivery(A, "t")
    engine.repeat(9, engine.first_delivery, B)
    engine.repeat(9, engine.mesh_delivery, B)
    engine.first_delivery(C, "t")
    assert not engine.mesh_delivery(C, "t")
    assert [engine.counters(peer).mesh_message_deliveries for peer in (A, B, C)] == [2, 3, 0]


@pytest.mark.rule("SCORE-12")
def test_deliveries_decay_below_the_threshold() -> None:
    engine = Engine({"t": topic(**P3)})
    engine.enter(A)
    engine.wait(6)
    engine.repeat(40, engine.mesh_delivery)
    engine.wait(6)
    assert engine.score(A) == 0.0
    engine.wait(1)
    assert engine.score(A) == pytest.approx(-((20 - 40 * 0.9**7) ** 2))
    assert engine.score(A) == pytest.approx(-0.7536, abs=1e-4)


@pytest.mark.rule("SCORE-13", "SCORE-14")
def test_leaving_the_mesh_with_a_deficit_costs_its_square() -> None:
    app: dict[bytes, float] = {A: 100.0}
    engine = Engine(
        {"t": topic(**P3B)},
        app_specific_score=lambda peer: app.get(peer, 0.0),
        app_specific_weight=1.0,
    )
    engine.enter(A, B, C)
    engine.wait(6)
    engine.repeat(15, engine.mesh_delivery, B)
    engine.repeat(20, engine.mesh_delivery, C)
    assert engine.score(A) == 100.0
    for peer in (A, B, C):
        engine.prune(peer, "t")
    assert [engine.score(peer) for peer in (A, B, C)] == [-300.0, -25.0, 0.0]
    engine.wait(1)
    assert engine.score(B) == -12.5


@pytest.mark.rule("SCORE-13")
def test_leaving_before_the_activation_time_costs_nothing() -> None:
    engine = Engine({"t": topic(**P3B)})
    engine.enter(A)
    engine.wait(5)
    engine.prune(A, "t")
    assert engine.score(A) == 0.0


@pytest.mark.rule("SCORE-15")
def test_after_a_prune_a_deficit_is_paid_for_once() -> None:
    both = {**P3B, "mesh_message_deliveries_weight": -1.0}
    engine = Engine({"t": topic(**both)})
    engine.enter(A)
    engine.wait(6)
    assert engine.score(A) == -400.0
    engine.prune(A, "t")
    assert engine.score(A) == -400.0
    engine.prune(A, "t")
    engine.enter(A)
    engine.prune(A, "t")
    assert engine.score(A) == -400.0
    assert engine.counters().mesh_failure_penalty == 400.0


@pytest.mark.rule("SCORE-16")
def test_a_graft_starts_the_time_anew_and_keeps_the_counters() -> None:
    params = topic(
        **{**P3B, "mesh_message_deliveries_decay": 0.999},
        time_in_mesh_weight=1.0,
        first_message_deliveries_weight=1.0,
    )
    engine = Engine({"t": params})
    engine.enter(A)
    engine.wait(6)
    engine.repeat(3, engine.mesh_delivery)
    engine.invalid_delivery(A, "t", "validation failed")
    engine.first_delivery(A, "t")
    engine.prune(A, "t")
    engine.enter(A)
    assert engine.counters() == TopicScoreSnapshot(
        score=1.0 - 256.0,
        in_mesh=True,
        time_in_mesh=0.0,
        first_message_deliveries=1.0,
        mesh_message_deliveries=4.0,
        mesh_failure_penalty=256.0,
        invalid_message_deliveries=1.0,
    )


@pytest.mark.rule("BACK-02")
def test_a_second_graft_changes_nothing() -> None:
    engine = Engine({"t": topic(time_in_mesh_weight=1.0)})
    engine.enter(A)
    engine.wait(3)
    engine.enter(A)
    assert engine.score(A) == 3.0
    engine.wait(1)
    assert engine.score(A) == 4.0


@pytest.mark.rule("SCORE-17")
def test_invalid_messages_cost_their_square_and_decay() -> None:
    params = topic(invalid_message_deliveries_weight=-1.0, invalid_message_deliveries_decay=0.9)
    engine = Engine({"t": params})
    engine.repeat(100, engine.invalid_delivery)
    assert engine.score(A) == -10000.0
    engine.wait(1)
    assert engine.score(A) == -8100.0


@pytest.mark.rule("SCORE-19")
def test_each_invalid_message_counts_for_its_senders() -> None:
    params = topic(topic_weight=0.7, invalid_message_deliveries_weight=-2.0)
    engine = Engine({"t": params})
    engine.repeat(1, engine.invalid_delivery, A)
    engine.repeat(1, engine.invalid_delivery, B)
    engine.repeat(3, engine.invalid_delivery, C)
    assert [engine.score(peer) for peer in (A, B, C)] == pytest.approx([-1.4, -1.4, -12.6])


@pytest.mark.rule("SCORE-21")
def test_the_application_is_asked_each_time_and_not_capped() -> None:
    app = 0.0
    engine = Engine(app_specific_score=lambda _: app, app_specific_weight=0.5, topic_score_cap=1.0)
    seen = []
    for value in range(-100, 101):
        app = value
        seen.append(engine.score(A))
    assert seen == [value / 2 for value in range(-100, 101)]


@pytest.mark.rule("VAL-18")
@pytest.mark.parametrize("answer", [ZeroDivisionError(), math.nan, math.inf, -math.inf, None, "x"])
def test_an_application_that_fails_counts_as_zero(answer: object) -> None:
    def app(_: bytes) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    engine = Engine(
        {"t": topic(first_message_deliveries_weight=1.0)},
        app_specific_score=app,
        app_specific_weight=1.0,
    )
    engine.first_delivery(A, "t")
    assert engine.score(A) == 1.0
    assert engine.app_failures == 1


def test_the_largest_answers_of_an_application_keep_scores_finite() -> None:
    app = 1e308
    engine = Engine(app_specific_score=lambda _: app, app_specific_weight=10.0)
    assert engine.score(A) == pytest.approx(1e51)
    app = -1e308
    assert engine.score(A) == pytest.approx(-1e51)
    assert engine.app_failures == 0


@pytest.mark.rule("SCORE-22")
def test_peers_at_one_address_pay_for_the_square_of_the_surplus() -> None:
    engine = Engine(ip_colocation_factor_weight=-1.0, ip_colocation_factor_threshold=1)
    engine.set_addresses(A, ["2.3.4.5"])
    for peer in (B, C, D):
        engine.set_addresses(peer, ["2.3.4.6"])
    assert [engine.score(peer) for peer in (A, B, C, D)] == [0.0, -4.0, -4.0, -4.0]
    engine.remove_peer(D, 0.0)
    engine.add_peer(D, ["2.3.4.7", "2.3.4.5"])
    assert [engine.score(peer) for peer in (A, B, C, D)] == [-1.0, -1.0, -1.0, -1.0]
    snapshot = engine.snapshot(A)
    assert snapshot is not None
    assert snapshot.ip_colocation_factor == 1.0


@pytest.mark.rule("SCORE-22")
def test_a_peer_that_gives_up_its_address_pays_no_more_for_it() -> None:
    engine = Engine(ip_colocation_factor_weight=-1.0, ip_colocation_factor_threshold=1)
    for peer in (A, B):
        engine.set_addresses(peer, ["2.3.4.6"])
    assert [engine.score(peer) for peer in (A, B)] == [-1.0, -1.0]
    engine.set_addresses(A, ())
    assert [engine.score(peer) for peer in (A, B)] == [0.0, 0.0]


@pytest.mark.rule("SCORE-22")
def test_eight_peers_at_an_address_meant_for_five() -> None:
    engine = Engine(ip_colocation_factor_weight=-2.0, ip_colocation_factor_threshold=5)
    peers = [b"p%d" % number for number in range(8)]
    for peer in peers:
        engine.add_peer(peer, ["1.2.3.4"])
    assert [engine.score(peer) for peer in peers] == [-18.0] * 8


@pytest.mark.rule("SCORE-23")
def test_whitelisted_networks_are_not_counted() -> None:
    engine = Engine(
        ip_colocation_factor_weight=-1.0,
        ip_colocation_factor_threshold=1,
        ip_colocation_factor_whitelist=("10.0.0.0/8",),
    )
    for peer in (A, B, C):
        engine.set_addresses(peer, ["10.1.1.1"])
    assert [engine.score(peer) for peer in (A, B, C)] == [0.0, 0.0, 0.0]


@pytest.mark.rule("SCORE-24")
def test_peers_in_one_ipv6_network_count_together() -> None:
    engine = Engine(ip_colocation_factor_weight=-1.0, ip_colocation_factor_threshold=1)
    engine.set_addresses(A, ["2001:db8::1"])
    engine.set_addresses(B, ["2001:db8::2"])
    engine.set_addresses(C, ["2001:db8:0:1::2"])
    assert [engine.score(peer) for peer in (A, B, C)] == [-1.0, -1.0, 0.0]
    engine.set_addresses(D, ["2001:db8::1"])
    assert [engine.score(peer) for peer in (A, B, C, D)] == [-5.0, -4.0, 0.0, -5.0]


@pytest.mark.rule("SCORE-25")
def test_misdeeds_cost_their_square() -> None:
    engine = Engine(behaviour_penalty_weight=-1.0, behaviour_penalty_decay=0.99)
    engine.penalise(A, 1, "misdeed")
    assert engine.score(A) == -1.0
    engine.penalise(A, 1, "misdeed")
    assert engine.score(A) == -4.0
    engine.wait(1)
    assert engine.score(A) == pytest.approx(-3.9204)


@pytest.mark.rule("SCORE-25")
@pytest.mark.parametrize(("count", "score"), [(5, 0.0), (6, 0.0), (7, -1.0), (9, -9.0)])
def test_a_few_misdeeds_may_be_free(count: int, score: float) -> None:
    engine = Engine(behaviour_penalty_weight=-1.0, behaviour_penalty_threshold=6.0)
    engine.penalise(A, count, "misdeed")
    assert engine.score(A) == score


@pytest.mark.rule("SCORE-26")
def test_counters_decay_to_zero_and_are_forgotten() -> None:
    params = topic(
        first_message_deliveries_weight=1.0,
        first_message_deliveries_decay=0.5,
        invalid_message_deliveries_decay=0.5,
        mesh_message_deliveries_decay=0.5,
    )
    engine = Engine({"t": params}, decay_to_zero=0.1)
    engine.enter(A)
    engine.first_delivery(A, "t")
    engine.invalid_delivery(A, "t", "validation failed")
    engine.prune(A, "t")
    seen = []
    for _ in range(3):
        engine.wait(1)
        entry = engine.counters()
        seen.append(
            (
                entry.first_message_deliveries,
                entry.mesh_message_deliveries,
                entry.invalid_message_deliveries,
                engine.score(A),
            )
        )
    assert seen == [(0.5,) * 4, (0.25,) * 4, (0.125,) * 4]
    engine.wait(1)
    snapshot = engine.snapshot(A)
    assert snapshot is not None
    assert (snapshot.topics, snapshot.score) == ({}, 0.0)


@pytest.mark.rule("SCORE-27")
def test_the_example_of_the_spec_has_the_right_result() -> None:
    params = topic(first_message_deliveries_weight=1.0, first_message_deliveries_decay=0.97)
    engine = Engine({"t": params})
    engine.repeat(120, engine.first_delivery)
    engine.wait(1)
    assert engine.score(A) == pytest.approx(116.4)


def test_a_late_refresh_decays_once() -> None:
    params = topic(first_message_deliveries_weight=1.0, first_message_deliveries_decay=0.5)
    engine = Engine({"t": params}, decay_interval=2.0)
    engine.repeat(8, engine.first_delivery)
    engine.refresh_if_due(1.9)
    assert engine.score(A) == 8.0
    engine.refresh_if_due(7.0)
    assert (engine.score(A), engine.next_deadline()) == (4.0, 8.0)


@pytest.mark.rule("SCORE-29")
def test_a_bad_score_is_kept_for_a_while() -> None:
    app = -1000.0
    engine = Engine(app_specific_score=lambda _: app, app_specific_weight=1.0, retain_score=10.0)
    engine.remove_peer(A, 0.0)
    engine.remove_peer(A, 5.0)  # a second time changes nothing
    engine.wait(5)
    assert engine.score(A) == -1000.0
    engine.wait(6)
    assert (engine.score(A), len(engine)) == (0.0, 3)


@pytest.mark.rule("SCORE-29")
def test_a_debt_does_not_decay_and_is_taken_up_again() -> None:
    params = topic(invalid_message_deliveries_weight=-1.0, invalid_message_deliveries_decay=0.5)
    engine = Engine({"t": params}, retain_score=10.0)
    engine.repeat(4, engine.invalid_delivery)
    engine.remove_peer(A, 0.0)
    engine.wait(9)
    assert engine.score(A) == -16.0
    engine.add_peer(A, ())
    assert engine.score(A) == -16.0
    engine.wait(2)
    assert engine.score(A) == -1.0
    engine.wait(100)
    assert engine.snapshot(A) is not None


@pytest.mark.rule("SCORE-29")
def test_a_good_score_is_forgotten_at_once() -> None:
    engine = Engine({"t": topic(first_message_deliveries_weight=1.0)})
    engine.first_delivery(A, "t")
    engine.remove_peer(A, 0.0)
    assert (engine.score(A), len(engine)) == (0.0, 3)
    engine.add_peer(A, ())
    assert engine.score(A) == 0.0


@pytest.mark.rule("SCORE-30")
def test_of_a_debt_the_good_part_goes_and_the_deficit_is_charged() -> None:
    params = topic(
        **{**P3B, "mesh_message_deliveries_decay": 0.9999},
        first_message_deliveries_weight=1.0,
        invalid_message_deliveries_weight=-100.0,
    )
    engine = Engine({"t": params})
    engine.enter(A)
    engine.wait(6)
    engine.first_delivery(A, "t")
    engine.invalid_delivery(A, "t", "validation failed")
    engine.remove_peer(A, engine.now)
    assert engine.counters() == TopicScoreSnapshot(
        score=-461.0,
        in_mesh=False,
        time_in_mesh=0.0,
        first_message_deliveries=0.0,
        mesh_message_deliveries=1.0,
        mesh_failure_penalty=361.0,
        invalid_message_deliveries=1.0,
    )


def test_debts_are_bounded_and_the_oldest_goes() -> None:
    engine = Engine(behaviour_penalty_weight=-1.0, max_retained=2)
    for peer in (A, B, C):
        engine.penalise(peer, 2, "misdeed")
        engine.remove_peer(peer, 0.0)
    assert [engine.score(peer) for peer in (A, B, C)] == [0.0, -4.0, -4.0]
    assert len(engine) == 3


@pytest.mark.rule("SCORE-31")
def test_parameters_of_a_topic_may_change_at_any_time() -> None:
    first = topic(
        first_message_deliveries_weight=1.0,
        first_message_deliveries_cap=100,
        invalid_message_deliveries_weight=-1.0,
        mesh_message_deliveries_cap=100,
    )
    engine = Engine({"t": first})
    engine.enter(A)
    engine.repeat(100, engine.first_delivery)
    engine.repeat(100, engine.invalid_delivery, B)
    assert (engine.score(A), engine.score(B)) == (100.0, -10000.0)
    second = topic(
        first_message_deliveries_weight=1.0,
        first_message_deliveries_cap=50,
        invalid_message_deliveries_weight=-10.0,
        mesh_message_deliveries_cap=60,
    )
    engine.set_topic_params("t", second)
    assert (engine.score(A), engine.score(B)) == (50.0, -100000.0)
    assert engine.counters().mesh_message_deliveries == 60.0
    engine.first_delivery(A, "t")
    engine.first_delivery(C, "t")
    assert (engine.score(A), engine.score(C)) == (50.0, 1.0)


@pytest.mark.rule("SCORE-31")
def test_a_topic_may_get_parameters_later() -> None:
    engine = Engine()
    engine.first_delivery(A, "t")
    engine.set_topic_params("t", topic(first_message_deliveries_weight=1.0))
    engine.first_delivery(A, "t")
    assert engine.score(A) == 1.0
