"""Ways to behave that a check of score parameters tries: the model peer, the silent, the newcomer.

They only say what a peer does. What that is worth is left to `PeerScores`.
"""

from __future__ import annotations

import math
from collections.abc import Container
from copy import deepcopy

from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.router.score_check.trial import MAX_REFRESHES, MAX_TIMES, Act, Step, Trial

OTHER_TOPICS = "(any other topic)"
"""Stands for the topics that are not named."""
_MOST_BETWEEN = 200
"""Deliveries between two refreshes, at most."""


class Strategies:
    """Steps for trials with these parameters. Topics with equal parameters make one group."""

    def __init__(self, params: PeerScoreParams) -> None:
        self.params = params
        topics = dict(params.topics)
        if params.other_topics is not None:
            topics[OTHER_TOPICS] = params.other_topics
        self._groups: dict[TopicScoreParams, list[str]] = {}
        for name, topic in topics.items():
            if topic.topic_weight:
                self._groups.setdefault(topic, []).append(name)
        self.unscored = tuple(name for name, topic in topics.items() if not topic.topic_weight)
        self._models: dict[tuple[str, ...], Trial] = {}

    @property
    def groups(self) -> list[tuple[TopicScoreParams, tuple[str, ...]]]:
        """Topics that count, by equal parameters."""
        return [(topic, tuple(names)) for topic, names in self._groups.items()]

    def refreshes(self, seconds: float) -> int:
        """So many refreshes that more than `seconds` have passed."""
        return math.floor(min(seconds / self.params.decay_interval, MAX_REFRESHES - 2)) + 1

    def settle(self, silent: Container[str] = ()) -> list[Step]:
        """Be in all meshes until all that comes with time has come: P1 at its cap, P3 active; and
        deliver enough for P3, except in `silent` topics."""
        names = tuple(name for _, group in self.groups for name in group)
        longest, between = 0.0, []
        for topic, group in self.groups:
            reward = topic.time_in_mesh_quantum * topic.time_in_mesh_cap
            longest = max(longest, reward if topic.time_in_mesh_weight else 0.0)
            if topic.mesh_message_deliveries_weight:
                longest = max(longest, topic.mesh_message_deliveries_activation)
                kept = tuple(name for name in group if name not in silent)
                step = Step(act=Act.FIRST_DELIVERY, topics=kept, times=_to_keep_up(topic))
                between += [step] if kept else []
        wait = Step(act=Act.WAIT, times=self.refreshes(longest) + 1, between=tuple(between))
        return [Step(act=Act.GRAFT, topics=names), wait]

    def fill(self, silent: Container[str] = ()) -> list[Step]:
        """Deliver as much as counts, except in `silent` topics."""
        return [
            Step(act=Act.FIRST_DELIVERY, topics=kept, times=_to_fill(topic))
            for topic, names in self.groups
            if (kept := tuple(name for name in names if name not in silent))
        ]

    def model(self, silent: tuple[str, ...] = ()) -> Trial:
        """A peer long in all meshes that has just delivered as much as counts; but nothing ever
        in `silent` topics."""
        trial = self._models.get(silent)
        if trial is None:
            steps = [*self.settle(silent), *self.fill(silent)]
            trial = self._models[silent] = Trial(self.params).play(steps)
        return deepcopy(trial)

    def all_but(self, silent: tuple[str, ...]) -> Trial:
        """A model peer, but silent in these topics; and one refresh later."""
        return self.model(silent).play([Step(act=Act.WAIT)])

    def newcomer(self, topic: str) -> Trial:
        """A peer that just came into one mesh."""
        return Trial(self.params).play([Step(act=Act.GRAFT, topics=(topic,))])

    def short_by(self, missing: int, topic: TopicScoreParams, name: str) -> Trial:
        """A model elsewhere, and here so many deliveries short of P3's threshold; 0: not."""
        wanted = math.ceil(min(topic.mesh_message_deliveries_threshold, MAX_TIMES)) - missing
        copies = [Step(act=Act.COPY, topics=(name,), times=wanted)] if wanted > 0 else []
        return self.model((name,)).play(copies)


def sustained(trial: Trial) -> float:
    """The lower of the last two scores: with counters full, and after they decayed."""
    return min(played.score for played in trial.played[-2:])


def count_until_negative(trial: Trial, step: Step, most: int) -> int | None:
    """How often the step is done before the score is negative; None: after `most` it is not yet."""
    for done in range(most):
        if trial.play([step]).score < 0.0:
            return done
    return None


def _to_fill(topic: TopicScoreParams) -> int:
    cap = topic.first_message_deliveries_cap if topic.first_message_deliveries_weight else 0.0
    if topic.mesh_message_deliveries_weight:
        # More than the threshold, be it decayed, makes no difference.
        enough = topic.mesh_message_deliveries_threshold / topic.mesh_message_deliveries_decay
        cap = max(cap, min(enough + 1.0, topic.mesh_message_deliveries_cap))
    return max(1, math.ceil(min(cap, MAX_TIMES)))


def _to_keep_up(topic: TopicScoreParams) -> int:
    """Deliveries between two refreshes that keep the counter at the threshold."""
    decay = topic.mesh_message_deliveries_decay
    lost = topic.mesh_message_deliveries_threshold * (1.0 - decay) / decay
    return math.ceil(min(lost, _MOST_BETWEEN - 1)) + 1
