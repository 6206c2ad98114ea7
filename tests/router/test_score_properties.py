"""What holds for every score, whatever the parameters and whatever happened."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.router.score.peer_scores import PeerScores

PEERS = [b"a", b"b", b"c"]
TOPICS = ["t", "u"]
REWARDS = {"topic_weight", "time_in_mesh_weight", "first_message_deliveries_weight"}

decays = st.floats(0.01, 0.99)


def weights(sign: int, largest: float = 100.0) -> st.SearchStrategy[float]:
    return st.floats(0.0, largest).map(lambda value: sign * value)


topic_params = st.builds(
    TopicScoreParams,
    topic_weight=weights(1),
    time_in_mesh_weight=weights(1),
    time_in_mesh_quantum=st.floats(0.001, 100),
    time_in_mesh_cap=st.floats(0.1, 1000),
    first_message_deliveries_weight=weights(1),
    first_message_deliveries_decay=decays,
    first_message_deliveries_cap=st.floats(0.1, 10),
    mesh_message_deliveries_weight=weights(-1),
    mesh_message_deliveries_decay=decays,
    mesh_message_deliveries_cap=st.floats(0.1, 10),
    mesh_message_deliveries_threshold=st.floats(0.1, 10),
    mesh_message_deliveries_activation=st.floats(1, 10),
    mesh_failure_penalty_weight=weights(-1),
    mesh_failure_penalty_decay=decays,
    invalid_message_deliveries_weight=weights(-1),
    invalid_message_deliveries_decay=decays,
)
extremes = st.sampled_from([0.0, 1e-300, 1.0, 1e50])
extreme_params = st.builds(
    TopicScoreParams,
    **{  # type: ignore[arg-type]
        field.name: st.floats(0.01, 0.99)
        if field.name.endswith("decay")
        else st.sampled_from([1.0, 1e50])
        if field.name.endswith(("threshold", "activation", "cap"))
        else st.sampled_from([1e-300, 1.0, 1e50])
        if field.name in REWARDS or not field.name.endswith("weight")
        else extremes.map(lambda value: -value)
        for field in fields(TopicScoreParams)
    },
)

acts = st.sampled_from(
    ["first_delivery", "mesh_delivery", "invalid_delivery", "prune", "penalise", "remove", "graft"]
)
events = st.lists(
    st.tuples(acts, st.sampled_from(PEERS), st.sampled_from(TOPICS), st.floats(0, 20)), max_size=60
)
Events = list[tuple[str, bytes, str, float]]


def app_score(peer: bytes) -> float:
    return float(peer[0]) - 98.0


def engine(topic: TopicScoreParams, **params: object) -> PeerScores:
    built = PeerScoreParams(
        topics=dict.fromkeys(TOPICS, topic),
        app_specific_score=app_score,
        app_specific_weight=2.0,
        retain_score=10.0,
        **params,  # type: ignore[arg-type]
    )
    scores = PeerScores(built, max_retained=2, now=0.0)
    for peer in PEERS:
        scores.add_peer(peer, ["1.2.3.4"])
    return scores


def play(scores: PeerScores, happened: Events, *, ask: bool = False) -> None:
    """With `ask` all scores are asked for after each event."""
    now = 0.0
    for act, peer, topic, seconds in happened:
        now += seconds
        scores.refresh_if_due(now)
        match act:
            case "graft":
                scores.graft(peer, topic, now)
            case "penalise":
                scores.penalise(peer, 1, "misdeed")
            case "remove":
                scores.remove_peer(peer, now)
                scores.add_peer(peer, ["1.2.3.4"])
            case _:
                getattr(scores, act)(peer, topic)
        if ask:
            scores.snapshots()
    scores.refresh_if_due(now + 1.0)


@pytest.mark.rule("SCORE-39")
@given(topic=topic_params, happened=events, cap=st.floats(0, 1000))
def test_no_topic_and_no_score_exceeds_what_it_can_earn(
    topic: TopicScoreParams, happened: Events, cap: float
) -> None:
    scores = engine(
        topic, topic_score_cap=cap, behaviour_penalty_weight=-1.0, ip_colocation_factor_weight=-1.0
    )
    play(scores, happened)
    most = topic.topic_weight * (
        topic.time_in_mesh_weight * topic.time_in_mesh_cap
        + topic.first_message_deliveries_weight * topic.first_message_deliveries_cap
    )
    for peer in PEERS:
        snapshot = scores.snapshot(peer)
        assert snapshot is not None
        assert all(entry.score <= most * (1 + 1e-9) for entry in snapshot.topics.values())
        limit = cap if cap else len(TOPICS) * most
        assert snapshot.score <= limit * (1 + 1e-9) + 2.0 * app_score(peer)


@pytest.mark.rule("SCORE-40")
@given(topic=topic_params, happened=events)
def test_penalties_are_never_rewards(topic: TopicScoreParams, happened: Events) -> None:
    without_rewards = TopicScoreParams(
        **{
            field.name: 0.0
            if field.name in REWARDS - {"topic_weight"}
            else getattr(topic, field.name)
            for field in fields(topic)
        }
    )
    scores = engine(
        without_rewards,
        behaviour_penalty_weight=-1.0,
        ip_colocation_factor_weight=-1.0,
        ip_colocation_factor_threshold=2,
    )
    play(scores, happened)
    assert all(scores.score(peer) <= 2.0 * app_score(peer) for peer in PEERS)


@pytest.mark.rule("SCORE-40")
@given(topic=topic_params, happened=events)
def test_whoever_does_nothing_wrong_has_no_less_than_the_applications_part(
    topic: TopicScoreParams, happened: Events
) -> None:
    values = {field.name: getattr(topic, field.name) for field in fields(topic)}
    kind = TopicScoreParams(**{**values, "mesh_message_deliveries_activation": 1e9})
    scores = engine(kind, behaviour_penalty_weight=-1.0)
    play(scores, [e for e in happened if e[0] not in ("invalid_delivery", "penalise")])
    assert all(scores.score(peer) >= 2.0 * app_score(peer) for peer in PEERS)


@pytest.mark.rule("SCORE-40")
@given(topic=topic_params, happened=events)
def test_scores_do_not_depend_on_who_one_is(topic: TopicScoreParams, happened: Events) -> None:
    def others(peer: bytes) -> bytes:
        return PEERS[(PEERS.index(peer) + 1) % 3]

    one, other = engine(topic), engine(topic)
    play(one, happened)
    play(other, [(act, others(peer), topic_, time) for act, peer, topic_, time in happened])
    for peer in PEERS:
        mine = one.score(peer) - 2.0 * app_score(peer)
        theirs = other.score(others(peer)) - 2.0 * app_score(others(peer))
        assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-6) or "remove" in {
            event[0] for event in happened
        }  # what is kept of a peer that left depends on the sign of its whole score


@pytest.mark.rule("SCORE-42")
@given(topic=topic_params, waits=st.lists(st.floats(0, 3), max_size=30), start=st.floats(0, 5))
def test_time_alone_never_lowers_a_score_before_deficits_count(
    topic: TopicScoreParams, waits: list[float], start: float
) -> None:
    scores = engine(topic)
    scores.refresh_if_due(start)
    scores.graft(b"a", "t", start)
    now, last = start, scores.score(b"a")
    for seconds in waits:
        now += seconds
        if now - start > topic.mesh_message_deliveries_activation:
            break
        scores.refresh_if_due(now)
        assert scores.score(b"a") >= last
        last = scores.score(b"a")


@pytest.mark.rule("SCORE-42")
@given(topic=topic_params, waits=st.lists(st.floats(0, 30), max_size=30))
def test_the_reward_for_time_never_falls(topic: TopicScoreParams, waits: list[float]) -> None:
    only_time = TopicScoreParams(
        topic_weight=topic.topic_weight,
        time_in_mesh_weight=topic.time_in_mesh_weight,
        time_in_mesh_quantum=topic.time_in_mesh_quantum,
        time_in_mesh_cap=topic.time_in_mesh_cap,
    )
    scores = engine(only_time)
    scores.graft(b"a", "t", 0.0)
    now, last = 0.0, scores.score(b"a")
    for seconds in waits:
        now += seconds
        scores.refresh_if_due(now)
        assert scores.score(b"a") >= last
        last = scores.score(b"a")


@given(topic=extreme_params, happened=events)
def test_a_score_is_always_a_finite_number(topic: TopicScoreParams, happened: Events) -> None:
    scores = engine(
        topic,
        behaviour_penalty_weight=-1e50,
        ip_colocation_factor_weight=-1e50,
        ip_colocation_factor_threshold=1,
    )
    play(scores, happened)
    assert all(math.isfinite(scores.score(peer)) for peer in PEERS)
    assert len(scores) == len(PEERS)


@given(topic=topic_params, happened=events)
def test_what_is_remembered_of_a_score_is_what_it_would_be_anew(
    topic: TopicScoreParams, happened: Events
) -> None:
    one, other = (
        engine(
            topic,
            behaviour_penalty_weight=-1.0,
            ip_colocation_factor_weight=-1.0,
            ip_colocation_factor_threshold=1,
        )
        for _ in range(2)
    )
    play(one, happened)
    play(other, happened, ask=True)
    assert one.snapshots() == other.snapshots()
