"""What `score_check` found, and how it is told in words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gossipsub.router.score_check.trial import Act, Played, Step


class Property(Enum):
    """The four properties of the formal model (arXiv 2212.05197), and a rest."""

    SILENCE_IS_PUNISHED = "1: a peer that stays bad in one topic is bad over all"
    HARM_LOWERS = "2: more misbehaviour lowers the score"
    GOOD_NEVER_LOWERS = "3: more good behaviour never lowers the score"
    FAIRNESS = "4: equal behaviour, equal score"
    NONE = "beside the four properties"


class Severity(Enum):
    VIOLATION = "violation"
    """A property does not hold, and an example shows it."""
    NOTE = "note"
    """Allowed by the properties, and worth knowing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    property: Property
    severity: Severity
    topics: tuple[str, ...]
    """Those it was found for; a violation's have equal parameters, and its example is about the
    first. None where it concerns the whole."""
    explanation: str
    example: tuple[Played, ...] = ()
    """Steps that show it; `Trial(params).play(...)` plays them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicLimits:
    """What can be got away with in one topic; in others of the same parameters it is the same.

    A "model peer" is long in all meshes and delivers as much as counts; a newcomer just joined
    this mesh and no other.
    """

    topics: tuple[str, ...]
    best: float
    """Most that the topic contributes."""
    silent_seconds: float | None
    """In the mesh until a silent newcomer's score is negative; None: never."""
    silent_value: float
    """What the topic contributes for a peer long in the mesh that delivers nothing."""
    silent_overall: float
    """The score of a peer that is silent here and a model elsewhere."""
    silent_together: int
    """In so many of these topics at once a peer can be silent, a model elsewhere, and have a
    positive score for ever."""
    invalid_at_once: int | None
    """Invalid messages a model peer can deliver at once and keep a score of 0 or more; None: as
    many as it likes."""
    invalid_forgiven: float | None
    """Seconds until one invalid message, of a peer in no mesh, is forgiven; 0: never punished.
    None: not within the longest wait simulated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MisbehaviourLimits:
    """What P7 leaves unpunished: grafts during a backoff, broken promises."""

    at_once: int | None
    """Misdeeds after which a newcomer's score is still 0 or more; None: any number."""
    at_once_model: int | None
    """The same for a model peer in all topics."""
    every_seconds: float | None
    """Shortest time between misdeeds which a newcomer can repeat for ever, with a score of 0 or
    more all the time; 0: any number, None: no such rate was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreReport:
    findings: tuple[Finding, ...]
    """Violations first."""
    topics: tuple[TopicLimits, ...]
    misbehaviour: MisbehaviourLimits | None
    """None where peers are not scored."""
    best: float
    """Most a peer can have, without the application's part."""
    heartbeat_interval: float

    @property
    def violations(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is Severity.VIOLATION)

    @property
    def holds(self) -> bool:
        """Whether no property was found violated."""
        return not self.violations

    def __str__(self) -> str:
        return render(self)


def render(report: ScoreReport) -> str:
    """The report for people. Each property has its first example; others of the kind look alike."""
    count = len(report.violations)
    notes = len(report.findings) - count
    lines = [
        f"{count} violation{'s' * (count != 1)}, {notes} note{'s' * (notes != 1)}; "
        f"a peer can have a score of at most {_number(report.best)}"
    ]
    shown: dict[Property, None] = {}
    for finding in report.findings:
        lines += ["", *_finding(finding)]
        if finding.property not in shown:
            lines += [_played(played) for played in finding.example]
        shown[finding.property] = None
    for limits in report.topics:
        lines += ["", *_topic(limits)]
    if report.misbehaviour is not None:
        lines += ["", *_misbehaviour(report.misbehaviour, report.heartbeat_interval)]
    return "\n".join(lines)


def _finding(finding: Finding) -> list[str]:
    where = f" in {name_topics(finding.topics)}" if finding.topics else ""
    lines = [f"{finding.severity.value}{where} (property {finding.property.value})"]
    if finding.property is Property.NONE:
        lines = [f"{finding.severity.value}{where}"]
    return [*lines, f"  {finding.explanation}"]


def _played(played: Played) -> str:
    """When, what, and the score after it."""
    return f"    {_at(played.at):>9}  {_number(played.score):>8}  {describe(played.step)}"


def _topic(limits: TopicLimits) -> list[str]:
    together = ""
    if len(limits.topics) > 1:
        together = f"; positive while silent in {limits.silent_together} of {len(limits.topics)}"
    never = "never"
    silent = never if limits.silent_seconds is None else f"after {_at(limits.silent_seconds)}"
    invalid = "any number" if limits.invalid_at_once is None else str(limits.invalid_at_once)
    forgiven = "later than simulated"
    if limits.invalid_forgiven is not None:
        forgiven = f"after {_at(limits.invalid_forgiven)}" if limits.invalid_forgiven else "at once"
    return [
        f"{name_topics(limits.topics)}: gives at most {_number(limits.best)}",
        f"  a silent newcomer turns negative: {silent}",
        f"  silent here for long: {_number(limits.silent_value)} from this topic, "
        f"{_number(limits.silent_overall)} overall for a model peer elsewhere{together}",
        f"  invalid messages at once that a model peer survives: {invalid}; "
        f"one by a peer in no mesh is forgiven: {forgiven}",
    ]


def _misbehaviour(limits: MisbehaviourLimits, heartbeat: float) -> list[str]:
    if limits.at_once is None:
        return ["breaking rules of good behaviour (P7) costs nothing"]
    model = "any number" if limits.at_once_model is None else str(limits.at_once_model)
    every = "no rate found"
    if limits.every_seconds is not None:
        per_heartbeat = heartbeat / limits.every_seconds
        every = f"one every {_at(limits.every_seconds)} ({per_heartbeat:.2g} per heartbeat)"
    return [
        "breaking rules of good behaviour (P7):",
        f"  misdeeds at once without a negative score: {limits.at_once} by a newcomer, "
        f"{model} by a model peer",
        f"  misdeeds for ever without a negative score, by a newcomer: {every}",
    ]


def describe(step: Step) -> str:
    """A step in words."""
    where = name_topics(step.topics)
    times = "once" if step.times == 1 else f"{step.times} times"
    match step.act:
        case Act.GRAFT | Act.PRUNE:
            return f"{step.act.value} {where}"
        case Act.WAIT:
            passed = "a refresh passes" if step.times == 1 else f"{step.times} refreshes pass"
            done = ", ".join(describe(each) for each in step.between)
            return f"{passed}; before each it {done}" if done else passed
        case Act.MISBEHAVE | Act.LAG:
            return f"{step.act.value} {times}"
        case _:
            return f"{step.act.value} {times} in {where}"


def name_topics(topics: tuple[str, ...]) -> str:
    """`news`, or `news and 4 more`."""
    if not topics:
        return "no topic"
    return topics[0] if len(topics) == 1 else f"{topics[0]} and {len(topics) - 1} more"


def _at(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 100 else f"{seconds:.3g} s"


def _number(value: float) -> str:
    return f"{value:,.2f}" if abs(value) < 1e9 else f"{value:.3g}"
