"""The log as JSON lines, which prove themselves without the database."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from gossipsub.chorus.errors import MalformedEnvelope
from gossipsub.chorus.event_log.chain import FORMAT, LOG_ID_BYTES, LogHead, genesis_hash
from gossipsub.chorus.event_log.entry import MAX_DATA_BYTES, MAX_DEPTH, LogEntry, encode_data
from gossipsub.chorus.event_log.errors import CorruptLog, EventLogError
from gossipsub.chorus.event_log.schema import COLUMNS
from gossipsub.chorus.event_log.verification import (
    ChainCheck,
    LogVerification,
    read_identity,
    start_of,
)
from gossipsub.chorus.go_json import read_value
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.keys import PublicKey
from gossipsub.wire.errors import RemoteProtocolError

_PAGE_ENTRIES = 64
EXPORT_NAME = "gossipsub-chorus-log"
_FIELDS = frozenset(
    (
        "index", "timestamp", "author", "type", "hash", "prev_hash", "sent_at", "data", "origin",
        "signed", "signature", "message_type", "topic", "project_id", "thread_id",
    )
)  # fmt: skip
MAX_LINE_BYTES = 16 << 20
"""A line takes the data as it is and the message in base64."""


def first_line(log_id: bytes, public_key: PublicKey, *, index: int, hash: bytes) -> bytes:
    """Whose log it is, and after which entry the lines begin."""
    return _line(
        {
            "export": EXPORT_NAME,
            "format": FORMAT,
            "log_id": log_id.hex(),
            "node": str(public_key.peer_id()),
            "public_key": _base64(public_key.encode()),
            "after": {"index": index, "hash": hash.hex()},
        }
    )


def entry_line(entry: LogEntry) -> bytes:
    """The entry's fields, with what is empty left out and the data as JSON."""
    fields: dict[str, object] = {
        "index": entry.index,
        "timestamp": entry.timestamp.text,
        "author": entry.author,
        "type": entry.type,
        "hash": entry.hash.hex(),
        "prev_hash": entry.prev_hash.hex(),
        "sent_at": Timestamp.from_unix_ns(entry.sent_at).text,
    }
    for field in ("message_type", "topic", "project_id", "thread_id"):
        if value := getattr(entry, field):
            fields[field] = value
    for field in ("origin", "signed", "signature"):
        if (value := getattr(entry, field)) is not None:
            fields[field] = _base64(value)
    # Its own bytes and in the end, so that other languages can cut it out as it was hashed.
    return b'%s,"data":%s}\n' % (_line(fields)[:-2], entry.data_json)


class Exporter:
    """The lines of an export, a page at a time, as the database is at the first."""

    def __init__(self, after_index: int) -> None:
        self._after = after_index
        self._last: int | None = None

    def next_lines(self, connection: sqlite3.Connection) -> list[bytes] | None:
        """None behind the last; EventLogError when entries were pruned meanwhile."""
        lines = []
        if self._last is None:
            lines.append(self._begin(connection))
        elif self._after >= self._last:
            return None
        rows = connection.execute(
            f"SELECT {','.join(COLUMNS)} FROM entries WHERE idx > ? AND idx <= ?"
            " ORDER BY idx LIMIT ?",
            (self._after, self._last, _PAGE_ENTRIES),
        ).fetchall()
        if self._after < (self._last or 0):
            if not rows or rows[0][0] != self._after + 1:
                raise EventLogError("entries were pruned before they were exported")
            self._after = rows[-1][0]
        return lines + [entry_line(LogEntry.of_row(row)) for row in rows]

    def _begin(self, connection: sqlite3.Connection) -> bytes:
        """From the last head up to where the lines are to begin, or where the log begins."""
        self._last = connection.execute("SELECT coalesce(max(idx), 0) FROM entries").fetchone()[0]
        log_id, public_key, _ = read_identity(connection)
        row = connection.execute(
            "SELECT idx, hash FROM entries WHERE signature IS NOT NULL AND idx <= ?"
            " ORDER BY idx DESC LIMIT 1",
            (self._after,),
        ).fetchone()
        self._after, last_hash = row or start_of(connection)[1:]
        return first_line(log_id, public_key, index=self._after, hash=last_hash)


def verify_export(
    lines: Iterable[bytes | str], *, signatures: bool = True, anchor: LogHead | None = None
) -> LogVerification:
    """Prove an export by itself: chain, heads and authors, as `EventLogReader.verify` does.

    It proves what the node `LogVerification.node` wrote from the export's first entry to its last;
    that nothing came before or after, `anchor` can show. `lines` is a file, or whatever gives its
    lines; without `signatures` only the newest head's is checked. CorruptLog where a line is not
    what the node wrote. Blocks.
    """
    iterator = iter(lines)
    first = next(iterator, None)
    if first is None:
        raise CorruptLog(0, "the export is empty")
    check = _begin(_fields(first, 0), signatures, anchor)
    index = 0
    for line in iterator:
        row = _row(_fields(line, index + 1), index + 1)
        index = row[0]
        check.feed((row,))
    return check.finish()


def _begin(fields: Mapping[str, Any], signatures: bool, anchor: LogHead | None) -> ChainCheck:
    try:
        if fields["export"] != EXPORT_NAME or fields["format"] != FORMAT:
            raise CorruptLog(0, f"not an export of format {FORMAT}")
        encoded = b64decode(fields["public_key"], validate=True)
        public_key = PublicKey.decode(encoded)
        log_id = bytes.fromhex(fields["log_id"])
        after = fields["after"]
        index, last_hash = _int(after["index"]), bytes.fromhex(after["hash"])
    except (KeyError, TypeError, ValueError, RemoteProtocolError) as error:
        raise CorruptLog(0, "the export does not say whose it is") from error
    if str(public_key.peer_id()) != fields.get("node") or len(log_id) != LOG_ID_BYTES:
        raise CorruptLog(0, "the export does not say whose it is")
    if index == 0 and last_hash != genesis_hash(log_id, encoded):
        raise CorruptLog(0, "the export does not begin as this log does")
    return ChainCheck(
        public_key,
        index=index,
        hash=last_hash,
        signatures=signatures,
        anchor=anchor,
    )


def _fields(line: bytes | str, index: int) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise CorruptLog(index, f"a line of more than {MAX_LINE_BYTES} bytes")
    try:
        json.loads(line, object_pairs_hook=_object)
        fields = read_value(
            line.encode() if isinstance(line, str) else line, max_depth=MAX_DEPTH + 1
        )
    except (ValueError, RecursionError, MalformedEnvelope) as error:
        raise CorruptLog(index, f"not a line of JSON: {str(error)[:80]}") from error
    if not isinstance(fields, dict):
        raise CorruptLog(index, "not an object")
    return fields


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuses a repeated name: readers would differ on which of the two counts."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name is there twice")
    return fields


def _row(fields: Mapping[str, Any], index: int) -> tuple[Any, ...]:
    """The entry as the database would have it, with texts in UTF-8."""
    for field in fields:
        if field not in _FIELDS:
            raise CorruptLog(index, f"an unknown field: {field[:32]!r}")
    try:
        data = encode_data(fields["data"])
        if len(data) > MAX_DATA_BYTES:
            raise CorruptLog(index, "the data is too large")
        names = ("message_type", "topic", "project_id", "thread_id")
        return (
            _int(fields["index"]),
            Timestamp(fields["timestamp"]).unix_ns,
            Timestamp(fields["sent_at"]).unix_ns,
            fields["author"].encode(),
            fields["type"].encode(),
            *(fields.get(field, "").encode() for field in names),
            _bytes(fields.get("origin")),
            data,
            _bytes(fields.get("signed")),
            bytes.fromhex(fields["prev_hash"]),
            bytes.fromhex(fields["hash"]),
            _bytes(fields.get("signature")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, MalformedEnvelope) as error:
        raise CorruptLog(index, f"not an entry: {str(error)[:80]}") from error


def _int(value: object) -> int:
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value


def _bytes(text: str | None) -> bytes | None:
    if text is None:
        return None
    if not text:
        raise ValueError("nothing where bytes should be")
    return b64decode(text, validate=True)


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _line(fields: Mapping[str, object]) -> bytes:
    return encode_data(fields) + b"\n"
