"""A task, what a worker is given of it, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gossipsub.wire.errors import GossipSubError, LocalProtocolError

MAX_ID_LENGTH = 256
"""Characters of a task's id, of an agent's, and of a capability."""
MAX_CAPABILITIES = 64
MIN_LEASE = 0.5
"""Seconds: workers report ten times a second at most."""


class TaskFailed(GossipSubError):
    """Raised by whoever carries out a task: it cannot be done, and this is why."""


class TaskResult(StrEnum):
    """How a task ended; `result` of a TaskComplete."""

    SUCCESS = "success"
    FAILED = "failed"
    """It failed as often as its announcer was ready to see."""
    WITHDRAWN = "withdrawn"
    """Its announcer does not want it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Work to be done once, by whoever can; checked at construction (LocalProtocolError)."""

    task_id: str
    """Names it among its announcer's tasks, for ever: the same id is the same task."""
    description: str = ""
    capabilities: tuple[str, ...] = ()
    """What an agent must be capable of, all of it; compared in lower case."""
    input: object = None
    """What the work needs, as JSON can hold it. Everybody in the topic reads it."""

    def __post_init__(self) -> None:
        if not is_identifier(self.task_id):
            raise LocalProtocolError(
                f"a task_id is text of 1 to {MAX_ID_LENGTH} characters: {self.task_id!r:.80}"
            )
        if any("\ud800" <= character <= "\udfff" for character in self.task_id):
            raise LocalProtocolError(f"a task_id is Unicode text: {self.task_id!r:.80}")
        if not isinstance(self.description, str):
            raise LocalProtocolError("the description of a task is text")
        object.__setattr__(self, "capabilities", checked_capabilities(self.capabilities))


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at a task, as its worker sees it."""

    task: Task
    announcer: str
    """Peer id, in text, of the agent that announced it and decides on it."""
    attempt: int
    """Grows with each allocation of the task and is never used again: give it to whatever the work
    writes to, so that an earlier attempt that still runs somewhere can be kept out."""
    lease: float
    """Seconds after which the announcer gives the task to somebody else when it hears nothing."""


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """How a task ended, as its announcer has said it."""

    task_id: str
    announcer: str
    result: TaskResult | str
    """A plain string where another program's announcer says something else."""
    output: Any = None
    """What the worker gave back."""
    agent: str = ""
    """Peer id of the worker; empty when there was none."""
    attempt: int = 0
    error: str = ""
    """Why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskParams:
    """Times in seconds, and bounds; checked at construction (LocalProtocolError)."""

    lease: float = 15.0
    """A worker that is not heard of for so long loses its task. It reports three times as often."""
    max_failures: int = 3
    """Attempts that may fail, or end with a lapsed lease, before the task is given up."""
    claim_spread: float = 0.25
    """Agents wait up to so long before they claim a task, each its own time."""
    retry_interval: float = 2.0
    """After which a claim, an allocation or a result is said again for the first time; each
    further time doubles it. GossipSub itself repairs most losses in that time."""
    announce_interval: float = 5.0
    """The same for tasks that nobody claims."""
    max_retry_interval: float = 30.0
    announce_rate: float = 5.0
    """Tasks announced again in a second, at most; and one more for each that is taken."""
    give_up_after: float = 3600.0
    """So long a worker repeats a result that its announcer does not confirm."""
    time_limit: float = 3600.0
    """So long an attempt may take: here before it counts as failed, elsewhere before the task is
    given to another agent, whatever its worker reports."""
    max_tasks: int = 100_000
    """Own tasks under way; and, as many again, completed ones that are remembered."""
    max_offers: int = 4096
    """Tasks of others that are known and open."""

    def __post_init__(self) -> None:
        if not MIN_LEASE <= self.lease <= 1e6:
            raise LocalProtocolError(f"lease is from {MIN_LEASE} to 1e6: {self.lease}")
        for name in (
            "retry_interval",
            "announce_interval",
            "announce_rate",
            "give_up_after",
            "time_limit",
        ):
            if not 0.001 <= getattr(self, name) <= 1e6:
                raise LocalProtocolError(f"{name} is from 0.001 to 1e6: {getattr(self, name)}")
        for name in ("max_failures", "max_tasks", "max_offers"):
            if getattr(self, name) < 1:
                raise LocalProtocolError(f"{name} is at least 1: {getattr(self, name)}")
        if not 0 <= self.claim_spread <= 1e6:
            raise LocalProtocolError(f"claim_spread is from 0 to 1e6: {self.claim_spread}")
        if self.max_retry_interval < max(self.retry_interval, self.announce_interval):
            raise LocalProtocolError("max_retry_interval is the longest of the intervals")


def is_identifier(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH


def checked_capabilities(given: Sequence[str]) -> tuple[str, ...]:
    """In lower case; LocalProtocolError for what is no sequence of short texts."""
    is_short_list = isinstance(given, (list, tuple)) and len(given) <= MAX_CAPABILITIES
    if is_short_list and all(isinstance(one, str) and is_identifier(one.lower()) for one in given):
        return tuple(one.lower() for one in given)
    raise LocalProtocolError(
        f"capabilities are at most {MAX_CAPABILITIES} texts of 1 to {MAX_ID_LENGTH} characters"
    )
