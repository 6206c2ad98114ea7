"""A trial does what its steps say, on the score function that routers use."""

from __future__ import annotations

from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.router.score_check.trial import MAX_TIMES, Act, Played, Step, Trial

NEWS = ("news",)
PARAMS = PeerScoreParams(
    topics={
        "news": TopicScoreParams(
            time_in_mesh_weight=1.0,
            first_message_deliveries_weight=10.0,
            mesh_message_deliveries_weight=-1.0,
            mesh_message_deliveries_threshold=3.0,
            mesh_failure_penalty_weight=-1.0,
            invalid_message_deliveries_weight=-100.0,
        )
    },
    behaviour_penalty_weight=-1000.0,
    slow_peer_weight=-7.0,
    ip_colocation_factor_weight=-10_000.0,
    ip_colocation_factor_threshold=2,
)


def step(act: Act, times: int = 1) -> Step:
    return Step(act=act, topics=NEWS, times=times)


def test_every_act_reaches_the_score_function() -> None:
    trial = Trial(PARAMS)
    scores = [
        trial.play([one]).score
        for one in (
            step(Act.GRAFT),
            step(Act.FIRST_DELIVERY, 2),
            step(Act.COPY),
            step(Act.INVALID, 2),
            Step(act=Act.MISBEHAVE, times=2),
            Step(act=Act.LAG, times=3),
            step(Act.WAIT, 6),
            step(Act.PRUNE),
        )
    ]
    by_hand = PeerScores(PARAMS, max_retained=1, now=0.0)
    by_hand.add_peer(b"p", ("192.0.2.1",))
    by_hand.graft(b"p", "news", 0.0)
    expected = [by_hand.score(b"p")]
    for _ in range(2):
        by_hand.first_delivery(b"p", "news")
    expected.append(by_hand.score(b"p"))
    by_hand.mesh_delivery(b"p", "news")
    expected.append(by_hand.score(b"p"))
    by_hand.invalid_delivery(b"p", "news")
    by_hand.invalid_delivery(b"p", "news")
    expected.append(by_hand.score(b"p"))
    by_hand.penalise(b"p", 2, "misdeed")
    expected.append(by_hand.score(b"p"))
    by_hand.send_lost(b"p", 3)
    expected.append(by_hand.score(b"p"))
    for second in range(1, 7):
        by_hand.refresh_if_due(float(second))
    expected.append(by_hand.score(b"p"))
    by_hand.prune(b"p", "news")
    expected.append(by_hand.score(b"p"))
    assert scores == expected
    assert len(dict.fromkeys(scores)) == len(scores) - 1  # a copy alone changes nothing yet
    assert trial.now == 6.0


def test_what_happens_between_refreshes_happens_before_each() -> None:
    wait = Step(act=Act.WAIT, times=3, between=(step(Act.FIRST_DELIVERY, 2),))
    trial = Trial(PARAMS).play([step(Act.GRAFT), wait])
    assert trial.snapshot().topics["news"].first_message_deliveries == 1.75  # decay 0.5
    assert trial.topic_score("news") == 3.0 + 17.5


def test_played_steps_play_again_to_the_same_scores() -> None:
    steps = [step(Act.GRAFT), step(Act.FIRST_DELIVERY), step(Act.WAIT, 2), step(Act.INVALID)]
    played = Trial(PARAMS).play(steps).played
    assert played == [
        Played(step=steps[0], at=0.0, score=0.0),
        Played(step=steps[1], at=0.0, score=10.0),
        Played(step=steps[2], at=2.0, score=4.5),
        Played(step=steps[3], at=2.0, score=-95.5),
    ]
    again = Trial(PARAMS, start=1000.0, peer=b"another").play(one.step for one in played)
    assert again.played == played


def test_neighbours_share_the_address() -> None:
    assert Trial(PARAMS, neighbours=1).score == 0.0
    assert Trial(PARAMS, neighbours=2).score == -10_000.0
    assert Trial(PARAMS, neighbours=3).score == -40_000.0


def test_the_applications_opinion_is_left_out() -> None:
    params = PeerScoreParams(app_specific_score=lambda peer: 5.0, app_specific_weight=1.0)
    assert Trial(params).score == 0.0


def test_a_topic_in_which_nothing_happened_contributes_nothing() -> None:
    assert Trial(PARAMS).topic_score("news") == 0.0


def test_a_step_is_bounded() -> None:
    trial = Trial(PARAMS).play([step(Act.INVALID, 10**12)])
    assert trial.snapshot().topics["news"].invalid_message_deliveries == MAX_TIMES
