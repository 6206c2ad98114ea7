"""Looking into an event log: queries, replay, verification and export, beside its writer or
without one."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Self, TypeVar, cast

import anyio.lowlevel
import anyio.to_thread

from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.envelope import DEFAULT_LIMITS, Envelope, EnvelopeLimits
from gossipsub.chorus.event_log.chain import LogHead
from gossipsub.chorus.event_log.entry import LogEntry
from gossipsub.chorus.event_log.errors import CorruptLog, EventLogError
from gossipsub.chorus.event_log.export import Exporter
from gossipsub.chorus.event_log.pages import Pages
from gossipsub.chorus.event_log.query import Query, find_entries
from gossipsub.chorus.event_log.schema import connect
from gossipsub.chorus.event_log.store import newest_head
from gossipsub.chorus.event_log.verification import (
    BytesTexts,
    ChainCheck,
    LogVerification,
    read_identity,
    select_entries,
    start_of,
    verify_tables,
)
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

PAGE_ENTRIES = 64
"""Entries read at once; the largest take a MiB each."""
_CHECKED_AT_ONCE = {True: 64, False: 2048}
"""Entries verified at a stretch, with and without signatures: some ten milliseconds."""

T = TypeVar("T")


class EventLogReader:
    """A log that is looked into, while its node writes it or afterwards.

    From `EventLog.read(path)`, and what `EventLog` itself is beside its writing:
    `async with EventLog.read(path) as log`. EventLogError where the file cannot be read,
    CorruptLog where it is no log. Everything that looks at the disk runs in threads.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._node = ""
        self._connection: sqlite3.Connection | None = None
        self._reading = threading.Lock()

    async def __aenter__(self) -> Self:
        if self._connection is not None:
            raise LocalProtocolError("it is opened once; make another")
        await _in_thread(self._connect)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._disconnect()

    # -- looking for entries ---------------------------------------------------------------

    def entries(
        self,
        *,
        type: str | None = None,
        message_type: str | None = None,
        author: str | None = None,
        project_id: str | None = None,
        thread_id: str | None = None,
        topic: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after_index: int = 0,
        before_index: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> AsyncIterator[LogEntry]:
        """Durable entries for which all that is given holds, oldest first unless `newest_first`.

        Names must be equal (they are compared in their first 256 characters); `since` and `until`
        (not included) are nanoseconds since 1970 of when entries were logged. Read in pages, each
        as the log is then: entries written meanwhile are seen, those pruned meanwhile are not.
        LocalProtocolError for values of the wrong kind.
        """
        query = Query(
            type=type,
            message_type=message_type,
            author=author,
            project_id=project_id,
            thread_id=thread_id,
            topic=topic,
            since=since,
            until=until,
            after_index=after_index,
            before_index=before_index,
            limit=limit,
            newest_first=newest_first,
        )
        return Pages(self._finder(query))

    def replay(
        self,
        *,
        topic: str | None = None,
        after_index: int = 0,
        since: int | None = None,
        until: int | None = None,
        limits: EnvelopeLimits = DEFAULT_LIMITS,
    ) -> AsyncIterator[Delivery]:
        """What was said, in the order it was logged, as observers were told of it.

        Read from the messages as their authors signed them, whose signatures are not looked at
        (`verify` does that); entries of no message, and messages that are no envelopes, are left
        out. `limit`s and the rest as `entries`.
        """
        find = self._finder(Query(topic=topic, after_index=after_index, since=since, until=until))

        async def find_deliveries() -> list[Delivery] | None:
            entries = await find()
            if entries is None:
                return None
            told = (delivery_of(entry, self._node, limits) for entry in entries)
            return [delivery for delivery in told if delivery is not None]

        return Pages(find_deliveries)

    async def origins_between(self, start: int, end: int) -> list[bytes]:
        """Origins of the messages whose envelopes' timestamps are from `start` to before `end`
        (nanoseconds since 1970), by timestamp. All at once: some 80 bytes each."""

        def find(connection: sqlite3.Connection) -> list[bytes]:
            rows = connection.execute(
                "SELECT sent_at, origin FROM catalogue"
                " WHERE sent_at >= ?1 AND sent_at < ?2 AND origin IS NOT NULL UNION ALL"
                " SELECT sent_at, origin FROM entries"
                " WHERE idx > (SELECT coalesce(max(idx), 0) FROM catalogue)"
                " AND sent_at >= ?1 AND sent_at < ?2 AND origin IS NOT NULL ORDER BY 1",
                (start, end),
            )
            return [origin for _, origin in rows]

        return await self._run(find)

    async def signed_message(self, origin: bytes) -> SignedMessage | None:
        """The message of that author and sequence number; None where the log has none."""

        (signed,) = await self.signed_messages((origin,))
        return signed

    async def signed_messages(self, origins: Sequence[bytes]) -> list[SignedMessage | None]:
        """`signed_message` of each, read together: a hop to the thread costs as much as ten."""

        def find(connection: sqlite3.Connection) -> list[SignedMessage | None]:
            return [_message_of(connection, origin) for origin in origins]

        return await self._run(find)

    async def kept_since(self) -> int | None:
        """When the oldest entry was logged, in nanoseconds since 1970, where older ones have been
        pruned; None where the log is whole."""

        def find(connection: sqlite3.Connection) -> int | None:
            row = connection.execute(
                "SELECT min(idx), logged_at FROM entries WHERE EXISTS (SELECT 1 FROM pruned)"
            ).fetchone()
            return None if row is None else cast(int | None, row[1])

        return await self._run(find)

    async def head(self) -> LogHead | None:
        """The newest head, or None for an empty log. Kept where the log's keeper cannot change
        it, it shows later whether the log was cut off or written anew."""
        return await self._run(newest_head)

    # -- proving ---------------------------------------------------------------------------

    async def verify(
        self, *, signatures: bool = True, anchor: LogHead | None = None
    ) -> LogVerification:
        """Prove the log from its first entry to its last; CorruptLog with the first entry that is
        not what the node wrote.

        With `signatures`, the signatures of every head and every author are checked (some 110 us
        each); without, all hashes and the newest head, which has signed for them. `anchor` is a
        head kept elsewhere that the log must have, so not one that was pruned. Without one, nobody
        can tell a log that was cut off behind one of its heads from one that ended there.
        """
        async with self._snapshot() as connection:
            public_key, index, last_hash = await _in_thread(lambda: start_of(connection))
            check = ChainCheck(
                public_key, index=index, hash=last_hash, signatures=signatures, anchor=anchor
            )
            with BytesTexts(connection):
                rows = select_entries(connection, 0)
                count = _CHECKED_AT_ONCE[signatures]
                while await _in_thread(lambda: _check_some(check, rows, count)) == count:
                    await anyio.lowlevel.checkpoint()
            proved = check.finish()
            await _in_thread(lambda: verify_tables(connection))
            return proved

    def export(self, *, after_index: int = 0) -> AsyncIterator[bytes]:
        """The log as JSON lines (docs/chorus-log.md has their format), from the group of the entry
        after `after_index` to what is then its end; `verify_export` proves them without the
        database. EventLogError when entries are pruned before they are read."""
        exporter = Exporter(after_index)
        return Pages(lambda: self._run(exporter.next_lines))

    # -- inside ----------------------------------------------------------------------------

    def _finder(self, query: Query) -> Callable[[], Awaitable[list[LogEntry] | None]]:
        """Gives the query's pages, one after the other."""
        rest = query.limit

        async def find() -> list[LogEntry] | None:
            nonlocal query, rest
            count = PAGE_ENTRIES if rest is None else min(PAGE_ENTRIES, rest)
            if not count:
                return None
            page = await self._run(partial(find_entries, query=query, limit=count))
            if rest is not None:
                rest -= count
            if len(page) < count:
                rest = 0
            else:
                query = query.beyond(page[-1])
            return page

        return find

    async def _run(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the database in a thread, one question at a time."""
        connection = self._require_open()

        def ask_alone() -> T:
            with self._reading:
                return ask(connection)

        return await _in_thread(ask_alone)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[sqlite3.Connection]:
        """A connection that sees the log as it is now, whatever is written meanwhile."""
        self._require_open()
        connection = await _in_thread(lambda: connect(self.path, read_only=True))
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()

    def _connect(self) -> None:
        connection = connect(self.path, read_only=True)
        try:
            self._node = str(read_identity(connection)[1].peer_id())
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _require_open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise LocalProtocolError("open it first: async with ... as log")
        return self._connection


async def _in_thread(ask: Callable[[], T]) -> T:
    """In a thread; what SQLite complains of is an error of ours."""
    try:
        return await anyio.to_thread.run_sync(ask)
    except sqlite3.OperationalError as error:
        if "decode" in str(error):  # a text that is no UTF-8
            raise CorruptLog(0, f"a field has the wrong type: {error}") from error
        raise EventLogError(f"the event log cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:
        raise CorruptLog(0, f"not a database that can be read: {error}") from error


def _check_some(check: ChainCheck, rows: sqlite3.Cursor, count: int) -> int:
    page = rows.fetchmany(count)
    check.feed(page)
    return len(page)


def delivery_of(entry: LogEntry, node: str, limits: EnvelopeLimits) -> Delivery | None:
    """What observers were told of the entry's message; None where it is no envelope."""
    try:
        signed = entry.signed_message
        if signed is None:
            return None
        envelope = Envelope.decode(signed.data, limits)
    except RemoteProtocolError:  # and MalformedEnvelope
        return None
    return Delivery(
        envelope,
        signed.topic,
        signed.sender,
        signed,
        entry.logged_at,
        is_own=entry.author == node,
    )


def _message_of(connection: sqlite3.Connection, origin: bytes) -> SignedMessage | None:
    row = connection.execute(
        "SELECT idx, signed FROM entries WHERE idx = (SELECT idx FROM catalogue"
        " WHERE origin = ?1) UNION ALL SELECT idx, signed FROM entries"
        " WHERE idx > (SELECT coalesce(max(idx), 0) FROM catalogue) AND origin = ?1",
        (origin,),
    ).fetchone()
    if row is None:
        return None
    try:
        return SignedMessage.decode(row[1])
    except (RemoteProtocolError, TypeError) as error:
        raise CorruptLog(row[0], "the message is damaged") from error
