"""JSON lines over standard input and output without ever blocking the event loop."""

from __future__ import annotations

import json
import os
import stat
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from gossipsub.wake import Wake
from gossipsub.wire.errors import GossipSubError

READ_BYTES = 65536
MAX_LINE_BYTES = 16 << 20
FULL_BYTES = 4 << 20
"""So much waits to be read, and `room` lets nobody write more."""
GOODBYE_SECONDS = 1.0
"""How long the last lines may take to be read."""


MAX_WAITING_BYTES = 64 << 20


class DriverFailed(GossipSubError):
    """Whoever is at the other end of the pipes misbehaves; the process ends rather than grow."""


async def read_lines(descriptor: int) -> AsyncIterator[bytes]:
    """Lines until the end of input, empty ones left out. DriverFailed above 16 MiB."""
    waiting = bytearray()
    while True:
        try:
            await anyio.wait_readable(descriptor)
        except PermissionError:
            await anyio.lowlevel.checkpoint()  # a file or /dev/null: always readable
        chunk = os.read(descriptor, READ_BYTES)
        waiting += chunk or b"\n"
        if len(waiting) > MAX_LINE_BYTES:
            raise DriverFailed(f"a line is longer than {MAX_LINE_BYTES} bytes")
        if b"\n" in chunk or not chunk:
            *lines, rest = bytes(waiting).split(b"\n")
            waiting = bytearray(rest)
            for line in lines:
                if line.strip():
                    yield line
        if not chunk:
            return


class LineWriter:
    """Events in the order given, written by `run`, so that a slow reader blocks nothing.

    `write` takes whatever it is given: who writes much awaits `room`, or calls `check`. Where
    nobody reads any more, events are thrown away.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # Only a pipe is made non-blocking: that mode belongs to all who hold the same terminal.
        self._is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        if self._is_pipe:
            os.set_blocking(descriptor, False)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._begun = memoryview(b"")
        self._wake = Wake()
        self._room = anyio.Event()
        self._is_over = False

    def write(self, event: dict[str, Any]) -> None:
        if self._is_over:
            return
        line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        self._wake.set()

    async def room(self) -> None:
        """Return when less than 4 MiB wait to be read."""
        while self._waiting_bytes >= FULL_BYTES:
            await self._room.wait()

    def check(self) -> None:
        """DriverFailed when more than 64 MiB wait to be read."""
        if self._waiting_bytes > MAX_WAITING_BYTES:
            raise DriverFailed(f"more than {MAX_WAITING_BYTES} bytes of answers wait unread")

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            await self.flush()

    async def flush(self) -> None:
        """Return when all is written, or nobody reads any more."""
        while self._waiting_bytes:
            if not self._begun:
                self._begun = memoryview(b"".join(self._waiting))
                self._waiting.clear()
            try:
                self._written(await self._write())
            except BlockingIOError:
                await anyio.wait_writable(self._descriptor)
            except BrokenPipeError:
                self._is_over = True
                self._waiting.clear()
                self._written(self._waiting_bytes)

    async def _write(self) -> int:
        if self._is_pipe:
            return os.write(self._descriptor, self._begun)
        return await anyio.to_thread.run_sync(os.write, self._descriptor, self._begun)

    def _written(self, size: int) -> None:
        self._begun = self._begun[size:]
        self._waiting_bytes -= size
        if self._waiting_bytes < FULL_BYTES:
            room, self._room = self._room, anyio.Event()
            room.set()

    async def say_goodbye(self) -> None:
        """Write what still waits, for a second at most."""
        with anyio.move_on_after(GOODBYE_SECONDS):
            await self.flush()
        if self._is_pipe:
            os.set_blocking(self._descriptor, True)
