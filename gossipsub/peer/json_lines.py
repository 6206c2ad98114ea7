"""JSON lines over standard input and output without ever blocking the event loop."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.to_thread

from gossipsub.wake import Wake

MAX_LINE_BYTES = 16 << 20
MAX_WAITING = 100_000
"""Lines nobody reads; the peer ends rather than grow further."""


async def read_lines(descriptor: int) -> AsyncIterator[bytes]:
    """Lines until the end of input. ValueError for one above 16 MiB."""
    waiting = bytearray()
    while True:
        try:
            await anyio.wait_readable(descriptor)
        except PermissionError:
            await anyio.lowlevel.checkpoint()  # a file or /dev/null: always readable
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return
        waiting += chunk
        if b"\n" in chunk:
            *lines, rest = bytes(waiting).split(b"\n")
            waiting = bytearray(rest)
            for line in lines:
                if line.strip():
                    yield line
        if len(waiting) > MAX_LINE_BYTES:
            raise ValueError(f"a line is longer than {MAX_LINE_BYTES} bytes")


class LineWriter:
    """Events in the order given; a thread does the writing, so a slow reader blocks nothing."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self._wake = Wake()

    def write(self, event: dict[str, Any]) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise BrokenPipeError(f"{MAX_WAITING} events wait and nobody reads them")
        self._waiting.append(json.dumps(event, separators=(",", ":")).encode() + b"\n")
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            await self.flush()

    async def flush(self) -> None:
        while self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            await anyio.to_thread.run_sync(self._write_all, data)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
