"""Sequence numbers of authors that survive a restart, in a SQLite file."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from types import TracebackType
from typing import Self

from gossipsub.crypto.message_signing import SEQNO_BYTES
from gossipsub.crypto.peer_id import PeerId
from gossipsub.validators.arguments import require_positive
from gossipsub.validators.sequence_numbers import CAPACITY, SequenceNumberTable
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.validators.sequence_number_file")

PATIENCE = 5.0
"""Seconds to wait for another process that has the file, and for the disk when it is closed."""

# SQLite's integers have a sign: the numbers are kept as the 8 bytes they are on the wire.
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS authors (
        author BLOB PRIMARY KEY, seqno BLOB NOT NULL, messages INTEGER NOT NULL
    ) WITHOUT ROWID
"""
_LOAD = "SELECT author, seqno, messages FROM authors ORDER BY messages DESC LIMIT ?"
# The higher one stays, whatever another process may have put there.
_SAVE = """
    INSERT INTO authors VALUES (?, ?, ?) ON CONFLICT (author) DO UPDATE SET
        seqno = max(seqno, excluded.seqno), messages = max(messages, excluded.messages)
"""
_COUNT = "SELECT count(*) FROM authors"
_TRIM = """
    DELETE FROM authors WHERE author IN (SELECT author FROM authors ORDER BY messages LIMIT ?)
"""

_Row = tuple[bytes, bytes, int]


class SequenceNumberFile:
    """A store for `IncreasingSequenceNumbers` whose numbers are in the file `path`, made if needed.

    All of it is read at once when opened. After that it is a `SequenceNumberTable` with the same
    `capacity`, whose changes a thread writes down every `save_interval` seconds: the event loop
    never waits for the disk. At any moment the file is whole. A process that is killed forgets
    what came in the last interval; `close`, or leaving `with`, forgets nothing. When the file
    cannot be written, that is logged, once, and tried again.

    Raises LocalProtocolError that names the path when it cannot be opened or holds something else,
    ValueError for a wrong `capacity` or `save_interval`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        capacity: int = CAPACITY,
        save_interval: float = 1.0,
    ) -> None:
        require_positive("save_interval", save_interval)
        self._table = SequenceNumberTable(capacity=capacity)
        self._path = os.fspath(path)
        self._capacity = capacity
        self._save_interval = save_interval
        self._unsaved: dict[PeerId, _Row] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open()
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="gossipsub-seqnos", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._table)

    @property
    def unsaved(self) -> int:
        """How many authors' numbers wait to be written; twice `capacity` at most."""
        return len(self._unsaved)

    def get(self, author: PeerId) -> int | None:
        """The number put last; None for an author that is not known (any more)."""
        return self._table.get(author)

    def put(self, author: PeerId, seqno: int) -> None:
        """LocalProtocolError when it is closed."""
        if self._closing.is_set():
            raise LocalProtocolError(f"the file of sequence numbers is closed: {self._path!r}")
        self._table.put(author, seqno)
        row = (bytes(author), seqno.to_bytes(SEQNO_BYTES, "big"), self._table.messages(author))
        with self._lock:
            self._unsaved[author] = row
            self._bound_unsaved()

    def close(self, timeout: float = PATIENCE) -> bool:
        """Save what is not saved yet; False if that was not done in `timeout` seconds (it goes on
        in the background). Blocks; harmless when repeated."""
        self._closing.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _open(self) -> None:
        try:
            self._database = sqlite3.connect(
                self._path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                self._load()
            except BaseException:
                self._database.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise LocalProtocolError(
                f"cannot open the file of sequence numbers {self._path!r}: {error}"
            ) from error

    def _load(self) -> None:
        self._database.execute(_SCHEMA)
        for author, seqno, messages in self._database.execute(_LOAD, (self._capacity,)):
            kinds = (type(author), type(seqno), type(messages))
            if kinds != (bytes, bytes, int) or len(seqno) != SEQNO_BYTES:
                raise LocalProtocolError(f"no sequence numbers in {self._path!r}: {author!r}"[:200])
            self._table.put(PeerId(author), int.from_bytes(seqno, "big"), messages=messages)

    def _run(self) -> None:
        is_failing = False
        try:
            is_last = False
            while not is_last:
                is_last = self._closing.wait(self._save_interval)
                with self._lock:
                    rows, self._unsaved = self._unsaved, {}
                try:
                    self._save(rows)
                    is_failing = False
                except sqlite3.Error as error:
                    if not is_failing:
                        logger.warning("cannot save path=%s error=%s", self._path, error)
                    is_failing = True
                    with self._lock:
                        self._unsaved = rows | self._unsaved
                        self._bound_unsaved()
        finally:
            self._database.close()

    def _save(self, rows: dict[PeerId, _Row]) -> None:
        if not rows:
            return
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(_SAVE, rows.values())
            (count,) = self._database.execute(_COUNT).fetchone()
            if count > self._capacity:
                self._database.execute(_TRIM, (count - self._capacity,))

    def _bound_unsaved(self) -> None:
        """While the disk is slow, authors come and are forgotten again."""
        if len(self._unsaved) > 2 * self._capacity:
            rows = self._unsaved.items()
            self._unsaved = {author: row for author, row in rows if author in self._table}
