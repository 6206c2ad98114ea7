"""One agent's view of tasks: those it announced and decides on, those it can do.

A machine without I/O: inputs take `now` in monotonic seconds, `effects()` is what to do.
"""

from __future__ import annotations

from collections.abc import Mapping

from gossipsub.chorus.tasks.arbiter import Arbiter
from gossipsub.chorus.tasks.effects import Effect, Finished, Say, TaskKey
from gossipsub.chorus.tasks.messages import (
    Allocated,
    Announced,
    Claimed,
    Completed,
    Progressed,
    Said,
    Status,
    read,
)
from gossipsub.chorus.tasks.task import (
    Task,
    TaskOutcome,
    TaskParams,
    TaskResult,
    checked_capabilities,
)
from gossipsub.chorus.tasks.worker import Accept, Worker
from gossipsub.wire.errors import LocalProtocolError

_RESULTS = {result.value: result for result in TaskResult}
MAX_CAPACITY = 10_000


class TaskBoard:
    """Driven by what agents say, by the application, and by time.

    After any input: perform `effects()`, then arm a timer for `next_deadline()`. Each `Say` is
    published and then given to `hear`, as something said by this agent. A board of an agent that
    has a past is given it by `restore`, message by message, and then told to `begin`.

    `me` is the peer id in text. With `capacity` 0 it takes no tasks. `accept` chooses among those
    it is capable of; it must be quick and raise nothing.
    """

    def __init__(
        self,
        me: str,
        *,
        capabilities: tuple[str, ...] = (),
        capacity: int = 1,
        params: TaskParams | None = None,
        accept: Accept | None = None,
    ) -> None:
        if type(capacity) is not int or not 0 <= capacity <= MAX_CAPACITY:
            raise LocalProtocolError(f"capacity is a whole number from 0 to {MAX_CAPACITY}")
        self._me = me
        self._params = params or TaskParams()
        self._effects: list[Effect] = []
        self._arbiter = Arbiter(me, self._params, self._effects)
        self._worker = Worker(
            me,
            self._params,
            self._effects,
            capabilities=checked_capabilities(capabilities),
            capacity=capacity,
            accept=accept or _everything,
        )

    # -- own tasks -------------------------------------------------------------------------

    def announce(self, task: Task, *, now: float) -> bool:
        """Have it carried out once; False when its id is known from before, whatever became of it.

        LocalProtocolError when `max_tasks` are under way.
        """
        return self._arbiter.announce(task, now=now)

    def withdraw(self, task_id: str) -> bool:
        """Complete it as withdrawn; False when it is none of ours, or completed already."""
        return self._arbiter.withdraw(task_id)

    def knows(self, task_id: str) -> bool:
        """Whether a task of this id was announced here."""
        return self._arbiter.knows(task_id)

    def unfinished(self) -> int:
        """Own tasks that are not completed."""
        return self._arbiter.unfinished()

    @property
    def busy(self) -> int:
        """Tasks that are being carried out or claimed here."""
        return self._worker.busy

    # -- what is said ----------------------------------------------------------------------

    def restore(self, kind: str, data: Mapping[str, object] | None) -> None:
        """What this agent said in an earlier life, in the order of its log, before all else."""
        said = read(kind, data, self._me)
        if said is None:
            return
        self._arbiter.restore(said)
        if isinstance(said, Completed):
            self._hear_completed(said, self._me, 0.0)

    def begin(self, *, now: float) -> None:
        """Take up where the earlier life ended."""
        self._arbiter.begin(now=now)

    def hear(
        self,
        kind: str,
        data: Mapping[str, object] | None,
        sender: str,
        *,
        now: float,
        size_bytes: int = 0,
        is_caught_up: bool = False,
    ) -> None:
        """A message signed by `sender`, who may be this agent; never raises for what it says.

        `size_bytes` is what it took on the wire, `is_caught_up` where it may be old.
        """
        said = read(kind, data, sender)
        if said is not None:
            self._hear(said, sender, now, size_bytes, is_caught_up)

    def _hear(
        self, said: Said, sender: str, now: float, size_bytes: int, is_caught_up: bool
    ) -> None:
        match said:
            case Announced():
                # Its completion may be on its way, from the same log.
                delay = self._params.announce_interval / 2 if is_caught_up else 0.0
                self._worker.hear_announcement(
                    said, sender, now=now, size_bytes=size_bytes, delay=delay
                )
            case Claimed() if not is_caught_up:
                if sender != self._me:
                    self._worker.hear_claim(said, now=now)
                self._arbiter.hear_claim(said, now=now)
            case Allocated():
                self._worker.hear_allocation(said, sender, now=now, is_old=is_caught_up)
            case Progressed(status=Status.CLOSED):
                self._worker.hear_closed(said, sender, now=now)
            case Progressed():
                self._arbiter.hear_report(said, sender, now=now)
            case Completed() if self._arbiter.is_report(said, sender):
                is_done = said.result == TaskResult.SUCCESS
                report = Progressed(
                    said.task_id,
                    self._me,
                    said.attempt,
                    Status.DONE if is_done else Status.FAILED,
                    output=said.output,
                    error=said.error,
                )
                self._arbiter.hear_report(report, sender, now=now)
            case Completed():
                if sender == self._me:
                    # Mostly known; news where others' logs have what ours has lost.
                    self._arbiter.restore(said)
                self._hear_completed(said, sender, now)
            case _:
                pass

    def _hear_completed(self, said: Completed, announcer: str, now: float) -> None:
        if self._worker.hear_completion(announcer, said.task_id, now=now):
            result = _RESULTS.get(said.result, said.result)
            self._effects.append(
                Finished(
                    TaskOutcome(
                        said.task_id,
                        announcer,
                        result,
                        said.output,
                        said.agent,
                        said.attempt,
                        said.error,
                    )
                )
            )

    # -- what comes of the work ------------------------------------------------------------

    def report(
        self, key: TaskKey, attempt: int, progress: float, message: str = "", *, now: float
    ) -> None:
        """Between times; the lease is renewed anyhow."""
        self._worker.report(key, attempt, progress, message, now)

    def finish(self, key: TaskKey, attempt: int, output: object, *, now: float) -> None:
        """It is done; `output` is repeated until the announcer confirms it."""
        self._worker.finish(key, attempt, output, now)

    def fail(self, key: TaskKey, attempt: int, error: str, *, now: float) -> None:
        """It cannot be done here."""
        self._worker.fail(key, attempt, error, now)

    def unpublishable(self, say: Say, error: str, *, now: float) -> bool:
        """A `Say` could not be published: it is too large, say, or a redactor has failed.

        What is repeated anyhow is left to that. False when there is nothing else that could be
        said and something was to be decided.
        """
        match say.message:
            case Announced() if say.durable:
                self._arbiter.forget(say.message.task_id)
            case Progressed(status=Status.DONE):
                self._worker.refuse_output(say.message, error, now)
            case Completed(result=result) if result != TaskResult.WITHDRAWN and not say.is_bare:
                self._arbiter.complete_without_output(say.message, error)
            case _:
                return not say.durable
        return True

    def hand_back(self) -> None:
        """This agent leaves: what it carries out is for others."""
        self._worker.hand_back()

    # -- time ------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When `handle_timer` has something to do; infinity for never."""
        return min(self._arbiter.next_deadline(), self._worker.next_deadline())

    def handle_timer(self, *, now: float) -> None:
        """Early calls are harmless, late ones catch up."""
        self._arbiter.handle_timer(now=now)
        self._worker.handle_timer(now=now)

    @property
    def has_effects(self) -> bool:
        return bool(self._effects)

    def effects(self) -> list[Effect]:
        """What the inputs caused, in their order; each is given out once."""
        drained = self._effects[:]
        self._effects.clear()
        return drained


def _everything(task: Task, announcer: str) -> bool:
    return True
