"""Finding entries: by name, time and place, through the catalogue's indexes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gossipsub.chorus.event_log.entry import LogEntry, name
from gossipsub.chorus.event_log.schema import COLUMNS
from gossipsub.chorus.event_log.store import index_before
from gossipsub.wire.errors import LocalProtocolError

_NAMES = ("type", "message_type", "author", "project_id", "thread_id", "topic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which entries; None asks for any. Names are compared as entries keep them, cut to 256
    characters; times are nanoseconds since 1970 by the logging node's clock."""

    type: str | None = None
    message_type: str | None = None
    author: str | None = None
    project_id: str | None = None
    thread_id: str | None = None
    topic: str | None = None
    since: int | None = None
    """Logged at this time or later."""
    until: int | None = None
    """Logged before this time."""
    after_index: int = 0
    before_index: int | None = None
    limit: int | None = None
    newest_first: bool = False

    def __post_init__(self) -> None:
        for field in _NAMES:
            value = getattr(self, field)
            if value is not None and not isinstance(value, str):
                raise LocalProtocolError(f"{field} is text, not of type {type(value).__name__}")
        for field in ("since", "until", "after_index", "before_index", "limit"):
            value = getattr(self, field)
            if value is not None and type(value) is not int:
                kind = type(value).__name__
                raise LocalProtocolError(f"{field} is a whole number, not of type {kind}")
        if self.limit is not None and self.limit < 0:
            raise LocalProtocolError(f"limit is at least 0: {self.limit}")

    def names(self) -> dict[str, str]:
        """Those asked for, as entries keep them."""
        return {
            field: name(value) for field in _NAMES if (value := getattr(self, field)) is not None
        }

    def matches(self, entry: LogEntry) -> bool:
        """Without regard to `limit`."""
        return (
            self.after_index < entry.index
            and (self.before_index is None or entry.index < self.before_index)
            and (self.since is None or self.since <= entry.logged_at)
            and (self.until is None or entry.logged_at < self.until)
            and all(getattr(entry, field) == value for field, value in self.names().items())
        )

    def beyond(self, entry: LogEntry) -> Query:
        """The same after `entry`, in the query's order."""
        if self.newest_first:
            return replace(self, before_index=entry.index)
        return replace(self, after_index=entry.index)


def find_entries(connection: sqlite3.Connection, query: Query, limit: int) -> list[LogEntry]:
    """The first `limit` entries of the query."""
    connection.execute("BEGIN")
    try:
        low, high = _bounds(connection, query)
        catalogued: int = connection.execute(
            "SELECT coalesce(max(idx), 0) FROM catalogue"
        ).fetchone()[0]
        # What waits for the catalogue is looked through one by one.
        parts = [
            (_CATALOGUED, low, min(high, catalogued + 1)),
            (_WAITING, max(low, catalogued), high),
        ]
        if query.newest_first:
            parts.reverse()
        found: list[LogEntry] = []
        for statement, after, before in parts:
            if after + 1 < before and len(found) < limit:
                found += _select(connection, query, statement, after, before, limit - len(found))
    finally:
        connection.execute("COMMIT")
    return found


_CATALOGUED = (
    f"SELECT {','.join(f'e.{column}' for column in COLUMNS)} FROM catalogue c"
    " JOIN entries e ON e.idx = c.idx WHERE c.idx > ? AND c.idx < ?"
)
_WAITING = f"SELECT {','.join(COLUMNS)} FROM entries c WHERE c.idx > ? AND c.idx < ?"


def _select(
    connection: sqlite3.Connection,
    query: Query,
    statement: str,
    after: int,
    before: int,
    limit: int,
) -> Iterable[LogEntry]:
    names = query.names()
    conditions = "".join(f" AND c.{field} = ?" for field in names)
    order = "DESC" if query.newest_first else "ASC"
    rows = connection.execute(
        f"{statement}{conditions} ORDER BY c.idx {order} LIMIT ?",
        (after, before, *names.values(), limit),
    )
    return [LogEntry.of_row(row) for row in rows]


def _bounds(connection: sqlite3.Connection, query: Query) -> tuple[int, int]:
    """Indexes between which to look, both outside."""
    last: int = connection.execute("SELECT coalesce(max(idx), 0) FROM entries").fetchone()[0]
    low, high = query.after_index, last + 1
    if query.before_index is not None:
        high = min(high, query.before_index)
    if query.since is not None:
        low = max(low, index_before(connection, query.since))
    if query.until is not None:
        # Index 0 also stands for "none": everything is logged later.
        high = min(high, index_before(connection, query.until) + 1)
    return max(low, 0), high
