"""What the commands' tests share: a pipe to write to, lines to read from it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import anyio
import pytest

from gossipsub.cli.output import Output


class Captured:
    """An `Output` and what was written to it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._got = bytearray()
        self._is_read = True
        self.output = Output(self._write)

    async def line(self) -> str:
        """The next line, within 10 seconds."""
        with anyio.fail_after(10):
            while b"\n" not in self._got:
                await anyio.wait_readable(self._read)
                self._got += os.read(self._read, 65536)
        line, _, rest = bytes(self._got).partition(b"\n")
        self._got = bytearray(rest)
        return line.decode()

    async def read(self, size: int) -> bytes:
        """The next `size` bytes, within 10 seconds."""
        with anyio.fail_after(10):
            while len(self._got) < size:
                await anyio.wait_readable(self._read)
                self._got += os.read(self._read, 65536)
        data, self._got = bytes(self._got[:size]), self._got[size:]
        return data

    def rest(self) -> bytes:
        """What was written and not read yet; nothing may be written later."""
        os.close(self._write)
        self._write = -1
        while chunk := os.read(self._read, 65536):
            self._got += chunk
        rest, self._got = bytes(self._got), bytearray()
        return rest

    def stop_reading(self) -> None:
        if self._is_read:
            self._is_read = False
            os.close(self._read)

    def close(self) -> None:
        self.stop_reading()
        if self._write >= 0:
            os.close(self._write)


@pytest.fixture
def captured() -> Iterator[Captured]:
    capture = Captured()
    yield capture
    capture.close()
