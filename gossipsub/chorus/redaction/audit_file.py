"""The audit trail as a file of JSON lines."""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from typing import Self

from gossipsub.chorus.redaction.finding import RedactionRecord

logger = logging.getLogger("gossipsub.chorus.redaction.audit_file")

WAITING = 4096
"""Records that may wait for the disk."""
CLOSING = 5.0
"""Seconds in which `close` has what waits written."""


class AuditFile:
    """A sink that appends to a file which its owner alone can read (mode 0600).

    `with AuditFile(path) as audit: sentinel = Sentinel(audit=audit)`. A thread of its own writes,
    so that a slow disk holds up nobody; beyond 4096 that wait, records are left out and counted
    in `refused`. OSError where the file cannot be opened; after a later error of the disk, which
    is logged once, nothing is taken any more.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.refused = 0
        """Records that were not written."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.chmod(path, 0o600)  # it may have been there before
        except OSError:
            os.close(self._descriptor)
            raise
        self._is_open = True
        self._waiting: queue.Queue[bytes | None] = queue.Queue(WAITING)
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="gossipsub-audit", daemon=True)
        self._thread.start()

    def __call__(self, record: RedactionRecord) -> None:
        try:
            if not self._is_open:
                raise queue.Full
            self._waiting.put_nowait(_line(record))
        except queue.Full:
            self.refused += 1

    def close(self) -> bool:
        """Write what waits, in at most five seconds; False if that was not enough. Blocks;
        harmless when repeated."""
        if self._is_open:
            self._is_open = False
            try:
                self._waiting.put(None, timeout=CLOSING)
            except queue.Full:
                return False
        self._thread.join(CLOSING)
        return not self._thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            with open(self._descriptor, "ab", buffering=0) as file:
                while line := self._waiting.get():
                    file.write(line)
        except OSError as error:
            self._is_open = False
            logger.warning("cannot write the audit trail error=%s", error)


def _line(record: RedactionRecord) -> bytes:
    finding = record.finding
    fields = {
        "at": record.at,
        "rule": finding.rule,
        "severity": finding.severity,
        "category": finding.category,
        "tags": finding.tags,
        "place": finding.place,
        "is_name": finding.is_name,
        "start": finding.start,
        "length": finding.length,
        "digest": record.digest,
        "labels": dict(record.labels),
    }
    return json.dumps(fields).encode() + b"\n"
