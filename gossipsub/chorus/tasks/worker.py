"""The worker's part: claims tasks it can do, and tells their announcers what came of them.

So that not everybody claims everything, each agent waits a time of its own for each task, drawn
from both their names, and leaves a task alone for a while when it hears another claim it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from gossipsub.chorus.tasks.deadlines import Deadlines
from gossipsub.chorus.tasks.effects import Effect, Say, Start, Stop, TaskKey
from gossipsub.chorus.tasks.messages import (
    MAX_ATTEMPT,
    Allocated,
    Announced,
    Claimed,
    Progressed,
    Status,
)
from gossipsub.chorus.tasks.task import Job, Task, TaskParams

MAX_CLAIMS = 5
"""How often a task is claimed in vain before it is left until it is announced again."""
MAX_REPORTS = 256
"""Results that wait to be confirmed; beyond, the oldest is given up."""
MAX_CLOSED = 16384
"""Tasks remembered as taken or completed, so that old announcements are known as such."""

Accept = Callable[[Task, str], bool]
"""Takes a task and the agent that announced it; whether this agent wants to do it."""


@dataclass(slots=True)
class _Offer:
    """A task that is open, as far as is known here."""

    task: Task
    attempt: int
    """The one that would be allocated."""
    claims: int = 0
    """How often it was claimed by this agent; 0 while it only may be."""


@dataclass(slots=True)
class _Attempt:
    """A task allocated to this agent."""

    job: Job
    progress: float = 0.0
    message: str = ""
    result: Progressed | None = None
    """What came of it; None while it is carried out."""
    repeats: int = 0
    give_up_at: float = 0.0


class Worker:
    """What one agent does for others, and for itself."""

    def __init__(
        self,
        me: str,
        params: TaskParams,
        effects: list[Effect],
        *,
        capabilities: tuple[str, ...],
        capacity: int,
        accept: Accept,
    ) -> None:
        self._me = me
        self._params = params
        self._effects = effects
        self._capabilities = frozenset(capabilities)
        self._capacity = capacity
        self._accept = accept
        self._offers: dict[TaskKey, _Offer] = {}
        self._ready: dict[TaskKey, None] = {}
        """Offers whose time has come, while there was no room."""
        self._attempts: dict[TaskKey, _Attempt] = {}
        self._busy = 0
        """Attempts being carried out, and claims that may become such."""
        self._unconfirmed: dict[TaskKey, None] = {}
        self._closed: dict[TaskKey, int] = {}
        """The highest attempt that is taken or over."""
        self._deadlines: Deadlines[TaskKey] = Deadlines()

    @property
    def busy(self) -> int:
        return self._busy

    # -- what announcers say ---------------------------------------------------------------

    def hear_announcement(
        self, said: Announced, announcer: str, *, now: float, delay: float = 0.0
    ) -> None:
        key = (announcer, said.task_id)
        if not self._capacity or said.attempt <= self._closed.get(key, 0):
            return
        attempt = self._attempts.get(key)
        if attempt is not None:
            if said.attempt <= attempt.job.attempt:
                return
            if attempt.result is None or attempt.result.status is Status.DONE:
                # Its lease has lapsed; it may be in time yet.
                self._report(key, attempt, now)
                return
            self._end(key)
        offer = self._offers.get(key)
        if offer is not None:
            if said.attempt > offer.attempt:
                self._withdraw(key)
            else:
                return
        if not self._capabilities.issuperset(said.capabilities):
            return
        task = Task(
            task_id=said.task_id,
            description=said.description,
            capabilities=said.capabilities,
            input=said.input,
        )
        if not self._accept(task, announcer):
            return
        self._make_room(announcer)
        self._offers[key] = _Offer(task, said.attempt)
        self._deadlines.set(key, now + delay + self._own_delay(key, said.attempt))

    def hear_claim(self, said: Claimed, *, now: float) -> None:
        """Somebody else is first: wait whether the task is given to it."""
        key = (said.announcer, said.task_id)
        offer = self._offers.get(key)
        if offer is not None and not offer.claims:
            self._ready.pop(key, None)
            patience = 2 * self._params.retry_interval
            self._deadlines.set(key, now + patience + self._own_delay(key, offer.attempt))

    def hear_allocation(
        self, said: Allocated, announcer: str, *, now: float, is_old: bool = False
    ) -> None:
        key = (announcer, said.task_id)
        if said.agent != self._me:
            self._close(key, said.attempt, now)
        elif is_old:
            return  # if it still holds, the announcer says it again
        elif (attempt := self._attempts.get(key)) is not None and (
            said.attempt <= attempt.job.attempt
        ):
            if said.attempt == attempt.job.attempt:
                self._report(key, attempt, now)
        elif said.attempt > self._closed.get(key, 0):
            self._take(key, said, now)

    def hear_closed(self, said: Progressed, announcer: str, *, now: float) -> None:
        if said.agent == self._me:
            self._close((announcer, said.task_id), said.attempt, now)

    def hear_completion(self, announcer: str, task_id: str, *, now: float) -> bool:
        """False when it was heard before."""
        key = (announcer, task_id)
        if self._closed.get(key) == MAX_ATTEMPT:
            return False
        self._close(key, MAX_ATTEMPT, now)
        return True

    # -- what comes of the work ------------------------------------------------------------

    def report(self, key: TaskKey, attempt: int, progress: float, message: str, now: float) -> None:
        """Between times; nothing happens when the attempt is no longer wanted."""
        mine = self._running(key, attempt)
        if mine is not None:
            mine.progress, mine.message = progress, message
            self._report(key, mine, now)

    def finish(self, key: TaskKey, attempt: int, output: object, now: float) -> None:
        result = Progressed(key[1], key[0], attempt, Status.DONE, 1.0, output=output)
        self._conclude(key, attempt, result, now)

    def fail(self, key: TaskKey, attempt: int, error: str, now: float) -> None:
        result = Progressed(key[1], key[0], attempt, Status.FAILED, error=error)
        self._conclude(key, attempt, result, now)

    def refuse_output(self, said: Progressed, error: str, now: float) -> None:
        """The result could not be published: it becomes a failure."""
        mine = self._attempts.get((said.announcer, said.task_id))
        if mine is not None and mine.result == said:
            mine.result = Progressed(
                said.task_id, said.announcer, said.attempt, Status.FAILED, error=error
            )
            self._report((said.announcer, said.task_id), mine, now)

    def _conclude(self, key: TaskKey, attempt: int, result: Progressed, now: float) -> None:
        mine = self._running(key, attempt)
        if mine is None:
            return
        mine.result = result
        mine.give_up_at = now + self._params.give_up_after
        self._busy -= 1
        self._unconfirmed[key] = None
        if len(self._unconfirmed) > MAX_REPORTS:
            self._end(next(iter(self._unconfirmed)))
        self._report(key, mine, now)
        self._fill(now)

    def hand_back(self) -> None:
        for key, mine in list(self._attempts.items()):
            if mine.result is None:
                attempt = mine.job.attempt
                self._effects.append(Say(Progressed(key[1], key[0], attempt, Status.DECLINED)))
                self._end(key)

    # -- time ------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        return self._deadlines.next()

    def handle_timer(self, *, now: float) -> None:
        while (key := self._deadlines.pop_due(now)) is not None:
            mine = self._attempts.get(key)
            offer = self._offers.get(key)
            if mine is not None:
                if mine.result is not None and now >= mine.give_up_at:
                    self._end(key)
                else:
                    self._report(key, mine, now)
            elif offer is None:
                continue
            elif offer.claims >= MAX_CLAIMS:
                self._withdraw(key)
            elif offer.claims:
                self._claim(key, offer, now)
            else:
                self._ready[key] = None
        self._fill(now)

    # -- claiming --------------------------------------------------------------------------

    def _fill(self, now: float) -> None:
        while self._ready and self._busy < self._capacity:
            key = next(iter(self._ready))
            del self._ready[key]
            self._busy += 1
            self._claim(key, self._offers[key], now)

    def _claim(self, key: TaskKey, offer: _Offer, now: float) -> None:
        wait = self._params.retry_interval * 2**offer.claims
        offer.claims += 1
        self._effects.append(Say(Claimed(key[1], self._me, key[0], offer.attempt)))
        self._deadlines.set(key, now + min(wait, self._params.max_retry_interval))

    def _withdraw(self, key: TaskKey) -> None:
        """Forget an offer, claimed or not."""
        offer = self._offers.pop(key, None)
        if offer is not None:
            self._busy -= 1 if offer.claims else 0
            self._ready.pop(key, None)
            self._deadlines.cancel(key)

    def _make_room(self, announcer: str) -> None:
        """The announcer with most open tasks loses its oldest: one cannot drive out the others."""
        if len(self._offers) < self._params.max_offers:
            return
        counts: dict[str, int] = {}
        for owner, _ in self._offers:
            counts[owner] = counts.get(owner, 0) + 1
        most = max(counts, key=lambda owner: (counts[owner], owner == announcer))
        self._withdraw(next(key for key in self._offers if key[0] == most))

    def _own_delay(self, key: TaskKey, attempt: int) -> float:
        if not self._params.claim_spread:
            return 0.0
        digest = blake2b(f"{self._me}\n{key[0]}\n{attempt}\n{key[1]}".encode(), digest_size=4)
        return self._params.claim_spread * int.from_bytes(digest.digest(), "big") / 2**32

    # -- working ---------------------------------------------------------------------------

    def _take(self, key: TaskKey, said: Allocated, now: float) -> None:
        self._end(key)  # an earlier attempt, where there is one
        offer = self._offers.get(key)
        has_room = offer is not None and (offer.claims > 0 or self._busy < self._capacity)
        if offer is None or not has_room:
            declined = Progressed(said.task_id, key[0], said.attempt, Status.DECLINED)
            self._effects.append(Say(declined))
            return
        self._withdraw(key)
        self._busy += 1
        job = Job(offer.task, key[0], said.attempt, said.lease)
        self._attempts[key] = _Attempt(job)
        self._effects.append(Start(job))
        # The first report tells that the allocation has arrived, and is saved where the work is
        # done before the allocation would be repeated.
        self._deadlines.set(key, now + min(said.lease / 3, self._params.retry_interval / 2))

    def _report(self, key: TaskKey, mine: _Attempt, now: float) -> None:
        """Tell how it stands, and when to tell it again."""
        if mine.result is None:
            attempt = mine.job.attempt
            progressed = Progressed(
                key[1], key[0], attempt, Status.WORKING, mine.progress, mine.message
            )
            wait = mine.job.lease / 3
        else:
            progressed = mine.result
            wait = self._params.retry_interval * 2 ** min(mine.repeats, 20)
            mine.repeats += 1
        self._effects.append(Say(progressed))
        self._deadlines.set(key, now + min(wait, self._params.max_retry_interval))

    def _running(self, key: TaskKey, attempt: int) -> _Attempt | None:
        mine = self._attempts.get(key)
        is_it = mine is not None and mine.job.attempt == attempt and mine.result is None
        return mine if is_it else None

    def _end(self, key: TaskKey) -> None:
        """Forget an attempt; one being carried out is stopped."""
        mine = self._attempts.pop(key, None)
        if mine is None:
            return
        self._deadlines.cancel(key)
        self._unconfirmed.pop(key, None)
        if mine.result is None:
            self._busy -= 1
            self._effects.append(Stop(key, mine.job.attempt))

    def _close(self, key: TaskKey, attempt: int, now: float) -> None:
        """This attempt and those before it are nothing to do here any more."""
        if attempt > self._closed.get(key, 0):
            self._closed.pop(key, None)
            if len(self._closed) >= MAX_CLOSED:
                del self._closed[next(iter(self._closed))]
            self._closed[key] = attempt
        mine = self._attempts.get(key)
        if mine is not None and mine.job.attempt <= attempt:
            self._end(key)
        offer = self._offers.get(key)
        if offer is not None and offer.attempt <= attempt:
            self._withdraw(key)
        self._fill(now)
