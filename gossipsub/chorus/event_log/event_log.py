"""The event log on disk: appended to by one node, signed by it, open to its queries."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel
import anyio.to_thread

from gossipsub.chorus.event_log.entry import draft
from gossipsub.chorus.event_log.errors import EventLogError
from gossipsub.chorus.event_log.reader import EventLogReader
from gossipsub.chorus.event_log.recent import RECENT_ORIGINS, RecentOrigins
from gossipsub.chorus.event_log.retention import LogRetention
from gossipsub.chorus.event_log.schema import connect
from gossipsub.chorus.event_log.store import Store
from gossipsub.chorus.event_log.writer import Writer
from gossipsub.crypto.keys import PrivateKey
from gossipsub.identity import identity_of
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.event_log")

CHECKED_ON_OPENING = 10_000
"""Entries; a tenth of a second or so."""
_FLUSHERS = 4


class LogDurability(StrEnum):
    """What a group of entries survives once it is written (SQLite's `synchronous`)."""

    FULL = "FULL"
    """The machine losing power: the disk is asked to keep each group."""
    NORMAL = "NORMAL"
    """The process being killed; a machine that loses power may lose the last groups, and no
    more than that."""


class EventLog(EventLogReader):
    """A log of what is said in CHORUS, in one SQLite file, which proves what was in it.

    `async with EventLog.open(path, key="node.key") as log`, and `ChorusPubSub(host, logger=log)`
    inside. `key` is the node's, as a host takes it: a PrivateKey or a path. The file is made
    (readable by its owner alone) or gone on with; one process writes it, any may read it
    (`EventLog.read`).

    Opening checks the newest `check_entries` entries and the newest head, and raises CorruptLog
    with the index of the first that is not what the node wrote; EventLogError where the file
    cannot be used or another process writes it; LocalProtocolError where it is another node's.
    Leaving writes what waits, for up to `close_timeout` seconds.

    A thread writes, in groups. While more than 8,192 entries or 32 MiB wait for it, new ones are
    lost and counted, and the log has an entry of type `entries_lost` with their number in their
    place. `flush_timeout` is how long `flush` waits, in seconds.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        key: PrivateKey | str | os.PathLike[str],
        durability: LogDurability = LogDurability.FULL,
        retention: LogRetention | None = None,
        check_entries: int = CHECKED_ON_OPENING,
        flush_timeout: float = 30.0,
        close_timeout: float = 30.0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if key is None:
            raise LocalProtocolError("the log needs the node's key")
        super().__init__(path)
        self._key = identity_of(key)
        self._node = str(self._key.public_key.peer_id())
        self._durability = LogDurability(durability)
        self._retention = retention or LogRetention()
        self._check_entries = check_entries
        self._flush_timeout = flush_timeout
        self._close_timeout = close_timeout
        self._clock = clock
        self._recent = RecentOrigins()
        self._repeated = 0
        self._threads = anyio.CapacityLimiter(_FLUSHERS)
        self._was_opened = False
        self._store: Store | None = None
        self._writer: Writer | None = None
        self._lookups: sqlite3.Connection | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        key: PrivateKey | str | os.PathLike[str],
        durability: LogDurability = LogDurability.FULL,
        retention: LogRetention | None = None,
        check_entries: int = CHECKED_ON_OPENING,
        flush_timeout: float = 30.0,
        close_timeout: float = 30.0,
        clock: Callable[[], int] = time.time_ns,
    ) -> Self:
        """The log at `path`, opened by `async with`."""
        return cls(
            path,
            key=key,
            durability=durability,
            retention=retention,
            check_entries=check_entries,
            flush_timeout=flush_timeout,
            close_timeout=close_timeout,
            clock=clock,
        )

    @staticmethod
    def read(path: str | os.PathLike[str]) -> EventLogReader:
        """The log at `path`, to look into: nothing is checked and nothing written, its node may
        write it meanwhile."""
        return EventLogReader(path)

    async def __aenter__(self) -> Self:
        if self._was_opened:
            raise LocalProtocolError("it is opened once; make another")
        self._was_opened = True
        store = await anyio.to_thread.run_sync(self._open_store)
        try:
            await super().__aenter__()
            self._lookups = connect(self.path, read_only=True, timeout=0.1)
        except BaseException:
            self._disconnect()
            store.close()
            raise
        self._store = store
        self._writer = Writer(store, node=self._node, clock=self._clock, retention=self._retention)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._disconnect()
        if self._lookups is not None:
            self._lookups.close()
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with anyio.move_on_after(self._close_timeout + 1.0, shield=True):
            is_closed = await anyio.to_thread.run_sync(writer.close, self._close_timeout)
            if not is_closed or writer.progress.error:
                logger.warning("entries were not written path=%s", self.path)

    # -- writing ---------------------------------------------------------------------------

    def append(
        self,
        log_type: str,
        data: Mapping[str, object],
        *,
        signed: SignedMessage | None = None,
    ) -> None:
        """Take an entry; it is durable a few hundredths of a second later, or after `flush`.

        A message the log has already is left out. LocalProtocolError, and nothing is taken: a
        type that is empty, data that JSON cannot hold or of more than a MiB, a log that is not
        open.
        """
        writer = self._require_writer()
        entry = draft(log_type, data, signed, node=self._node, now=self._clock())
        origin = entry.origin
        if origin is not None and origin in self._recent:
            self._repeated += 1
        elif writer.append(entry) and origin is not None:
            self._recent.add(origin)

    async def flush(self) -> None:
        """Return when all that was appended is durable.

        EventLogError when it is not: entries were lost since too many waited, the disk takes
        nothing, or it takes longer than the log's `flush_timeout`.
        """
        writer = self._require_writer()
        ticket = writer.ticket()
        if not ticket:
            await anyio.lowlevel.checkpoint()
            return
        await anyio.to_thread.run_sync(
            writer.wait_written,
            ticket,
            self._flush_timeout,
            abandon_on_cancel=True,
            limiter=self._threads,
        )

    # -- asking ----------------------------------------------------------------------------

    def contains(self, origin: bytes) -> bool:
        """Whether the log has the message, or has taken it and not written it yet.

        The newest 16,384 are known without the disk, and while there are no more, all others; an
        older one is looked up in the file's index (5 us, if the system has it in memory).
        """
        if origin in self._recent:
            return True
        lookups = self._lookups
        if self._recent.is_complete or lookups is None:
            return False
        try:
            return (
                lookups.execute("SELECT 1 FROM catalogue WHERE origin = ?", (origin,)).fetchone()
                is not None
            )
        except sqlite3.Error as error:
            raise EventLogError(f"the event log cannot be read: {error}") from error

    def statistics(self) -> Mapping[str, object]:
        """The log in numbers, without a look at the disk: `total_entries`, `entries_by_type`,
        `first_index`, `last_index`, `head`, `node`, `log_id`, `bytes`, and since it was opened
        `written`, `duplicates`, `lost`, `pruned`, `groups`, `write_errors`; `waiting` now."""
        store, writer = self._store, self._require_writer()
        if store is None:
            raise LocalProtocolError("open it first: async with EventLog.open(...) as log")
        progress = writer.progress
        last, pruned = store.last_index, store.pruned_through
        return {
            "node": self._node,
            "log_id": store.log_id.hex(),
            "total_entries": last - pruned,
            "entries_by_type": dict(store.types),
            "first_index": pruned + 1 if last > pruned else 0,
            "last_index": last,
            "head": None if progress.head is None else progress.head.hash.hex(),
            "bytes": progress.used_bytes,
            "written": progress.written,
            "duplicates": progress.duplicates + self._repeated,
            "lost": progress.lost,
            "pruned": progress.pruned,
            "groups": progress.groups,
            "write_errors": progress.write_errors,
            "error": progress.error,
            "waiting": writer.waiting,
        }

    # -- inside ----------------------------------------------------------------------------

    def _open_store(self) -> Store:
        store = Store.open(
            self.path,
            self._key,
            synchronous=self._durability.value,
            check_entries=self._check_entries,
        )
        origins = store.recent_origins(RECENT_ORIGINS)
        self._recent.fill(origins)
        return store

    def _require_writer(self) -> Writer:
        if self._writer is None:
            raise LocalProtocolError("open it first: async with EventLog.open(...) as log")
        return self._writer
