"""How much misbehaviour parameters leave unpunished, measured on the score function itself."""

from __future__ import annotations

import math
from collections.abc import Callable

from gossipsub.router.score.params import TopicScoreParams
from gossipsub.router.score_check.report import MisbehaviourLimits, TopicLimits
from gossipsub.router.score_check.strategies import Strategies, count_until_negative, sustained
from gossipsub.router.score_check.trial import MAX_REFRESHES, Act, Step, Trial

MOST_TRIED = 1000
"""Invalid messages or misdeeds at once; if so many are not punished, more are not tried."""
_SLOWEST = 4096
"""Refreshes between misdeeds in the slowest rate tried."""
_FASTEST = 1024
"""Misdeeds between refreshes in the fastest."""
_WAIT = Step(act=Act.WAIT)


def topic_limits(
    strategies: Strategies, topic: TopicScoreParams, names: tuple[str, ...]
) -> TopicLimits:
    """What can be got away with in topics of these parameters."""
    name = names[0]
    silent = strategies.all_but((name,))
    model = strategies.model()
    best = model.topic_score(name)
    invalid = Step(act=Act.INVALID, topics=(name,))
    return TopicLimits(
        topics=names,
        best=best,
        silent_seconds=_silent_seconds(strategies, topic, name),
        silent_value=silent.topic_score(name),
        silent_overall=sustained(silent),
        silent_together=_silent_together(strategies, names),
        invalid_at_once=count_until_negative(model, invalid, MOST_TRIED),
        invalid_forgiven=_forgiven(Trial(strategies.params).play([invalid])),
    )


def _silent_seconds(strategies: Strategies, topic: TopicScoreParams, name: str) -> float | None:
    """After P3 is active a silent peer's score only rises, so that need not be waited for."""
    if not topic.mesh_message_deliveries_weight:
        return None
    trial = strategies.newcomer(name)
    for _ in range(strategies.refreshes(topic.mesh_message_deliveries_activation) + 1):
        if trial.play([_WAIT]).score < 0.0:
            return trial.now
    return None


def _silent_together(strategies: Strategies, names: tuple[str, ...]) -> int:
    def is_positive(count: int) -> bool:
        return sustained(strategies.all_but(names[:count])) > 0.0

    return last(is_positive, len(names))


def _forgiven(trial: Trial) -> float | None:
    for _ in range(MAX_REFRESHES):
        if trial.score >= 0.0:
            return trial.now
        trial.play([_WAIT])
    return None


def misbehaviour_limits(strategies: Strategies) -> MisbehaviourLimits:
    """What P7 lets pass."""
    misdeed = Step(act=Act.MISBEHAVE)
    most = MOST_TRIED + math.ceil(min(strategies.params.behaviour_penalty_threshold, MOST_TRIED))
    at_once = count_until_negative(Trial(strategies.params), misdeed, most)
    return MisbehaviourLimits(
        at_once=at_once,
        at_once_model=count_until_negative(strategies.model(), misdeed, most),
        every_seconds=0.0 if at_once is None else _every_seconds(strategies),
    )


def _every_seconds(strategies: Strategies) -> float | None:
    interval = strategies.params.decay_interval
    decay = strategies.params.behaviour_penalty_decay
    converged = math.ceil(math.log(1e-4) / math.log(decay)) if decay else 1
    if converged > MAX_REFRESHES:
        return None

    def passes(times: int, refreshes: int) -> bool:
        """Whether so many misdeeds every so many refreshes are never punished."""
        trial = Trial(strategies.params)
        cycle = [Step(act=Act.MISBEHAVE, times=times), Step(act=Act.WAIT, times=refreshes)]
        for _ in range(converged // refreshes + 2):
            if min(played.score for played in trial.play(cycle).played[-2:]) < 0.0:
                return False
        return True

    if passes(1, 1):
        return interval / last(lambda times: passes(times, 1), _FASTEST)
    if not passes(1, _SLOWEST):
        return None
    return interval * (last(lambda refreshes: not passes(1, refreshes), _SLOWEST) + 1)


def last(holds: Callable[[int], bool], high: int) -> int:
    """The largest number of 0 to `high` for which it holds, if it does up to some number; 0 is
    not tried."""
    low, over = 0, high + 1
    while over - low > 1:
        middle = (low + over) // 2
        if holds(middle):
            low = middle
        else:
            over = middle
    return low
