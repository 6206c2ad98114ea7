"""The worker's part: claims tasks it can do, and tells their announcers what came of them.

So that not everybody claims everything, each agent waits a time of its own for each task, drawn
from both their names, and leaves a task alone for a while when it hears another claim it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from math import inf

from gossipsub.chorus.tasks.deadlines import Deadlines
from gossipsub.chorus.tasks.effects import Effect, Say, Start, Stop, TaskKey
from gossipsub.chorus.tasks.messages import (
    MAX_ATTEMPT,
    MAX_ERROR_LENGTH,
    Allocated,
    Announced,
    Claimed,
    Progressed,
    Status,
)
from gossipsub.chorus.tasks.offers import Offer, Offers
from gossipsub.chorus.tasks.task import Job, Task, TaskParams

MAX_CLAIMS = 3
"""How often a task is claimed in vain before it is left until it is announced again; those of an
announcer that has not answered lately are claimed once."""
MIN_REPORT_INTERVAL = 0.1
"""Seconds between reports, however short a lease an announcer gives."""
MAX_REPORTS = 256
"""Results that wait to be confirmed; beyond, the oldest is given up."""
MAX_CLOSED = 16384
"""Tasks remembered as taken or completed, so that old announcements are known as such."""

Accept = Callable[[Task, str], bool]
"""Takes a task and the agent that announced it; whether this agent wants to do it."""


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
    said_at: float = -inf


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
        self._offers = Offers(params.max_offers)
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
        self,
        said: Announced,
        announcer: str,
        *,
        now: float,
        size_bytes: int = 0,
        delay: float = 0.0,
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
                self._repeat(key, attempt, now)
                return
            self._end(key)
        offer = self._offers.find(key)
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
        while self._offers.needs_room_for(size_bytes):
            self._withdraw(self._offers.to_push_out(announcer))
        self._offers.add(key, Offer(task, said.attempt, size_bytes))
        self._deadlines.set(key, now + delay + self._own_delay(key, said.attempt))

    def hear_claim(self, said: Claimed, *, now: float) -> None:
        """Somebody else is first: wait whether the task is given to it.

        Only once, or one that claims again and again would keep all others from it.
        """
        key = (said.announcer, said.task_id)
        offer = self._offers.find(key)
        if offer is not None and not offer.claims and not offer.has_yielded:
            offer.has_yielded = True
            self._offers.set_ready(key, False)
            patience = 2 * self._params.retry_interval
            self._deadlines.set(key, now + patience + self._own_delay(key, offer.attempt))

    def hear_allocation(
        self, said: Allocated, announcer: str, *, now: float, is_old: bool = False
    ) -> None:
        key = (announcer, said.task_id)
        if not is_old:
            self._offers.note_answer(announcer, is_there=True)
        if said.agent != self._me:
            self._close(key, said.attempt, now)
        elif is_old:
            return  # if it still holds, the announcer says it again
        elif (attempt := self._attempts.get(key)) is not None and (
            said.attempt <= attempt.job.attempt
        ):
            if said.attempt == attempt.job.attempt:
                self._repeat(key, attempt, now)
        elif said.attempt > self._closed.get(key, 0):
            self._take(key, said, now)

    def hear_closed(self, said: Progressed, announcer: str, *, now: float) -> None:
        self._offers.note_answer(announcer, is_there=True)
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
            mine.progress, mine.message = progress, message[:MAX_ERROR_LENGTH]
            self._report(key, mine, now)

    def finish(self, key: TaskKey, attempt: int, output: object, now: float) -> None:
        result = Progressed(key[1], key[0], attempt, Status.DONE, 1.0, output=output)
        self._conclude(key, attempt, result, now)

    def fail(self, key: TaskKey, attempt: int, error: str, now: float) -> None:
        result = Progressed(key[1], key[0], attempt, Status.FAILED, error=error[:MAX_ERROR_LENGTH])
        self._conclude(key, attempt, result, now)

    def refuse_output(self, said: Progressed, error: str, now: float) -> None:
        """The result could not be published: it becomes a failure."""
        mine = self._attempts.get((said.announcer, said.task_id))
        if mine is not None and mine.result == said:
            mine.result = Progressed(
                said.task_id,
                said.announcer,
                said.attempt,
                Status.FAILED,
                error=error[:MAX_ERROR_LENGTH],
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
            offer = self._offers.find(key)
            if mine is not None:
                if mine.result is not None and now >= mine.give_up_at:
                    self._end(key)
                else:
                    self._report(key, mine, now)
            elif offer is None:
                continue
            elif offer.claims >= MAX_CLAIMS or (offer.claims and self._offers.is_silent(key[0])):
                self._offers.note_answer(key[0], is_there=False)
                self._withdraw(key)
            elif offer.claims:
                self._claim(key, offer, now)
            else:
                self._offers.set_ready(key, True)
        self._fill(now)

    # -- claiming --------------------------------------------------------------------------

    def _fill(self, now: float) -> None:
        while self._busy < self._capacity:
            key = self._offers.take_ready()
            offer = None if key is None else self._offers.find(key)
            if key is None or offer is None:
                return
            self._busy += 1
            self._claim(key, offer, now)

    def _claim(self, key: TaskKey, offer: Offer, now: float) -> None:
        wait = self._params.retry_interval * 2**offer.claims
        offer.claims += 1
        self._effects.append(Say(Claimed(key[1], self._me, key[0], offer.attempt)))
        self._deadlines.set(key, now + min(wait, self._params.max_retry_interval))

    def _withdraw(self, key: TaskKey) -> None:
        """Forget an offer, claimed or not."""
        offer = self._offers.remove(key)
        if offer is not None:
            self._busy -= 1 if offer.claims else 0
            self._deadlines.cancel(key)

    def _own_delay(self, key: TaskKey, attempt: int) -> float:
        if not self._params.claim_spread:
            return 0.0
        digest = blake2b(f"{self._me}\n{key[0]}\n{attempt}\n{key[1]}".encode(), digest_size=4)
        return self._params.claim_spread * int.from_bytes(digest.digest(), "big") / 2**32

    # -- working ---------------------------------------------------------------------------

    def _take(self, key: TaskKey, said: Allocated, now: float) -> None:
        self._end(key)  # an earlier attempt, where there is one
        offer = self._offers.find(key)
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
        wait = min(said.lease / 3, self._params.retry_interval / 2)
        self._deadlines.set(key, now + max(wait, MIN_REPORT_INTERVAL))

    def _repeat(self, key: TaskKey, mine: _Attempt, now: float) -> None:
        """Tell how it stands to an announcer that seems not to know: not as often as it likes,
        since an output can be a thousand times as long as the question."""
        if now >= mine.said_at + self._params.retry_interval / 2:
            self._report(key, mine, now)

    def _report(self, key: TaskKey, mine: _Attempt, now: float) -> None:
        """Tell how it stands, and when to tell it again."""
        if mine.result is None:
            attempt = mine.job.attempt
            progressed = Progressed(
                key[1], key[0], attempt, Status.WORKING, mine.progress, mine.message
            )
            wait = max(mine.job.lease / 3, MIN_REPORT_INTERVAL)
        else:
            progressed = mine.result
            wait = self._params.retry_interval * 2 ** min(mine.repeats, 20)
            mine.repeats += 1
        mine.said_at = now
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
        offer = self._offers.find(key)
        if offer is not None and offer.attempt <= attempt:
            self._withdraw(key)
        self._fill(now)
