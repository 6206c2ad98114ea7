"""What a task board wants done."""

from __future__ import annotations

from dataclasses import dataclass

from gossipsub.chorus.tasks.messages import Said
from gossipsub.chorus.tasks.task import Job, TaskOutcome

TaskKey = tuple[str, str]
"""Peer id of the announcer in text, and the task's id: names a task everywhere."""


@dataclass(slots=True)
class Say:
    """Publish this; then let the board hear it, as everybody else does."""

    message: Said
    durable: bool = False
    """Not before the event log has it for good: what is decided must survive a crash."""
    is_bare: bool = False
    """A completion from which all that its worker said was left out."""


@dataclass(slots=True)
class Start:
    """Begin to carry this out; say `finish` or `fail` when it is over."""

    job: Job


@dataclass(slots=True)
class Stop:
    """This attempt is no longer wanted, and what comes of it would be ignored."""

    key: TaskKey
    attempt: int


@dataclass(slots=True)
class Finished:
    """A task, of this agent or another, was completed; told once for each."""

    outcome: TaskOutcome


Effect = Say | Start | Stop | Finished
