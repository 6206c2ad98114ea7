"""The tables of an event log's database, and how a connection to it is opened.

`entries` is the log and only ever grows at its end; `catalogue` repeats the names of entries, with
indexes, and follows behind. To index each group as it comes would double what it costs: a dozen
index pages are written for a handful of entries.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from gossipsub.chorus.event_log.errors import CorruptLog, EventLogError

PAGE_BYTES = 8192
"""Three entries of 1 KiB fit, where one does in the usual 4,096."""
APPLICATION_ID = 0x67636C67
"""Marks the file as ours ("gclg")."""

COLUMNS = (
    "idx", "logged_at", "sent_at", "author", "type", "message_type", "topic", "project_id",
    "thread_id", "origin", "data", "signed", "prev_hash", "hash", "signature",
)  # fmt: skip
CATALOGUED = COLUMNS[:10]

_TABLES = (
    "CREATE TABLE log (format INTEGER, log_id BLOB, public_key BLOB)",
    "CREATE TABLE pruned (idx INTEGER, hash BLOB, signature BLOB)",
    "CREATE TABLE entries (idx INTEGER PRIMARY KEY, logged_at INTEGER, sent_at INTEGER,"
    " author TEXT, type TEXT, message_type TEXT, topic TEXT, project_id TEXT, thread_id TEXT,"
    " origin BLOB, data BLOB, signed BLOB, prev_hash BLOB, hash BLOB, signature BLOB)",
    "CREATE TABLE catalogue (idx INTEGER PRIMARY KEY, logged_at INTEGER, sent_at INTEGER,"
    " author TEXT, type TEXT, message_type TEXT, topic TEXT, project_id TEXT, thread_id TEXT,"
    " origin BLOB)",
    "CREATE UNIQUE INDEX by_origin ON catalogue (origin) WHERE origin IS NOT NULL",
    "CREATE INDEX by_sent_at ON catalogue (sent_at) WHERE origin IS NOT NULL",
    "CREATE INDEX by_author ON catalogue (author)",
    "CREATE INDEX by_type ON catalogue (type)",
    "CREATE INDEX by_message_type ON catalogue (message_type)",
    "CREATE INDEX by_topic ON catalogue (topic)",
    "CREATE INDEX by_project_id ON catalogue (project_id)",
    "CREATE INDEX by_thread_id ON catalogue (thread_id)",
)


def create_tables(connection: sqlite3.Connection) -> None:
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def require_tables(connection: sqlite3.Connection) -> None:
    """CorruptLog unless the database has exactly our tables: a view or a trigger could make
    queries say what the chain does not."""
    found = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
    ).fetchall()
    if sorted(sql for (sql,) in found) != sorted(_TABLES):
        raise CorruptLog(0, "the tables are not those of an event log")


def connect(path: str, *, read_only: bool = False, timeout: float = 10.0) -> sqlite3.Connection:
    """A connection that any thread may use, one at a time; `timeout` is how long it waits for
    others in seconds. sqlite3.Error where the file cannot be opened."""
    path = os.path.abspath(path)
    address = f"{Path(path).as_uri()}?mode={'ro' if read_only else 'rw'}"
    if read_only and not os.access(os.path.dirname(path), os.W_OK):
        # A reader shares a file beside the log with its writer. Where it cannot be made, and no
        # writer has made it, nobody writes the log: it is an archive.
        address += "" if os.path.exists(f"{path}-wal") else "&immutable=1"
    return sqlite3.connect(
        address,
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
    )


def lock(path: str) -> sqlite3.Connection:
    """Held by whoever writes the log at `path`, until closed or the process is gone.

    A lock of a database beside it: SQLite knows how to lock on every system, and readers of the
    log itself are in nobody's way. EventLogError where another holds it.
    """
    beside = f"{path}-lock"
    create_file(beside)
    connection = connect(beside, timeout=0.0)
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise EventLogError(f"another process (or host) writes this log: {path}") from error
    return connection


def create_file(path: str) -> None:
    """An empty file for its owner alone, unless there is one; SQLite gives what it puts beside it
    the same permissions."""
    try:
        # Never one that is there: closing it would let go of this process's locks of the file.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
