"""The announcer's part: one agent decides on each task, the one that announced it.

There is one writer for each task, so nothing is elected and nothing can be decided twice. What is
decided is an allocation or a completion, and both are durable before they are said. Everything
else may be lost, and is asked again: tasks are announced until somebody claims them, allocations
are repeated until their worker is heard, leases lapse.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf

from gossipsub.chorus.tasks.deadlines import Deadlines
from gossipsub.chorus.tasks.effects import Effect, Say
from gossipsub.chorus.tasks.messages import (
    MAX_ERROR_LENGTH,
    Allocated,
    Announced,
    Claimed,
    Completed,
    Progressed,
    Said,
    Status,
)
from gossipsub.chorus.tasks.task import Task, TaskParams, TaskResult
from gossipsub.wire.errors import LocalProtocolError

MAX_UNHEARD = 64
"""Tasks that one agent may be given before it is heard of as their worker: one that claims all
there is and dies, or never meant to do anything, holds up no more."""
MAX_SHUNNED = 16
MAX_AT_ONCE = 2000
"""Deadlines that are looked at in one go; others wait a moment, since the program does too."""


@dataclass(slots=True)
class _OwnTask:
    """A task that is not completed."""

    task: Task
    is_open: bool = True
    """Waits for claims. A worker whose lease lapsed may still come back while it does."""
    attempt: int = 0
    """Of the last allocation; 0 before the first."""
    agent: str = ""
    """Whom it was last allocated to."""
    is_over: bool = False
    """The last attempt has ended by its worker's own word."""
    failures: int = 0
    is_heard: bool = True
    """The worker has reported since the allocation, or nobody has it."""
    repeats: int = 0
    """How often the announcement or the allocation was said again."""
    lease_until: float = 0.0
    ends_by: float = inf
    """Until when its worker may have it, whatever it reports."""
    shunned: dict[str, float] = field(default_factory=dict)
    """Agents that have had it, and until when they need not claim it again: others first."""
    answered_at: float = -inf


@dataclass(slots=True)
class _Verdict:
    """What is remembered of a completed task."""

    attempt: int
    answered_at: float = -inf


class Arbiter:
    """The own tasks of one agent."""

    def __init__(self, me: str, params: TaskParams, effects: list[Effect]) -> None:
        self._me = me
        self._params = params
        self._effects = effects
        self._tasks: dict[str, _OwnTask] = {}
        self._completed: dict[str, _Verdict] = {}
        self._unheard: dict[str, int] = {}
        """Of each agent, the tasks it was given and has not reported on."""
        self._deadlines: Deadlines[str] = Deadlines()
        self._unclaimed: deque[str] = deque()
        """Tasks whose turn it is to be announced again."""
        self._next_repeat = -inf

    # -- the application -------------------------------------------------------------------

    def announce(self, task: Task, *, now: float) -> bool:
        """False when it is known: announced before, or even completed."""
        if self.knows(task.task_id):
            return False
        if len(self._tasks) >= self._params.max_tasks:
            raise LocalProtocolError(f"{len(self._tasks)} tasks are under way already")
        own = self._tasks[task.task_id] = _OwnTask(task)
        self._announce(own, now, durable=True)
        return True

    def forget(self, task_id: str) -> None:
        """Its announcement could not be published: nobody has heard of it."""
        self._tasks.pop(task_id, None)
        self._deadlines.cancel(task_id)

    def withdraw(self, task_id: str) -> bool:
        """Complete it without a result; False when it is completed or not known."""
        own = self._tasks.get(task_id)
        if own is None:
            return False
        self._complete(own, Completed(task_id, TaskResult.WITHDRAWN, attempt=own.attempt))
        return True

    def knows(self, task_id: str) -> bool:
        return task_id in self._tasks or task_id in self._completed

    def is_open(self, task_id: str) -> bool:
        """It is announced and not completed."""
        return task_id in self._tasks

    def unfinished(self) -> int:
        return len(self._tasks)

    # -- from the log, after a restart -----------------------------------------------------

    def restore(self, said: Said) -> None:
        """Something this agent said in an earlier life, in the order of its log."""
        task_id = said.task_id
        if task_id in self._completed:
            return
        own = self._tasks.get(task_id)
        match said:
            case Announced():
                if own is None:
                    task = Task(
                        task_id=task_id,
                        description=said.description,
                        capabilities=said.capabilities,
                        input=said.input,
                    )
                    own = self._tasks[task_id] = _OwnTask(task)
                if said.attempt > own.attempt:
                    own.attempt, own.is_open, own.is_over = said.attempt - 1, True, True
                    own.failures = max(own.failures, said.failures)
            case Allocated() if own is not None and said.attempt > own.attempt:
                own.attempt, own.agent = said.attempt, said.agent
                own.is_open = own.is_over = False
                own.failures = max(own.failures, said.failures)
            case Completed():
                if own is not None:
                    self._note_heard(own)
                self.forget(task_id)
                self._remember(task_id, said.attempt)
            case _:
                pass

    def begin(self, *, now: float) -> None:
        """All is restored: take up where the earlier life ended."""
        for task_id, own in self._tasks.items():
            if own.is_open:
                self._unclaimed.append(task_id)
            else:
                # It may never have left this node; its worker, if it has one, answers.
                self._lend(own, now)
                self._deadlines.set(task_id, now)
        self._repeat_announcements(now)

    # -- what agents say -------------------------------------------------------------------

    def hear_claim(self, said: Claimed, *, now: float) -> None:
        if said.announcer not in ("", self._me):
            return
        own = self._tasks.get(said.task_id)
        if own is None:
            self._answer_completed(said.task_id, said.agent, said.attempt, now)
        elif not own.is_open or 0 < said.attempt <= own.attempt:
            return  # somebody has it, or the claim was meant for an earlier attempt
        elif now < own.shunned.get(said.agent, -inf):
            return
        elif self._unheard.get(said.agent, 0) < MAX_UNHEARD:
            self._allocate(own, said.agent, now)

    def hear_report(self, said: Progressed, sender: str, *, now: float) -> None:
        if said.announcer not in ("", self._me):
            return
        own = self._tasks.get(said.task_id)
        if own is None:
            self._answer_completed(said.task_id, sender, said.attempt, now)
            return
        attempt = said.attempt or own.attempt
        if sender != own.agent or attempt != own.attempt or own.is_over:
            if 0 < attempt <= own.attempt and said.status is not Status.DECLINED:
                self._answer_late(own, sender, attempt, now)
            return
        self._renew(own, now)
        match said.status:
            case Status.DONE:
                self._complete(
                    own,
                    Completed(said.task_id, TaskResult.SUCCESS, sender, attempt, said.output),
                )
            case Status.FAILED:
                own.is_over = True
                self._fail(own, said.error or "it failed without a reason", now, said.output)
            case Status.DECLINED:
                own.is_over = True
                self._reopen(own, now)

    def is_report(self, said: Completed, sender: str) -> bool:
        """Whether a worker without a board says by it what came of its work.

        With an attempt, or withdrawn, it is a board's own task that has the same id as ours.
        """
        if said.attempt or said.result == TaskResult.WITHDRAWN:
            return False
        own = self._tasks.get(said.task_id)
        return own is not None and sender == own.agent and sender != self._me

    # -- time ------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        turn = self._next_repeat if self._unclaimed else inf
        return min(turn, self._deadlines.next())

    def handle_timer(self, *, now: float) -> None:
        for _ in range(MAX_AT_ONCE):
            task_id = self._deadlines.pop_due(now)
            if task_id is None:
                break
            own = self._tasks[task_id]
            if own.is_open:
                self._unclaimed.append(task_id)
            elif now >= own.ends_by:
                own.is_over = True
                self._fail(own, f"it took longer than {self._params.time_limit:g} s", now)
            elif now >= own.lease_until:
                self._fail(own, "its worker was not heard of any more", now)
            else:
                if not own.is_heard:
                    # The first one may still wait for the log, where that is slow.
                    self._effects.append(Say(self._allocation(own), durable=True))
                self._await_report(own, now)
        self._repeat_announcements(now)

    # -- deciding --------------------------------------------------------------------------

    def _allocate(self, own: _OwnTask, agent: str, now: float) -> None:
        own.is_open = own.is_over = False
        own.attempt += 1
        own.agent = agent
        own.repeats = 0
        self._lend(own, now)
        self._effects.append(Say(self._allocation(own), durable=True))
        self._await_report(own, now)
        # Somebody has room: of many thousand tasks, workers have forgotten most.
        credited = self._next_repeat - 1 / self._params.announce_rate
        self._next_repeat = max(credited, now - 1.0)

    def _lend(self, own: _OwnTask, now: float) -> None:
        own.is_heard = False
        self._unheard[own.agent] = self._unheard.get(own.agent, 0) + 1
        own.lease_until = now + self._params.lease
        own.ends_by = own.lease_until + self._params.time_limit

    def _note_heard(self, own: _OwnTask) -> None:
        """Its worker has said something, or nothing is expected of it any more."""
        if own.is_heard:
            return
        own.is_heard = True
        self._unheard[own.agent] -= 1
        if not self._unheard[own.agent]:
            del self._unheard[own.agent]

    def _fail(self, own: _OwnTask, error: str, now: float, output: object = None) -> None:
        own.failures += 1
        if own.failures >= self._params.max_failures:
            task_id = own.task.task_id
            self._complete(
                own, Completed(task_id, TaskResult.FAILED, own.agent, own.attempt, output, error)
            )
        else:
            self._reopen(own, now)

    def _reopen(self, own: _OwnTask, now: float) -> None:
        own.is_open = True
        own.repeats = 0
        self._note_heard(own)
        # For longer than others wait when one of these claims it before them.
        own.shunned.pop(own.agent, None)
        own.shunned[own.agent] = now + 3 * self._params.retry_interval
        if len(own.shunned) > MAX_SHUNNED:
            del own.shunned[next(iter(own.shunned))]
        self._announce(own, now)

    def _renew(self, own: _OwnTask, now: float) -> None:
        if own.is_open:  # the lease had lapsed, and nobody else has the task yet
            own.is_open = False
            own.failures -= 1
        self._note_heard(own)
        own.lease_until = min(now + self._params.lease, own.ends_by)
        self._await_report(own, now)

    def _complete(self, own: _OwnTask, completed: Completed) -> None:
        task_id = own.task.task_id
        self._note_heard(own)
        del self._tasks[task_id]
        self._deadlines.cancel(task_id)
        self._remember(task_id, own.attempt)
        self._effects.append(Say(completed, durable=True))

    def complete_without_output(self, said: Completed, error: str) -> None:
        """The completion could not be published as it was, so nobody has heard of it: leave out
        what its worker has put into it."""
        why = error[:MAX_ERROR_LENGTH]
        bare = Completed(said.task_id, TaskResult.FAILED, said.agent, said.attempt, error=why)
        self._effects.append(Say(bare, durable=True, is_bare=True))

    def _remember(self, task_id: str, attempt: int) -> None:
        if len(self._completed) >= self._params.max_tasks:
            del self._completed[next(iter(self._completed))]
        self._completed[task_id] = _Verdict(attempt)

    # -- saying ----------------------------------------------------------------------------

    def _announce(self, own: _OwnTask, now: float, *, durable: bool = False) -> None:
        task = own.task
        announced = Announced(
            task.task_id,
            task.description,
            task.capabilities,
            task.input,
            own.attempt + 1,
            own.failures,
        )
        self._effects.append(Say(announced, durable))
        wait = self._params.announce_interval * 2 ** min(own.repeats, 20)
        self._deadlines.set(task.task_id, now + min(wait, self._params.max_retry_interval))

    def _repeat_announcements(self, now: float) -> None:
        """As many as the rate allows: ten thousand tasks that nobody claims must not be heard
        more than ten."""
        while self._unclaimed and now >= self._next_repeat:
            own = self._tasks.get(self._unclaimed.popleft())
            if own is None or not own.is_open:
                continue
            own.repeats += 1
            self._announce(own, now)
            self._next_repeat = max(self._next_repeat, now - 1.0) + 1 / self._params.announce_rate

    def _allocation(self, own: _OwnTask) -> Allocated:
        return Allocated(own.task.task_id, own.agent, own.attempt, self._params.lease, own.failures)

    def _await_report(self, own: _OwnTask, now: float) -> None:
        until = own.lease_until
        if not own.is_heard:
            wait = self._params.retry_interval * 2 ** min(own.repeats, 20)
            own.repeats += 1
            until = min(until, now + min(wait, self._params.max_retry_interval))
        self._deadlines.set(own.task.task_id, until)

    def _answer_completed(self, task_id: str, agent: str, attempt: int, now: float) -> None:
        verdict = self._completed.get(task_id)
        if verdict is None or now < verdict.answered_at + self._params.retry_interval:
            return
        verdict.answered_at = now
        self._say_closed(task_id, agent, max(attempt, verdict.attempt))

    def _answer_late(self, own: _OwnTask, agent: str, attempt: int, now: float) -> None:
        if now >= own.answered_at + self._params.retry_interval:
            own.answered_at = now
            self._say_closed(own.task.task_id, agent, attempt)

    def _say_closed(self, task_id: str, agent: str, attempt: int) -> None:
        closed = Progressed(task_id, self._me, attempt, Status.CLOSED, agent=agent)
        self._effects.append(Say(closed))
