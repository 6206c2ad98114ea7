from __future__ import annotations

import gzip
import logging
import os
import threading
from pathlib import Path

import pytest

from gossipsub.tracing.background_file import BackgroundFile


def test_a_file_holds_what_was_written_in_order(tmp_path: Path) -> None:
    file = BackgroundFile(tmp_path / "f")
    parts = [f"{number}\n".encode() for number in range(2000)]
    assert [file.write(part) for part in parts] == [True] * 2000
    assert file.close(10.0)
    assert (tmp_path / "f").read_bytes() == b"".join(parts)


def test_the_ending_gz_compresses(tmp_path: Path) -> None:
    file = BackgroundFile(tmp_path / "f.gz")
    file.write(b"a" * 1000)
    assert file.close(10.0)
    assert gzip.decompress((tmp_path / "f.gz").read_bytes()) == b"a" * 1000


def test_what_the_disk_cannot_keep_up_with_is_refused_and_counted(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    os.mkfifo(slow)  # a disk that takes nothing, until somebody reads
    reader = os.open(slow, os.O_RDONLY | os.O_NONBLOCK)
    file = BackgroundFile(slow, buffer_bytes=200_000)
    while file.write(bytes(10_000)):
        pass
    assert file.refused == 1
    assert not file.close(0.05)
    os.set_blocking(reader, True)
    received = bytearray()
    while chunk := os.read(reader, 1 << 16):
        received += chunk
    os.close(reader)
    assert file.close(10.0)
    assert len(received) >= 200_000
    assert not file.write(b"after the end")


def test_a_disk_that_fails_is_logged_once_and_nothing_more_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = BackgroundFile("/dev/full")
    with caplog.at_level(logging.WARNING):
        while file.write(bytes(100_000)):
            pass
        assert file.close(10.0)
    assert caplog.messages == [
        "cannot write path=/dev/full error=[Errno 28] No space left on device"
    ]


def test_a_file_that_cannot_be_opened_starts_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(FileNotFoundError):
        BackgroundFile(tmp_path / "no folder" / "f")
    assert threading.active_count() == before
