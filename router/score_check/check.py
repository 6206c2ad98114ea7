"""Are these score parameters any good? Four properties, tried on the score function itself.

The properties are those of the formal model of GossipSub's scores (Kumar, von Hippel, Manolios,
Nita-Rotaru, "Formal Model-Driven Analysis of Resilience of GossipSub to Attacks from Misbehaving
Peers", arXiv 2212.05197):

1. a peer that stays bad in one topic, as one that delivers nothing there, is bad over all;
2. more misbehaviour lowers the score;
3. more good behaviour never lowers it (once missing deliveries count: that begins with time);
4. equal behaviour gives equal scores, whoever the peer is and whenever it behaves.

Every case is played on `PeerScores` in virtual time; the search is systematic, bounded, and gives
the same report each time. That nothing is found is no proof.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from gossipsub.router.score_check.limits import last, misbehaviour_limits, topic_limits
from gossipsub.router.score_check.report import (
    Finding,
    MisbehaviourLimits,
    Property,
    ScoreReport,
    Severity,
    TopicLimits,
)
from gossipsub.router.score_check.strategies import Strategies, sustained
from gossipsub.router.score_check.trial import MAX_TIMES, Act, Played, Step, Trial

_SURPLUS_TRIED = 1000
"""Neighbours at one address; a higher threshold of P6 is not tried."""
_ELSEWHEN = 1_000_000
"""Refreshes by which a behaviour is shifted to see that only its course matters."""

Names = tuple[str, ...]


def check(
    params: PeerScoreParams | None,
    thresholds: PeerScoreThresholds | None = None,
    *,
    heartbeat_interval: float = 1.0,
) -> ScoreReport:
    """Try the four properties, and measure what stays unpunished.

    None: peers are not scored. The application's part of the score is left out. Takes
    milliseconds for a few topics, seconds for dozens of kinds.
    """
    if params is None:
        return _unscored(heartbeat_interval)
    params = replace(params, app_specific_score=None, app_specific_weight=0.0)
    strategies = Strategies(params)
    whole = (
        params.behaviour_penalty_weight,
        params.ip_colocation_factor_weight,
        params.slow_peer_weight,
    )
    if not strategies.groups and not any(whole):
        return _unscored(heartbeat_interval)
    limits = tuple(topic_limits(strategies, *group) for group in strategies.groups)
    misbehaviour = misbehaviour_limits(strategies)
    best = strategies.model().score
    findings = [
        *_silence(strategies, limits),
        *_harm(strategies),
        *_good(strategies),
        *_fairness(strategies),
        *_notes(strategies, limits, misbehaviour),
        *_out_of_reach(thresholds or PeerScoreThresholds(), best),
    ]
    return ScoreReport(
        findings=_in_order(findings),
        topics=limits,
        misbehaviour=misbehaviour,
        best=best,
        heartbeat_interval=heartbeat_interval,
    )


def _in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Violations first; notes that say the same of several topics become one."""
    violations = [finding for finding in findings if finding.severity is Severity.VIOLATION]
    notes: dict[str, list[str]] = {}
    for finding in findings:
        if finding.severity is Severity.NOTE:
            notes.setdefault(finding.explanation, []).extend(finding.topics)
    return (*violations, *(_note(tuple(topics), text) for text, topics in notes.items()))


def _unscored(heartbeat_interval: float) -> ScoreReport:
    explanation = "peers are not scored: every score is 0, and no misbehaviour has consequences"
    finding = _violation(Property.HARM_LOWERS, (), explanation)
    return ScoreReport(
        findings=(finding,),
        topics=(),
        misbehaviour=None,
        best=0.0,
        heartbeat_interval=heartbeat_interval,
    )


def _violation(
    property: Property, topics: Names, explanation: str, example: Iterable[Played] = ()
) -> Finding:
    return Finding(
        property=property,
        severity=Severity.VIOLATION,
        topics=topics,
        explanation=explanation,
        example=tuple(example),
    )


def _note(topics: Names, explanation: str) -> Finding:
    return Finding(
        property=Property.NONE,
        severity=Severity.NOTE,
        topics=topics,
        explanation=explanation,
    )


# Property 1


def _silence(strategies: Strategies, limits: tuple[TopicLimits, ...]) -> Iterator[Finding]:
    for (topic, names), limit in zip(strategies.groups, limits, strict=True):
        if not topic.mesh_message_deliveries_weight:
            yield _note(names, "missing deliveries are not scored (P3): silence is never punished")
        elif limit.silent_value < 0.0 < limit.silent_overall:
            yield _silent(strategies, names, limit.silent_together)
        elif (throttled := _throttled(strategies, topic, names)) is not None:
            yield throttled
        elif limit.silent_value >= 0.0:
            yield _note(
                names,
                f"a peer that delivers nothing keeps {limit.silent_value:.2f} from this topic: the "
                f"reward for time (P1) outweighs what is missing (P3)",
            )


def _silent(strategies: Strategies, names: Names, together: int) -> Finding:
    trial = strategies.all_but(names[:1])
    value, score = trial.topic_score(names[0]), sustained(trial)
    more = f", even {together} such topics together" if together > 1 else ""
    return _violation(
        Property.SILENCE_IS_PUNISHED,
        names,
        f"a peer that delivers nothing here for ever has {value:.2f} from this topic, and "
        f"{score:.2f} over all: rewards elsewhere (P1, P2) pay for its silence{more}",
        trial.played,
    )


def _throttled(strategies: Strategies, topic: TopicScoreParams, names: Names) -> Finding | None:
    """Not silent, but as far short of the threshold as leaves a positive score over all.

    Short by whole deliveries, as in the model. By the part of one that decays between refreshes
    any peer falls short, and no parameters let the whole score follow each topic below 0 there.
    """

    def falling_short(missing: int) -> Trial:
        """As of a refresh: then the counter is at its lowest, and can be filled again."""
        return strategies.short_by(missing, topic, names[0]).play([Step(act=Act.WAIT)])

    most = math.ceil(min(topic.mesh_message_deliveries_threshold, MAX_TIMES))
    missing = last(lambda count: sustained(falling_short(count)) > 0.0, most)
    trial = falling_short(missing)
    value, score = trial.topic_score(names[0]), sustained(trial)
    if not (missing and value < 0.0 < score):
        return None
    return _violation(
        Property.SILENCE_IS_PUNISHED,
        names,
        f"a peer that stays {missing} short of {most} deliveries has {value:.2f} from this topic, "
        f"and {score:.2f} over all: rewards elsewhere (P1, P2) pay for what is missing",
        trial.played,
    )


# Property 2


def _harm(strategies: Strategies) -> Iterator[Finding]:
    for topic, names in strategies.groups:
        failed = [*_invalid(strategies, topic, names), *_deficits(strategies, topic, names)]
        if failed:
            what = ", ".join(dict.fromkeys(deed for deed, _, _ in failed))
            _, before, played = failed[0]
            text = f"no lower score than {before:.2f} for {what}{_why(strategies)}"
            yield _violation(Property.HARM_LOWERS, names, text, played)
    yield from _whole(strategies)


Failed = tuple[str, float, list[Played]]
"""What did not lower the score, the score without it, and what led there."""


def _invalid(strategies: Strategies, topic: TopicScoreParams, names: Names) -> Iterator[Failed]:
    if not topic.invalid_message_deliveries_weight:
        return
    for trial in (strategies.newcomer(names[0]), strategies.model()):
        before = trial.score
        trial.play([Step(act=Act.INVALID, topics=names[:1])])
        if not trial.score < before:
            yield "an invalid message (P4)", before, trial.played


def _deficits(strategies: Strategies, topic: TopicScoreParams, names: Names) -> Iterator[Failed]:
    """Two peers, the second of which delivered one message less; then both leave the mesh."""
    if not (topic.mesh_message_deliveries_weight or topic.mesh_failure_penalty_weight):
        return
    good, bad = (strategies.short_by(missing, topic, names[0]) for missing in (0, 1))
    if topic.mesh_message_deliveries_weight and not bad.score < good.score:
        yield "a delivery missing (P3)", good.score, list(bad.played)
    for trial in (good, bad):
        trial.play([Step(act=Act.PRUNE, topics=names[:1])])
    if topic.mesh_failure_penalty_weight and not bad.score < good.score:
        yield "leaving the mesh with a delivery missing (P3b)", good.score, bad.played


def _why(strategies: Strategies) -> str:
    cap = strategies.params.topic_score_cap
    trial = strategies.model()
    total = math.fsum(entry.score for entry in trial.snapshot().topics.values())
    if cap and total > cap:
        return (
            f": topics can give {total:.2f} together, of which {cap:g} count (topic_score_cap), "
            f"and the rest makes up for the loss"
        )
    return ""


def _whole(strategies: Strategies) -> Iterator[Finding]:
    params = strategies.params
    for act, weight, threshold, name in (
        (
            Act.MISBEHAVE,
            params.behaviour_penalty_weight,
            params.behaviour_penalty_threshold,
            "misdeeds above the threshold (P7)",
        ),
        (
            Act.LAG,
            params.slow_peer_weight,
            params.slow_peer_threshold,
            "messages it has no room for",
        ),
    ):
        over = math.floor(min(threshold, MAX_TIMES)) + 1
        trial = strategies.model().play([Step(act=act, times=over)])
        before = trial.score
        if weight and threshold < MAX_TIMES and not trial.play([Step(act=act)]).score < before:
            text = f"no lower score than {before:.2f} for {name}"
            yield _violation(Property.HARM_LOWERS, (), text, trial.played)
    most = params.ip_colocation_factor_threshold
    if params.ip_colocation_factor_weight and most <= _SURPLUS_TRIED:
        few, many = (Trial(params, neighbours=most + more) for more in (0, 1))
        if not many.score < few.score <= 0.0:
            text = f"{most + 2} peers at one address do no worse than {most + 1} (P6)"
            yield _violation(Property.HARM_LOWERS, (), text)


# Property 3


def _good(strategies: Strategies) -> Iterator[Finding]:
    for topic, names in strategies.groups:
        name = names[0]
        wait = Step(act=Act.WAIT, times=strategies.refreshes(_activation(topic)) + 1)
        spoilt = Step(act=Act.INVALID, topics=(name,))
        states: list[list[Step]] = [[], [wait], [wait, spoilt]]
        acts = [Step(act=act, topics=(name,)) for act in (Act.FIRST_DELIVERY, Act.COPY)]
        trials = [strategies.newcomer(name).play(state) for state in states for _ in acts]
        for trial, act in zip(trials, acts * len(states), strict=True):
            yield from _never_lowers(trial, act, names)
        for act in acts:
            yield from _never_lowers(strategies.model(), act, names)
        yield from _never_lowers(strategies.newcomer(name).play([wait]), Step(act=Act.WAIT), names)


def _never_lowers(trial: Trial, act: Step, names: Names) -> Iterator[Finding]:
    before = trial.score
    if trial.play([act]).score < before:
        text = f"a good deed lowers the score from {before:.2f} to {trial.score:.2f}"
        yield _violation(Property.GOOD_NEVER_LOWERS, names, text, trial.played)


def _activation(topic: TopicScoreParams) -> float:
    return topic.mesh_message_deliveries_activation if topic.mesh_message_deliveries_weight else 0.0


# Property 4


def _fairness(strategies: Strategies) -> Iterator[Finding]:
    """The same course of events: for another peer, later, and topic by topic in another order."""
    params = strategies.params
    silent = tuple(names[0] for _, names in strategies.groups)
    for quiet in ((), silent):
        steps = [*strategies.settle(quiet), *strategies.fill(quiet)]
        mirrored = [_mirror(step) for step in [*steps[:2], *reversed(steps[2:])]]
        one = strategies.model(quiet)
        other = Trial(params, start=_ELSEWHEN * params.decay_interval, peer=b"other").play(mirrored)
        if not math.isclose(one.score, other.score, rel_tol=1e-9, abs_tol=1e-9):
            text = f"equal behaviour scores {one.score:.2f} and {other.score:.2f}"
            yield _violation(Property.FAIRNESS, (), text, other.played)


def _mirror(step: Step) -> Step:
    between = tuple(_mirror(inner) for inner in reversed(step.between))
    return replace(step, topics=step.topics[::-1], between=between)


# What is worth knowing


def _notes(
    strategies: Strategies, limits: tuple[TopicLimits, ...], misbehaviour: MisbehaviourLimits
) -> Iterator[Finding]:
    if strategies.unscored:
        yield _note(strategies.unscored, "a weight of 0: nothing here is scored")
    for (topic, names), limit in zip(strategies.groups, limits, strict=True):
        if not topic.invalid_message_deliveries_weight:
            yield _note(names, "invalid messages cost nothing (P4)")
        elif limit.invalid_at_once:
            yield _note(
                names,
                f"invalid messages at once that leave a model peer with a score of 0 or more: "
                f"{limit.invalid_at_once}",
            )
    if misbehaviour.at_once is None:
        yield _note((), "breaking rules of good behaviour costs nothing (P7)")
    if not strategies.params.ip_colocation_factor_weight:
        yield _note((), "any number of peers may come from one address (P6)")


def _out_of_reach(thresholds: PeerScoreThresholds, best: float) -> Iterator[Finding]:
    for name in ("accept_px", "opportunistic_graft"):
        threshold = getattr(thresholds, name)
        if threshold > best:
            yield _note(
                (),
                f"no peer reaches {name} ({threshold:g}) by its behaviour alone: "
                f"{best:.2f} is the most",
            )
