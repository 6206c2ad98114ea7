"""An agent's task board on CHORUS: what is said reaches it, what it wants is done."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import anyio
from anyio.abc import TaskGroup

from gossipsub.cancellation import is_task_cancelled
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.errors import EventLogFailed, RedactionFailed
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.chorus.tasks.board import TaskBoard
from gossipsub.chorus.tasks.effects import Finished, Say, Start, Stop, TaskKey
from gossipsub.chorus.tasks.messages import MESSAGE_TYPES, Announced, Completed
from gossipsub.chorus.tasks.task import Job, Task, TaskFailed, TaskOutcome, TaskParams
from gossipsub.chorus.tasks.work import Work
from gossipsub.chorus.tasks.worker import Accept
from gossipsub.wake import Wake
from gossipsub.wire.errors import GossipSubError, LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.tasks")

PUBLISHING_AT_ONCE = 32
"""Messages that wait together until the log is durable: it writes them in groups."""
MAX_WAITING = 16_384
"""Messages that wait to be published, beside those that the log must have first. Further ones are
lost: what they say is said again."""
GOODBYE_SECONDS = 2.0
"""How long handing back unfinished work may take."""


CarryOut = Callable[[Work], Awaitable[object]]
"""Does the work and returns its output, as JSON can hold it. TaskFailed says that it cannot be
done; any other exception is logged and counts as the same. It is cancelled when the task is
no longer this agent's."""

OnOutcome = Callable[[TaskOutcome], None]
"""Told of every task that was completed, of this agent and of others. It must be quick."""


class LoggedEntry(Protocol):
    """An entry of an event log, as far as a board looks at it."""

    @property
    def message_type(self) -> str: ...

    @property
    def data(self) -> Mapping[str, object]: ...


@runtime_checkable
class ReplayableLog(Protocol):
    """An event log whose entries can be read again, as those of this package."""

    def entries(self, *, author: str) -> AsyncIterator[LoggedEntry]: ...


@dataclass(slots=True)
class _Announcement:
    """Somebody waits until it is published."""

    over: anyio.Event = field(default_factory=anyio.Event)
    error: GossipSubError | None = None


class TaskRunner:
    """Announces tasks that are completed exactly once, and carries out those of others.

    `async with TaskRunner(chorus, carry_out=work) as runner:` inside the `async with` of `chorus`,
    once on each. Without `carry_out` it only announces. `capabilities` are what it can do,
    `capacity` how many tasks it carries out at once; `accept` may turn tasks down. `on_outcome`
    hears of completed tasks, those of this agent's earlier lives included.

    With an event log that can be read again (`EventLog`), tasks survive this process: what was
    announced goes on when the agent is opened again with the same key and log. EventLogFailed out
    of the `async with` means that the log takes nothing: then nothing may be decided.

    Leaving stops what is being carried out and hands it back.
    """

    def __init__(
        self,
        chorus: ChorusPubSub,
        *,
        carry_out: CarryOut | None = None,
        capabilities: Sequence[str] = (),
        capacity: int = 1,
        accept: Accept | None = None,
        on_outcome: OnOutcome | None = None,
        params: TaskParams | None = None,
    ) -> None:
        for function in (carry_out, accept, on_outcome):
            if function is not None and not callable(function):
                raise LocalProtocolError(f"not a function: {type(function).__name__}")
        if carry_out is not None and capacity < 1:
            raise LocalProtocolError(f"capacity is at least 1: {capacity}")
        self._chorus = chorus
        self._carry_out = carry_out
        self._accept = accept
        self._on_outcome = on_outcome
        self._params = params or TaskParams()
        self._me = str(chorus.host.peer_id)
        self._board = TaskBoard(
            self._me,
            capabilities=tuple(capabilities),
            capacity=capacity if carry_out else 0,
            params=self._params,
            accept=self._accepts,
        )
        self._topics = (chorus.coordination_topic, chorus.hmmm_topic)
        self._slots = anyio.Semaphore(max(1, capacity))
        """Work that was stopped may take its time to end."""
        self._to_say: deque[Say] = deque()
        self._to_announce: deque[Say] = deque()
        """New tasks, which may be thousands: leases and decisions do not wait for them."""
        self._speaking = Wake()
        self._timing = Wake()
        self._limit = anyio.Semaphore(PUBLISHING_AT_ONCE)
        self._scopes: dict[tuple[TaskKey, int], anyio.CancelScope] = {}
        self._announcements: dict[str, _Announcement] = {}
        self._deciding = 0
        """Completions that are on their way into the log."""
        self._changed = anyio.Event()
        self._failure: GossipSubError | None = None
        self._tasks: TaskGroup | None = None

    # -- life ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise LocalProtocolError("it is opened once; make another")
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        self._tasks = tasks
        try:
            await self._restore()
        except BaseException:
            await tasks.__aexit__(None, None, None)
            raise
        self._chorus.add_observer(self._observe)
        tasks.start_soon(self._speak)
        tasks.start_soon(self._keep_time)
        self._board.begin(now=anyio.current_time())
        self._perform()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tasks = self._running()
        self._chorus.remove_observer(self._observe)
        if error is None:
            tasks.cancel_scope.cancel()
        try:
            await tasks.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            if group.exceptions != (error,):
                raise
            # The error of the `async with` itself goes on as it is.
        finally:
            await self._hand_back()
        if self._failure is not None:
            raise self._failure

    async def _restore(self) -> None:
        """What this agent has said in earlier lives, as its log has it."""
        log = self._chorus.get_hypercore_log()
        if log is None or not isinstance(log, ReplayableLog):
            return
        try:
            await log.flush()  # the life before may have ended a moment ago
        except Exception as error:
            raise EventLogFailed(f"the event log could not be flushed: {error}") from error
        async for entry in log.entries(author=self._me):
            if entry.message_type in MESSAGE_TYPES:
                data = entry.data.get("data")
                if isinstance(data, Mapping):
                    self._board.restore(entry.message_type, data)
                    self._perform()

    async def _hand_back(self) -> None:
        """Say what is still to be said, and that others may have what is carried out here."""
        self._board.hand_back()
        self._to_say.extend(effect for effect in self._board.effects() if isinstance(effect, Say))
        with anyio.move_on_after(GOODBYE_SECONDS, shield=True):
            for say in self._to_say:
                if say.durable:
                    continue  # nothing is decided any more
                try:
                    await self._chorus.publish(say.message)
                except GossipSubError as error:
                    logger.debug("not said on leaving why=%s", error)
                    return

    # -- own tasks -------------------------------------------------------------------------

    async def announce(self, *tasks: Task) -> None:
        """Have each carried out once, by whoever can. Those whose id is known from before, even
        from an earlier life, are left as they are.

        Returns when they are announced, and durable where there is an event log: from then on they
        are completed even if this process dies, once it is opened again. LocalProtocolError for a
        task that cannot be published; the others are announced.
        """
        self._require_running()
        waiting: list[_Announcement] = []
        try:
            for task in tasks:
                if self._board.announce(task, now=anyio.current_time()):
                    self._announcements[task.task_id] = _Announcement()
                known = self._announcements.get(task.task_id)
                if known is not None:
                    waiting.append(known)
        finally:
            self._perform()
        for announcement in waiting:
            await announcement.over.wait()
        for announcement in waiting:
            if announcement.error is not None:
                raise announcement.error

    def withdraw(self, task_id: str) -> bool:
        """Complete an own task as withdrawn, whoever is at it; False when it is not known or
        completed already."""
        self._require_running()
        is_withdrawn = self._board.withdraw(task_id)
        self._perform()
        return is_withdrawn

    def unfinished(self) -> int:
        """Own tasks that are not completed for good."""
        return self._board.unfinished() + self._deciding

    async def wait_until_done(self, *, timeout: float) -> None:
        """Return when all own tasks are completed; TimeoutError after `timeout` seconds."""
        self._require_running()
        with anyio.fail_after(timeout):
            while self.unfinished():
                await self._changed.wait()

    @property
    def busy(self) -> int:
        """Tasks of anybody that are being carried out or claimed here."""
        return self._board.busy

    # -- hearing and saying ----------------------------------------------------------------

    def _observe(self, delivery: Delivery) -> None:
        envelope = delivery.envelope
        if delivery.is_own and not delivery.is_caught_up:
            return  # own messages are heard when they have been published
        if envelope.type not in MESSAGE_TYPES or delivery.topic not in self._topics:
            return
        self._board.hear(
            envelope.type,
            envelope.data,
            envelope.from_peer,
            now=anyio.current_time(),
            size_bytes=len(delivery.signed.data),
            is_caught_up=delivery.is_caught_up,
        )
        self._perform()

    def _perform(self) -> None:
        for effect in self._board.effects():
            match effect:
                case Say(durable=True, message=Announced()):
                    self._to_announce.append(effect)
                    self._speaking.set()
                case Say():
                    if effect.durable or len(self._to_say) < MAX_WAITING:
                        self._to_say.append(effect)
                    self._deciding += isinstance(effect.message, Completed)
                    self._speaking.set()
                case Start(job):
                    self._start(job)
                case Stop(key, attempt):
                    scope = self._scopes.get((key, attempt))
                    if scope is not None:
                        scope.cancel()
                case Finished(outcome):
                    self._tell(outcome)
        self._timing.set()

    async def _speak(self) -> None:
        while True:
            await self._speaking.wait()
            while self._to_say or self._to_announce:
                say = (self._to_say or self._to_announce).popleft()
                if say.durable:
                    await self._limit.acquire()
                    self._running().start_soon(self._publish_durably, say)
                else:
                    await self._publish(say)

    async def _publish_durably(self, say: Say) -> None:
        try:
            await self._publish(say)
        finally:
            self._limit.release()

    async def _publish(self, say: Say) -> None:
        message = say.message
        log_first = say.durable and self._chorus.get_hypercore_log() is not None
        error: GossipSubError | None = None
        try:
            await self._chorus.publish(message, log_first=log_first)
        except (LocalProtocolError, RedactionFailed) as failure:
            error = failure
        except EventLogFailed as failure:
            self._fail(failure)
            return
        now = anyio.current_time()
        if error is None:
            self._board.hear(message.message_type, message.to_data(), self._me, now=now)
        elif self._board.unpublishable(say, str(error), now=now):
            logger.warning("not published type=%s why=%s", message.message_type, error)
        else:
            self._fail(error)
            return
        if isinstance(message, Completed):
            self._deciding -= 1
        self._perform()
        if isinstance(message, Announced):
            announcement = self._announcements.pop(message.task_id, None)
            if announcement is not None:
                announcement.error = error
                announcement.over.set()
        if not self.unfinished():
            changed, self._changed = self._changed, anyio.Event()
            changed.set()

    def _fail(self, error: GossipSubError) -> None:
        """Nothing more can be decided here: end the `async with`, with this error."""
        if self._failure is None:
            self._failure = error
        self._running().cancel_scope.cancel()

    async def _keep_time(self) -> None:
        while True:
            with anyio.CancelScope(deadline=self._board.next_deadline()):
                await self._timing.wait()
            self._board.handle_timer(now=anyio.current_time())
            if self._board.has_effects:
                self._perform()

    # -- working ---------------------------------------------------------------------------

    def _start(self, job: Job) -> None:
        key = (job.announcer, job.task.task_id)
        scope = self._scopes[key, job.attempt] = anyio.CancelScope()
        self._running().start_soon(self._work, key, job, scope)

    async def _work(self, key: TaskKey, job: Job, scope: anyio.CancelScope) -> None:
        def report(progress: float, message: str) -> None:
            now = anyio.current_time()
            self._board.report(key, job.attempt, progress, message, now=now)
            self._perform()

        error, output = "", None
        try:
            with scope, anyio.fail_after(self._params.time_limit):
                error, output = await self._try(Work(job, report))
        except TimeoutError:
            error = f"it took longer than {self._params.time_limit:g} s"
        finally:
            if self._scopes.get((key, job.attempt)) is scope:
                del self._scopes[key, job.attempt]
        if scope.cancelled_caught:
            return
        now = anyio.current_time()
        if error:
            self._board.fail(key, job.attempt, error, now=now)
        else:
            self._board.finish(key, job.attempt, output, now=now)
        self._perform()

    async def _try(self, work: Work) -> tuple[str, object]:
        """What went wrong, and what came out."""
        if self._carry_out is None:
            return "it takes no tasks", None
        try:
            async with self._slots:
                output = self._carry_out(work)
                if not isinstance(output, Awaitable):
                    logger.error("carry_out is no async function type=%s", type(output).__name__)
                    return "its agent cannot carry out anything: carry_out is not async", None
                return "", await output
        except TaskFailed as failure:
            return str(failure) or "it failed", None
        except Exception as failure:
            logger.exception("a task could not be carried out task=%r", work.task_id)
            return f"{type(failure).__name__}: {failure}", None
        except anyio.get_cancelled_exc_class():
            if is_task_cancelled():
                raise
            logger.exception("a task could not be carried out task=%r", work.task_id)
            return "something it waited for was cancelled", None

    # -- the application's functions -------------------------------------------------------

    def _accepts(self, task: Task, announcer: str) -> bool:
        if self._accept is None:
            return True
        try:
            return bool(self._accept(task, announcer))
        except Exception:
            logger.exception("accept failed task=%r", task.task_id)
            return False

    def _tell(self, outcome: TaskOutcome) -> None:
        if self._on_outcome is None:
            return
        try:
            self._on_outcome(outcome)
        except Exception:
            logger.exception("on_outcome failed task=%r", outcome.task_id)

    # -- inside ----------------------------------------------------------------------------

    def _running(self) -> TaskGroup:
        if self._tasks is None:
            raise LocalProtocolError("open it first: async with TaskRunner(chorus) as runner")
        return self._tasks

    def _require_running(self) -> None:
        self._running()
