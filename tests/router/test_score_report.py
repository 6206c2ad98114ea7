"""A report reads as sentences."""

from __future__ import annotations

from gossipsub.router.score_check.report import (
    Finding,
    MisbehaviourLimits,
    Property,
    ScoreReport,
    Severity,
    TopicLimits,
    describe,
    render,
)
from gossipsub.router.score_check.trial import Act, Played, Step

GRAFT = Step(act=Act.GRAFT, topics=("a", "b", "c"))
VIOLATION = Finding(
    property=Property.SILENCE_IS_PUNISHED,
    severity=Severity.VIOLATION,
    topics=("a", "b"),
    explanation="silence pays",
    example=(
        Played(step=GRAFT, at=0.0, score=0.0),
        Played(step=Step(act=Act.WAIT, times=3), at=1234.5, score=-1234.5),
    ),
)
NOTE = Finding(property=Property.NONE, severity=Severity.NOTE, topics=(), explanation="P7 is off")
LIMITS = TopicLimits(
    topics=("a", "b"),
    best=12.5,
    silent_seconds=30.0,
    silent_value=-1.0,
    silent_overall=2.0,
    silent_together=1,
    invalid_at_once=2,
    invalid_forgiven=3600.0,
)
REPORT = ScoreReport(
    findings=(VIOLATION, VIOLATION, NOTE),
    topics=(LIMITS,),
    misbehaviour=MisbehaviourLimits(at_once=6, at_once_model=None, every_seconds=140.0),
    best=25.0,
    heartbeat_interval=0.7,
)


def test_a_report_in_full() -> None:
    assert (
        str(REPORT)
        == """\
2 violations, 1 note; a peer can have a score of at most 25.00

violation in a and 1 more (property 1: a peer that stays bad in one topic is bad over all)
  silence pays
          0 s      0.00  is grafted in a and 2 more
      1,234 s  -1,234.50  3 refreshes pass

violation in a and 1 more (property 1: a peer that stays bad in one topic is bad over all)
  silence pays

note
  P7 is off

a and 1 more: gives at most 12.50
  a silent newcomer turns negative: after 30 s
  silent here for long: -1.00 from this topic, 2.00 overall for a model peer elsewhere; \
positive while silent in 1 of 2
  invalid messages at once that a model peer survives: 2; \
one by a peer in no mesh is forgiven: after 3,600 s

breaking rules of good behaviour (P7):
  misdeeds at once without a negative score: 6 by a newcomer, any number by a model peer
  misdeeds for ever without a negative score, by a newcomer: one every 140 s \
(0.005 per heartbeat)"""
    )


def test_a_report_without_findings() -> None:
    report = ScoreReport(
        findings=(), topics=(), misbehaviour=None, best=1e12, heartbeat_interval=1.0
    )
    assert render(report) == "0 violations, 0 notes; a peer can have a score of at most 1e+12"
    assert report.holds


def test_what_never_happens_is_told_as_never() -> None:
    free = MisbehaviourLimits(at_once=None, at_once_model=None, every_seconds=0.0)
    hard = MisbehaviourLimits(at_once=0, at_once_model=0, every_seconds=None)
    lenient = TopicLimits(
        topics=("a",),
        best=0.0,
        silent_seconds=None,
        silent_value=0.0,
        silent_overall=0.0,
        silent_together=0,
        invalid_at_once=None,
        invalid_forgiven=0.0,
    )

    def text(misbehaviour: MisbehaviourLimits) -> str:
        return render(
            ScoreReport(
                findings=(),
                topics=(lenient,),
                misbehaviour=misbehaviour,
                best=0.0,
                heartbeat_interval=1.0,
            )
        )

    assert "turns negative: never" in text(free)
    assert "survives: any number; one by a peer in no mesh is forgiven: at once" in text(free)
    assert text(free).endswith("breaking rules of good behaviour (P7) costs nothing")
    assert text(hard).endswith("by a newcomer: no rate found")


def test_steps_are_told_in_words() -> None:
    first = Step(act=Act.FIRST_DELIVERY, topics=("a",), times=2)
    assert [
        describe(step)
        for step in (
            GRAFT,
            first,
            Step(act=Act.COPY, topics=("a",)),
            Step(act=Act.INVALID, topics=("a",)),
            Step(act=Act.PRUNE, topics=("a",)),
            Step(act=Act.MISBEHAVE, times=3),
            Step(act=Act.LAG),
            Step(act=Act.WAIT),
            Step(act=Act.WAIT, times=9, between=(first,)),
        )
    ] == [
        "is grafted in a and 2 more",
        "is first to deliver a message 2 times in a",
        "delivers a copy in time once in a",
        "delivers an invalid message once in a",
        "leaves the mesh of a",
        "breaks a rule 3 times",
        "has no room for a message once",
        "a refresh passes",
        "9 refreshes pass; before each it is first to deliver a message 2 times in a",
    ]
