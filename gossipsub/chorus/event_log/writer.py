"""The thread that writes the log, a group of entries at a time."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gossipsub.chorus.event_log.chain import LogHead
from gossipsub.chorus.event_log.entry import Draft
from gossipsub.chorus.event_log.errors import EventLogError
from gossipsub.chorus.event_log.retention import LogRetention
from gossipsub.chorus.event_log.store import Store

logger = logging.getLogger("gossipsub.chorus.event_log")

ENTRIES_LOST = "entries_lost"
"""Log type of the entry that says how many could not be taken before it."""

MAX_WAITING = 8192
"""Entries that may wait for the disk."""
MAX_WAITING_BYTES = 32 << 20
GROUP_ENTRIES = 256
GROUP_BYTES = 4 << 20
PAUSE = 0.02
"""Seconds in which a group gathers, unless somebody waits for it. A thread that woke for each entry
would take the interpreter from the event loop each time, and pay a commit for each."""
RETRY = 1.0
"""Seconds between attempts while the disk takes nothing."""
PRUNE_EVERY = 10.0
"""Seconds after which the age of entries is looked at though nothing is written."""


@dataclass(slots=True)
class Progress:
    """What became of what was appended; changed by the thread, read by all."""

    written: int = 0
    """Entries in the log since it was opened."""
    lost: int = 0
    duplicates: int = 0
    pruned: int = 0
    groups: int = 0
    write_errors: int = 0
    error: str = ""
    """Of the last attempt; empty where it succeeded."""
    head: LogHead | None = None
    used_bytes: int = 0


class Writer:
    """Takes drafts from any thread and writes them in that order.

    When 8,192 entries or 32 MiB wait, the newest is lost and counted, and once there is room
    again the log says how many are missing, in an entry of its own. While the disk takes nothing
    the group is tried again each second.
    """

    def __init__(
        self, store: Store, *, node: str, clock: Callable[[], int], retention: LogRetention
    ) -> None:
        self.progress = Progress(head=store.newest_head(), used_bytes=store.used_bytes())
        self._store = store
        self._node = node
        self._clock = clock
        self._retention = retention
        self._waiting: deque[tuple[int, Draft]] = deque()
        self._waiting_bytes = 0
        self._under_way = 0
        """Entries of the group that is being written."""
        self._unreported = 0
        self._appended = 0
        """Tickets given: one for each draft, lost ones too."""
        self._done = 0
        """The ticket up to which all is durable, or lost."""
        self._lost_ticket = 0
        self._lost_at = 0
        self._hurry = 0
        """The highest ticket that somebody waits for."""
        self._is_closing = False
        self._changed = threading.Condition()
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="gossipsub-log", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Entries that are not durable yet."""
        return len(self._waiting) + self._under_way

    def append(self, draft: Draft) -> bool:
        """Queue it; False where it is lost."""
        size = len(draft.data) + (len(draft.signed) if draft.signed else 0)
        with self._changed:
            self._appended += 1
            waiting = len(self._waiting)
            is_full = waiting >= MAX_WAITING or self._waiting_bytes + size > MAX_WAITING_BYTES
            if is_full or self._is_closing:
                self.progress.lost += 1
                self._unreported += 1
                self._lost_ticket = self._appended
                self._lost_at = draft.timestamp
                return False
            if self._unreported:
                # Right here: on a busy log there is never a moment when nothing waits.
                gap = self._gap(self._unreported)
                self._waiting.append((self._appended - 1, gap))
                self._waiting_bytes += len(gap.data)
                self._unreported = 0
            self._waiting.append((self._appended, draft))
            self._waiting_bytes += size
            if not waiting or waiting + 1 == GROUP_ENTRIES:
                self._changed.notify_all()
        return True

    def ticket(self) -> int:
        """For `wait_written`, of all that was appended; 0 where that is durable.

        EventLogError when any of it was lost that is not older than what still waits.
        """
        with self._changed:
            if self._lost_ticket > self._done:
                raise EventLogError("entries were lost: too many wait for the disk")
            return self._appended if self._appended > self._done else 0

    def wait_written(self, ticket: int, timeout: float) -> None:
        """Return when all up to the ticket is durable. Blocks.

        EventLogError when the disk refused the last attempt, and after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            self._hurry = max(self._hurry, ticket)
            self._changed.notify_all()
            while self._done < ticket:
                if self.progress.error:
                    raise EventLogError(f"the log cannot be written: {self.progress.error}")
                if not self._thread.is_alive():
                    raise EventLogError("the log is closed")
                rest = deadline - time.monotonic()
                if rest <= 0:
                    raise EventLogError(f"the log was not written within {timeout} s")
                self._changed.wait(min(rest, 1.0))

    def close(self, timeout: float) -> bool:
        """Write what waits and close the store; False if that was not done in `timeout` seconds
        (it goes on in the background). Blocks; harmless when repeated."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (taken := self._take()) is not None:
                group, through = taken
                if group and not self._write(group):
                    break
                self._prune()
                with self._changed:
                    self._done = max(self._done, through)
                    self._under_way = 0
                    self._changed.notify_all()
        finally:
            try:
                self._store.close()
            except sqlite3.Error as error:
                logger.warning("cannot close error=%s", error)
            with self._changed:
                self._is_closing = True
                self._changed.notify_all()

    def _take(self) -> tuple[list[Draft], int] | None:
        """A group once it has gathered, and the ticket it reaches; an empty one now and then, None
        when all is written and the log closes."""
        with self._changed:
            if not self._waiting and not self._is_closing:
                self._changed.wait(PRUNE_EVERY)
            if not self._is_hurried():
                self._changed.wait(PAUSE)
            if not self._waiting and not self._unreported:
                return None if self._is_closing else ([], self._appended)
            group: list[Draft] = []
            size = through = 0
            while self._waiting and len(group) < GROUP_ENTRIES and size < GROUP_BYTES:
                through, draft = self._waiting.popleft()
                size += len(draft.data) + (len(draft.signed) if draft.signed else 0)
                group.append(draft)
            self._waiting_bytes -= size
            self._under_way = len(group)
            if self._waiting:
                return group, through
            if self._unreported:
                group.append(self._gap(self._unreported))
                self._unreported = 0
            return group, self._appended

    def _is_hurried(self) -> bool:
        return self._is_closing or self._hurry > self._done or len(self._waiting) >= GROUP_ENTRIES

    def _gap(self, count: int) -> Draft:
        now = self._lost_at
        data = json.dumps({"count": count}, separators=(",", ":")).encode()
        return Draft(now, now, self._node, ENTRIES_LOST, "", "", "", "", None, data, None)

    def _write(self, group: list[Draft]) -> bool:
        """Try until it is written; False when the log closes before that."""
        progress = self.progress
        while True:
            try:
                head, duplicates = self._store.write(group)
            except sqlite3.Error as error:
                progress.write_errors += 1
                with self._changed:
                    if not progress.error:
                        logger.error("cannot write the event log error=%s", error)
                    progress.error = str(error) or type(error).__name__
                    self._changed.notify_all()
                    if not self._is_closing:
                        self._changed.wait(RETRY)
                    if self._is_closing:
                        return False
                continue
            break
        if progress.error:
            logger.info("the event log is written again")
        progress.error = ""
        progress.head = head or progress.head
        progress.duplicates += duplicates
        progress.written += len(group) - duplicates
        progress.groups += 1
        return True

    def _prune(self) -> None:
        try:
            while pruned := self._retention.prune_some(self._store, self._clock):
                self.progress.pruned += pruned
                with self._changed:
                    if self._is_closing or len(self._waiting) >= GROUP_ENTRIES:
                        break
            self.progress.used_bytes = self._store.used_bytes()
        except sqlite3.Error as error:
            logger.warning("cannot prune the event log error=%s", error)
        except Exception:  # the application's clock; what waits is to be written all the same
            logger.exception("cannot prune the event log, as the clock failed")
