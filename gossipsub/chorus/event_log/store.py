"""The log's database as its one writer has it."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Self

from gossipsub.chorus.event_log.chain import (
    FORMAT,
    LOG_ID_BYTES,
    Chain,
    LogHead,
    pruned_statement,
)
from gossipsub.chorus.event_log.entry import Draft, Row
from gossipsub.chorus.event_log.errors import CorruptLog, EventLogError
from gossipsub.chorus.event_log.schema import (
    CATALOGUED,
    COLUMNS,
    PAGE_BYTES,
    connect,
    create_file,
    create_tables,
    lock,
)
from gossipsub.chorus.event_log.verification import read_identity, verify_tail
from gossipsub.crypto.keys import PrivateKey
from gossipsub.wire.errors import LocalProtocolError

CATALOGUE_EVERY = 1024
"""Entries that may wait for the catalogue; queries look through them one by one."""
OTHER_TYPES = "other"
_COUNTED_TYPES = 256
_PRUNED_AT_ONCE = 1024

_ROW = f"({','.join('?' * len(COLUMNS))})"
_INSERT = {
    count: f"INSERT INTO entries VALUES {','.join([_ROW] * count)}" for count in (64, 16, 4, 1)
}
_CATALOGUE = (
    f"INSERT INTO catalogue SELECT {','.join(CATALOGUED)} FROM entries"
    " WHERE idx > (SELECT coalesce(max(idx), 0) FROM catalogue)"
)


class Store:
    """Open until `close`. Blocks; one thread at a time.

    After a sqlite3.Error it is as before the call.
    """

    def __init__(
        self, path: str, connection: sqlite3.Connection, lock: sqlite3.Connection, key: PrivateKey
    ) -> None:
        """Read where the log ends; `open` has seen that it is one."""
        self._path = path
        self._file = os.stat(path)
        self._connection = connection
        self._lock = lock
        self._key = key
        self.log_id, _, genesis = read_identity(connection)
        execute = connection.execute
        pruned = execute("SELECT idx, hash FROM pruned").fetchone() or (0, genesis)
        self.pruned_through: int = pruned[0]
        last = execute(
            "SELECT idx, hash, logged_at FROM entries ORDER BY idx DESC LIMIT 1"
        ).fetchone() or (*pruned, -(1 << 63))
        index, last_hash, timestamp = last
        self._chain = Chain(index, last_hash, timestamp, index)
        self._catalogue(force=True)
        self.types: Counter[str] = Counter()
        for log_type, count in execute("SELECT type, count(*) FROM catalogue GROUP BY type"):
            self._count(log_type, count)

    @classmethod
    def open(cls, path: str, key: PrivateKey, *, synchronous: str, check_entries: int) -> Self:
        """Make the file if there is none, and check its end; errors of `EventLog.open`."""
        try:
            locked = lock(path)
            try:
                connection = _open_database(path, key, synchronous)
                try:
                    verify_tail(connection, key.public_key, check_entries)
                    return cls(path, connection, locked, key)
                except BaseException:
                    connection.close()
                    raise
            except BaseException:
                locked.close()
                raise
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise EventLogError(f"cannot open {path}: {error}") from error
            raise CorruptLog(0, f"not a database that can be read: {error}") from error
        except OSError as error:
            raise EventLogError(f"cannot open {path}: {error}") from error

    @property
    def last_index(self) -> int:
        return self._chain.index

    def recent_origins(self, count: int) -> list[bytes]:
        """Of the newest messages, oldest first."""
        found = self._connection.execute(
            "SELECT origin FROM catalogue WHERE origin IS NOT NULL ORDER BY idx DESC LIMIT ?",
            (count,),
        ).fetchall()
        return [origin for (origin,) in reversed(found)]

    def newest_head(self) -> LogHead | None:
        """None while the log is empty."""
        return newest_head(self._connection)

    def write(self, drafts: Sequence[Draft]) -> tuple[LogHead | None, int]:
        """Append what is not there yet as one transaction, with its head; the head, if anything
        was new, and how many were not."""
        self._require_file()
        # First, as it may fail: nothing may fail once the entries are committed.
        self._catalogue()
        chain = self._chain.copy()
        execute = self._connection.execute
        with _Transaction(self._connection):
            known = self._known(drafts)
            rows = [chain.extend(each) for each in drafts if each.origin not in known]
            head = None
            if rows:
                head = chain.sign(self._key)
                rows[-1] = (*rows[-1][:-1], head.signature)
                _insert(self._connection, rows)
            execute("COMMIT")
        self._chain = chain
        for row in rows:
            self._count(row[4], 1)
        return head, len(drafts) - len(rows)

    def prune(self, through: int) -> int:
        """Take away entries up to the last head at or before `through`, some at a time; how many.

        The last entry stays."""
        through = min(through, self.pruned_through + _PRUNED_AT_ONCE, self.last_index - 1)
        execute = self._connection.execute
        boundary = execute(
            "SELECT idx, hash FROM entries WHERE idx <= ? AND signature IS NOT NULL"
            " ORDER BY idx DESC LIMIT 1",
            (through,),
        ).fetchone()
        if boundary is None:
            return 0
        index: int = boundary[0]
        last_hash: bytes = boundary[1]
        self._catalogue(force=True)
        with _Transaction(self._connection):
            gone = execute(
                "SELECT type, count(*) FROM catalogue WHERE idx <= ? GROUP BY +type", (index,)
            ).fetchall()
            execute("DELETE FROM entries WHERE idx <= ?", (index,))
            execute("DELETE FROM catalogue WHERE idx <= ?", (index,))
            execute("DELETE FROM pruned")
            signature = self._key.sign(pruned_statement(index, last_hash))
            execute("INSERT INTO pruned VALUES (?, ?, ?)", (index, last_hash, signature))
            execute("COMMIT")
        pruned = index - self.pruned_through
        self.pruned_through = index
        for log_type, count in gone:
            self._count(log_type, -count)
        return pruned

    def group_end(self, index: int) -> int:
        """Index of the last entry of the group that has this one; 0 if there is none."""
        found = self._connection.execute(
            "SELECT idx FROM entries WHERE idx >= ? AND signature IS NOT NULL ORDER BY idx LIMIT 1",
            (index,),
        ).fetchone()
        return found[0] if found else 0

    def index_before(self, time: int) -> int:
        """Index of the last entry logged before `time` (0 if none), by halving."""
        return index_before(self._connection, time)

    def used_bytes(self) -> int:
        """Of the database, without pages that wait to be used again and without the write-ahead
        log."""
        pages, free = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count")
        )
        return int(pages - free) * PAGE_BYTES

    def close(self) -> None:
        """Catalogue the rest and let go of the file."""
        try:
            self._catalogue(force=True)
        finally:
            self._connection.close()
            self._lock.close()

    def _require_file(self) -> None:
        """SQLite would go on writing to a file that was removed, and nobody could read it."""
        try:
            is_there = os.path.samestat(os.stat(self._path), self._file)
        except OSError:
            is_there = False
        if not is_there:
            raise sqlite3.OperationalError(f"the file was removed or replaced: {self._path}")

    def _known(self, drafts: Sequence[Draft]) -> set[bytes | None]:
        """Origins among the catalogued. Those that wait for the catalogue are the log's recent
        ones, which `EventLog` leaves out itself."""
        origins = [each.origin for each in drafts if each.origin is not None]
        found: set[bytes | None] = set()
        for start in range(0, len(origins), 64):
            some = origins[start : start + 64]
            some += [some[0]] * (64 - len(some))  # one statement for any number
            found.update(
                origin
                for (origin,) in self._connection.execute(
                    f"SELECT origin FROM catalogue WHERE origin IN ({','.join('?' * 64)})", some
                )
            )
        return found

    def _catalogue(self, *, force: bool = False) -> None:
        catalogued = self._connection.execute(
            "SELECT coalesce(max(idx), 0) FROM catalogue"
        ).fetchone()[0]
        waiting = self.last_index - max(catalogued, self.pruned_through)
        if waiting >= CATALOGUE_EVERY or (force and waiting):
            with _Transaction(self._connection):
                self._connection.execute(_CATALOGUE)
                self._connection.execute("COMMIT")

    def _count(self, log_type: str, count: int) -> None:
        if log_type not in self.types and len(self.types) >= _COUNTED_TYPES:
            log_type = OTHER_TYPES
        self.types[log_type] += count
        if self.types[log_type] <= 0:
            del self.types[log_type]


class _Transaction:
    """Rolled back when it fails; whoever succeeds commits."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def newest_head(connection: sqlite3.Connection) -> LogHead | None:
    """The last head, with the index of the one before it."""
    found = connection.execute(
        "SELECT idx, hash, signature FROM entries WHERE signature IS NOT NULL"
        " ORDER BY idx DESC LIMIT 2"
    ).fetchall()
    if not found:
        return None
    if len(found) > 1:
        previous = found[1][0]
    else:
        pruned = connection.execute("SELECT idx FROM pruned").fetchone()
        previous = pruned[0] if pruned else 0
    index, last_hash, signature = found[0]
    return LogHead(index, previous, last_hash, signature)


def index_before(connection: sqlite3.Connection, time: int) -> int:
    """Index of the last entry logged before `time` (0 if none): times never run backwards."""
    # Two questions: SQLite answers either from the tree's edge, and both in one by a scan.
    first, last = connection.execute(
        "SELECT (SELECT min(idx) FROM entries), (SELECT max(idx) FROM entries)"
    ).fetchone()
    if first is None:
        return 0
    low, high = first - 1, last
    while low < high:
        middle = (low + high + 1) // 2
        row = connection.execute(
            "SELECT logged_at FROM entries WHERE idx = ?", (middle,)
        ).fetchone()
        if row is not None and row[0] < time:
            low = middle
        else:
            high = middle - 1
    return low if low >= first else 0


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Many rows in each statement: sqlite3 lets go of the interpreter lock in each, and beside a
    busy event loop it takes five milliseconds to come by again."""
    start = 0
    for count, statement in _INSERT.items():
        while len(rows) - start >= count:
            values = [value for row in rows[start : start + count] for value in row]
            connection.execute(statement, values)
            start += count


def _open_database(path: str, key: PrivateKey, synchronous: str) -> sqlite3.Connection:
    create_file(path)
    connection = connect(path)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            with _Transaction(connection):
                create_tables(connection)
                connection.execute(
                    "INSERT INTO log VALUES (?, ?, ?)",
                    (FORMAT, secrets.token_bytes(LOG_ID_BYTES), key.public_key.encode()),
                )
                connection.execute("COMMIT")
        public_key = read_identity(connection)[1]
        if public_key != key.public_key:
            raise LocalProtocolError(
                f"the log is that of {public_key.peer_id()}, the key of {key.public_key.peer_id()}"
            )
    except BaseException:
        connection.close()
        raise
    return connection
