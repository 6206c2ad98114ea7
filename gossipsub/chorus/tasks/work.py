"""What whoever carries out a task is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gossipsub.chorus.tasks.task import Job
from gossipsub.wire.errors import LocalProtocolError


class Work:
    """What `carry_out` is given: one attempt at a task."""

    def __init__(self, job: Job, report: Callable[[float, str], None]) -> None:
        self._report = report
        self.task_id = job.task.task_id
        self.description = job.task.description
        self.input: Any = job.task.input
        """What the announcer gave it, by the network: trust it as you trust the announcer."""
        self.announcer = job.announcer
        """Peer id, in text, of the agent whose task it is."""
        self.attempt = job.attempt
        """Grows with each allocation of the task and is never used again (a fencing token)."""
        self.lease = job.lease
        """Seconds after which the task is given to another agent when this one is not heard."""

    def report(self, progress: float, message: str = "") -> None:
        """Tell everybody how far it is, from 0 to 1, and up to 2,000 characters of `message`; the
        lease is renewed without it as well. LocalProtocolError for anything else."""
        is_number = isinstance(progress, (int, float)) and not isinstance(progress, bool)
        if not is_number or not 0 <= progress <= 1:
            raise LocalProtocolError(f"progress is a number from 0 to 1: {progress!r:.80}")
        if not isinstance(message, str):
            raise LocalProtocolError(f"a message is text, not of type {type(message).__name__}")
        self._report(float(progress), message)
