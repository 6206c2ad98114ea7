"""Whether a log is what its node wrote: chain, heads, authors, and a catalogue that agrees."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from struct import error as StructError
from typing import Any

from gossipsub.chorus.event_log.chain import (
    FORMAT,
    LOG_ID_BYTES,
    LogHead,
    genesis_hash,
    pruned_statement,
)
from gossipsub.chorus.event_log.entry import entry_hash, name
from gossipsub.chorus.event_log.errors import CorruptLog
from gossipsub.chorus.event_log.schema import CATALOGUED, COLUMNS, require_tables
from gossipsub.crypto.keys import PublicKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import RemoteProtocolError

_KINDS = (
    "integer", "integer", "integer", "text", "text", "text", "text", "text", "text", "blob",
    "blob", "blob", "blob", "blob", "blob",
)  # fmt: skip
_MAY_BE_NULL = ("origin", "signed", "signature")


@dataclass(frozen=True, slots=True)
class LogVerification:
    """What was proved."""

    node: PeerId
    """Whose log it is: its key signed the heads. Compare it with the peer you expect."""
    entries: int
    first_index: int
    """0 for an empty log."""
    last_index: int
    heads: int
    """Signatures of the node that were checked."""
    messages: int
    """Entries whose author's own signature was checked."""
    newest_head: LogHead | None


class ChainCheck:
    """Takes entries in their order, as the database's rows with texts in UTF-8.

    With `signatures`, each head's and each author's signature is checked; without, the newest
    head's alone, which vouches for every hash before it. CorruptLog at the first entry that does
    not fit.
    """

    def __init__(
        self,
        public_key: PublicKey,
        *,
        index: int,
        hash: bytes,
        signatures: bool,
        anchor: LogHead | None = None,
    ) -> None:
        """Begin after entry `index`, the last of a group, whose hash is `hash`. `anchor` is a head
        kept elsewhere that has to be among the entries."""
        self._public_key = public_key
        self._node = str(public_key.peer_id()).encode()
        self._first = index + 1
        self._index = index
        self._hash = hash
        self._timestamp = -(1 << 63)
        self._previous_head = index
        self._signatures = signatures
        self._anchor = anchor
        self._head: LogHead | None = None
        self._heads = 0
        self._messages = 0
        if anchor is not None and not anchor.is_signed_by(public_key):
            raise CorruptLog(anchor.index, "the head to look for is not of this node")
        if anchor is not None and anchor.index < index:
            raise CorruptLog(anchor.index, "not here; a head kept elsewhere has signed for it")
        if anchor is not None and anchor.index == index:
            self._check_anchor(hash)

    def feed(self, rows: Iterable[tuple[Any, ...]]) -> None:
        index, last_hash, timestamp = self._index, self._hash, self._timestamp
        anchor_index = -1 if self._anchor is None else self._anchor.index
        for row in rows:
            index += 1
            if row[0] != index:
                raise CorruptLog(index, f"missing; entry {row[0]} follows")
            if row[12] != last_hash:
                raise CorruptLog(index, "prev_hash is not the hash of the entry before")
            try:
                last_hash = entry_hash(last_hash, *row[:12])
            except (StructError, TypeError) as error:
                raise CorruptLog(index, "a field has the wrong type") from error
            if row[13] != last_hash:
                raise CorruptLog(index, "the hash is not that of its fields")
            if row[1] < timestamp:
                raise CorruptLog(index, "logged before the entry before it")
            timestamp = row[1]
            if row[14] is not None:
                self._check_head(index, last_hash, row[14])
            if row[11] is None:
                self._require_own(row)
            elif self._signatures:
                self._check_author(row)
            if index == anchor_index:
                self._check_anchor(last_hash)
        self._index, self._hash, self._timestamp = index, last_hash, timestamp

    def finish(self) -> LogVerification:
        """What was proved, of all that was fed."""
        if self._index >= self._first:
            head = self._head
            if head is None or head.index != self._index:
                raise CorruptLog(self._index, "the last entry has no signature; the end is missing")
            if not self._signatures:
                self._require_signed(head)
        if self._anchor is not None and self._anchor.index > self._index:
            raise CorruptLog(self._index + 1, "missing; a head kept elsewhere has signed for more")
        count = self._index - self._first + 1
        return LogVerification(
            node=self._public_key.peer_id(),
            entries=count,
            first_index=self._first if count else 0,
            last_index=self._index if count else 0,
            heads=self._heads,
            messages=self._messages,
            newest_head=self._head,
        )

    def _check_head(self, index: int, hash: bytes, signature: object) -> None:
        if not isinstance(signature, bytes):
            raise CorruptLog(index, "the node's signature is wrong")
        self._head = LogHead(index, self._previous_head, hash, signature)
        self._previous_head = index
        if self._signatures:
            self._require_signed(self._head)

    def _require_signed(self, head: LogHead) -> None:
        self._heads += 1
        if not head.is_signed_by(self._public_key):
            raise CorruptLog(head.index, "the node's signature is wrong, or a head before is gone")

    def _check_anchor(self, hash: bytes) -> None:
        if self._anchor is not None and self._anchor.hash != hash:
            raise CorruptLog(
                self._anchor.index, "it is not the one that the head kept elsewhere has signed"
            )

    def _check_author(self, row: tuple[Any, ...]) -> None:
        try:
            signed = SignedMessage.decode(row[11])
        except RemoteProtocolError as error:
            raise CorruptLog(row[0], f"the message is damaged: {error}") from error
        # First, as the text of a peer id of any length would take any time.
        if not signed.is_genuine():
            raise CorruptLog(row[0], "the author's signature is wrong")
        if signed.origin != row[9] or str(signed.sender).encode() != row[3]:
            raise CorruptLog(row[0], "the message is not its author's")
        if name(signed.topic).encode() != row[6]:
            raise CorruptLog(row[0], "the message is not of its topic")
        self._messages += 1

    def _require_own(self, row: tuple[Any, ...]) -> None:
        """What others said has their signature: a node speaks for itself alone."""
        if row[9] or row[3] != self._node:
            raise CorruptLog(row[0], "it names an author, and has no message")


def read_identity(connection: sqlite3.Connection) -> tuple[bytes, PublicKey, bytes]:
    """The log's id, its node's key, and `prev_hash` of the first entry; CorruptLog where the
    database is no log of ours."""
    require_tables(connection)
    with BytesTexts(connection):
        rows = connection.execute("SELECT format, log_id, public_key FROM log").fetchall()
    if len(rows) != 1:
        raise CorruptLog(0, "the log does not say whose it is")
    number, log_id, encoded = rows[0]
    if number != FORMAT:
        raise CorruptLog(0, f"format {number!r} is not known here, {FORMAT} is")
    if not isinstance(log_id, bytes) or len(log_id) != LOG_ID_BYTES:
        raise CorruptLog(0, "the log has no id")
    try:
        public_key = PublicKey.decode(encoded)
    except (RemoteProtocolError, TypeError) as error:
        raise CorruptLog(0, "the log does not say whose it is") from error
    return log_id, public_key, genesis_hash(log_id, encoded)


def start_of(connection: sqlite3.Connection) -> tuple[PublicKey, int, bytes]:
    """The node's key, and index and hash of the entry before the first: the last that was pruned,
    where its node says so."""
    _, public_key, genesis = read_identity(connection)
    with BytesTexts(connection):
        rows = connection.execute("SELECT idx, hash, signature FROM pruned").fetchall()
    if not rows:
        return public_key, 0, genesis
    index, last_hash, signature = rows[0]
    try:
        statement = pruned_statement(index, last_hash)
        is_signed = len(rows) == 1 and public_key.verify(statement, signature)
    except (StructError, TypeError):
        is_signed = False
    if not is_signed:
        raise CorruptLog(0, "the node did not sign for what is said to be pruned")
    return public_key, index, last_hash


def select_entries(connection: sqlite3.Connection, after: int) -> sqlite3.Cursor:
    """Rows for a ChainCheck; the connection's texts are bytes."""
    return connection.execute(
        f"SELECT {','.join(COLUMNS)} FROM entries WHERE idx > ? ORDER BY idx", (after,)
    )


def verify_tail(connection: sqlite3.Connection, public_key: PublicKey, count: int) -> None:
    """The last `count` entries, from a head on, and the newest head; CorruptLog otherwise."""
    _, index, last_hash = start_of(connection)
    outside = connection.execute(
        "SELECT count(*) FROM entries WHERE idx <= ?", (index,)
    ).fetchone()[0]
    if outside:
        raise CorruptLog(index, "it is there, and is said to be pruned")
    found = connection.execute(
        "SELECT idx, hash FROM entries WHERE signature IS NOT NULL AND idx <="
        " (SELECT max(idx) FROM entries) - ? ORDER BY idx DESC LIMIT 1",
        (count,),
    ).fetchone()
    if found is not None:
        index, last_hash = found
    check = ChainCheck(public_key, index=index, hash=last_hash, signatures=False)
    with BytesTexts(connection):
        check.feed(select_entries(connection, index))
    check.finish()


def verify_tables(connection: sqlite3.Connection) -> None:
    """That all values are of their columns' types, indexes agree with tables, and the catalogue
    with the entries; CorruptLog otherwise."""
    wrong = " OR ".join(
        f"typeof({name}) NOT IN ('{kind}', '{'null' if name in _MAY_BE_NULL else kind}')"
        for name, kind in zip(COLUMNS, _KINDS, strict=True)
    )
    _require_none(
        connection,
        f"SELECT idx FROM entries WHERE {wrong} OR length(origin) = 0 OR length(signed) = 0"
        " OR (origin IS NULL) <> (signed IS NULL) LIMIT 1",
        "a field has the wrong type",
    )
    _require_none(
        connection, "SELECT idx FROM entries WHERE idx < 1 LIMIT 1", "no entry has this number"
    )
    differ = " OR ".join(f"c.{name} IS NOT e.{name}" for name in CATALOGUED[1:])
    _require_none(
        connection,
        "SELECT c.idx FROM catalogue c LEFT JOIN entries e ON c.idx = e.idx"
        f" WHERE e.idx IS NULL OR {differ} LIMIT 1",
        "the catalogue says otherwise",
    )
    _require_none(
        connection,
        "SELECT e.idx FROM entries e LEFT JOIN catalogue c ON c.idx = e.idx WHERE c.idx IS NULL"
        " AND e.idx <= (SELECT max(idx) FROM catalogue) LIMIT 1",
        "the catalogue lacks it",
    )
    complaint = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if complaint != "ok":
        raise CorruptLog(0, f"the database is damaged: {complaint}")


class BytesTexts:
    """Texts of the connection are bytes meanwhile: no decoding, and no error of it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._before = self._connection.text_factory
        self._connection.text_factory = bytes

    def __exit__(self, *_: object) -> None:
        self._connection.text_factory = self._before


def _require_none(connection: sqlite3.Connection, query: str, reason: str) -> None:
    found = connection.execute(query).fetchone()
    if found is not None:
        raise CorruptLog(found[0], reason)
