"""A file written by a thread of its own, so that a slow disk holds nobody up."""

from __future__ import annotations

import gzip
import logging
import os
import threading
from typing import BinaryIO, cast

logger = logging.getLogger("gossipsub.tracing")

BUFFER_BYTES = 16 << 20
"""Bytes that may wait for the disk."""
PAUSE = 0.1
"""Seconds between two writes: a thread that woke for each event would take the interpreter from
the event loop each time, which was measured to cost more than all else."""


class BackgroundFile:
    """Takes bytes at once or not at all; a name that ends in `.gz` is compressed.

    An existing file is overwritten, a new one gets the permissions `mode`. OSError where it cannot
    be opened. After an error of the disk, which is logged once, nothing is taken any more.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        buffer_bytes: int = BUFFER_BYTES,
        mode: int = 0o666,
    ) -> None:
        self.path = os.fspath(path)
        self.refused = 0
        """How often something was not taken."""
        self._limit = buffer_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._is_closing = False
        self._changed = threading.Condition()
        self._below = open(  # noqa: SIM115
            self.path, "wb", opener=lambda name, flags: os.open(name, flags, mode)
        )
        self._file: BinaryIO = self._below
        if self.path.endswith(".gz"):
            self._file = cast(BinaryIO, gzip.GzipFile(fileobj=self._below, mode="wb"))
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="gossipsub-file", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> bool:
        """Queue `data`; False where too much waits already, or the file is closed or broken."""
        with self._changed:
            if self._is_closing or self._waiting_bytes + len(data) > self._limit:
                self.refused += 1
                return False
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            if len(self._waiting) == 1 or self._waiting_bytes * 2 > self._limit:
                self._changed.notify()
        return True

    def close(self, timeout: float) -> bool:
        """Write what waits and close the file; False if that was not done in `timeout` seconds
        (it goes on in the background). Blocks; harmless when repeated."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._below, self._file:
                while data := self._take():
                    self._file.write(data)
                    self._file.flush()
        except OSError as error:
            logger.warning("cannot write path=%s error=%s", self.path, error)
            with self._changed:
                self._is_closing = True
                self._waiting.clear()

    def _take(self) -> bytes:
        """What waits, once something does; empty when there is no more to come."""
        with self._changed:
            while not self._waiting and not self._is_closing:
                self._changed.wait()
            if not self._is_closing:
                self._changed.wait(PAUSE)
            data, self._waiting = b"".join(self._waiting), []
            self._waiting_bytes = 0
            return data
