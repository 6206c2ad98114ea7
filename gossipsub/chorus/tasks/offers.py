"""The open tasks a worker knows, whose turn it is, and which announcers answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from gossipsub.chorus.tasks.effects import TaskKey
from gossipsub.chorus.tasks.task import Task

MAX_OFFERED_BYTES = 16 << 20
"""Of all that is open, as it was sent: inputs can be as large as a message."""


@dataclass(slots=True)
class Offer:
    """A task that is open, as far as is known here."""

    task: Task
    attempt: int
    """The one that would be allocated."""
    size_bytes: int = 0
    """Of the message it came in."""
    claims: int = 0
    """How often it was claimed by this agent; 0 while it only may be."""
    has_yielded: bool = False
    """It was left to another that claimed it; that happens once."""


@dataclass(slots=True)
class _Announcer:
    """What one agent has on offer."""

    offers: dict[str, None] = field(default_factory=dict)
    ready: dict[str, None] = field(default_factory=dict)
    """Those whose time has come, while there was no room."""
    size_bytes: int = 0
    is_silent: bool = False


class Offers:
    """Bounded: the announcer with most loses the oldest that is not claimed, so one cannot drive
    out the others.

    Announcers take turns, and those that leave claims unanswered come last: one that died, or
    never means to give a task to anybody, must not keep agents from the work of others.
    """

    def __init__(self, max_offers: int) -> None:
        self._max_offers = max_offers
        self._offers: dict[TaskKey, Offer] = {}
        self._announcers: dict[str, _Announcer] = {}
        """In the order in which it is their turn."""
        self._bytes = 0

    def find(self, key: TaskKey) -> Offer | None:
        return self._offers.get(key)

    def needs_room_for(self, size_bytes: int) -> bool:
        return bool(self._offers) and (
            len(self._offers) >= self._max_offers or self._bytes + size_bytes > MAX_OFFERED_BYTES
        )

    def to_push_out(self, newcomer: str) -> TaskKey:
        """Which offer makes room for one of `newcomer`. There must be one."""

        def share(name: str) -> tuple[float, bool]:
            owner = self._announcers[name]
            bytes_share = owner.size_bytes / MAX_OFFERED_BYTES
            return max(len(owner.offers) / self._max_offers, bytes_share), name == newcomer

        most = max(self._announcers, key=share)
        task_ids = self._announcers[most].offers
        unclaimed = (one for one in task_ids if not self._offers[most, one].claims)
        return most, next(unclaimed, next(iter(task_ids)))

    def add(self, key: TaskKey, offer: Offer) -> None:
        """It must not be there, and there must be room."""
        self._offers[key] = offer
        owner = self._announcers.setdefault(key[0], _Announcer())
        owner.offers[key[1]] = None
        owner.size_bytes += offer.size_bytes
        self._bytes += offer.size_bytes

    def remove(self, key: TaskKey) -> Offer | None:
        offer = self._offers.pop(key, None)
        if offer is not None:
            owner = self._announcers[key[0]]
            del owner.offers[key[1]]
            owner.ready.pop(key[1], None)
            owner.size_bytes -= offer.size_bytes
            self._bytes -= offer.size_bytes
            if not owner.offers:
                del self._announcers[key[0]]
        return offer

    # -- turns -----------------------------------------------------------------------------

    def set_ready(self, key: TaskKey, is_ready: bool) -> None:
        ready = self._announcers[key[0]].ready
        if is_ready:
            ready[key[1]] = None
        else:
            ready.pop(key[1], None)

    def take_ready(self) -> TaskKey | None:
        """The next to be claimed; it is not ready any more."""
        waiting = [name for name, owner in self._announcers.items() if owner.ready]
        if not waiting:
            return None
        name = min(waiting, key=lambda one: self._announcers[one].is_silent)
        owner = self._announcers[name] = self._announcers.pop(name)
        task_id = next(iter(owner.ready))
        del owner.ready[task_id]
        return name, task_id

    def note_answer(self, announcer: str, is_there: bool) -> None:
        """It has decided something, or left a claim without an answer."""
        owner = self._announcers.get(announcer)
        if owner is not None:
            owner.is_silent = not is_there

    def is_silent(self, announcer: str) -> bool:
        owner = self._announcers.get(announcer)
        return owner is not None and owner.is_silent
