"""Where reports go: looked at before a long run, and again when there is something to write."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

STDOUT = "-"


def check_report_files(files: Iterable[str | None]) -> None:
    """OSError, with the file's name, for the first that cannot be written. None of them changes,
    and none is left behind that was not there. None and `-` stand for no file."""
    for file in files:
        if file not in (None, STDOUT):
            _check(Path(file))


def _check(file: Path) -> None:
    existed = file.exists()
    if existed and not file.is_file() and not file.is_dir():
        return  # a pipe or a device; to open it may take somebody at its other end
    os.close(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666))
    if not existed:
        with suppress(OSError):
            file.unlink()


def write_report(file: str, text: str) -> None:
    """OSError where it cannot be written."""
    # A target's JSON can hold half a surrogate pair, which no encoding has bytes for.
    text = text.encode("utf-8", "backslashreplace").decode()
    if file == STDOUT:
        sys.stdout.write(text)
    else:
        Path(file).write_text(text, encoding="utf-8")
