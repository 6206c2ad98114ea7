"""Standard output that never makes the node wait, and notices that its reader has gone."""

from __future__ import annotations

import os
import select
import stat
import sys

import anyio
import anyio.lowlevel
import anyio.to_thread

WATCH_INTERVAL = 0.25
"""Seconds between two looks whether the reader of a pipe is still there."""


class Output:
    """Writes each piece at once, waiting for a slow reader without blocking the event loop.

    BrokenPipeError where nobody reads any more. One task at a time writes.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stdout.fileno() if descriptor is None else descriptor
        is_pipe = stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)
        self._is_pipe = is_pipe and hasattr(select, "poll")

    async def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[await self._write_some(left) :]

    async def reader_gone(self) -> None:
        """Return when nobody reads any more, as `head` does not after its lines; else never."""
        while not (self._is_pipe and self._state() & select.POLLERR):
            await anyio.sleep(WATCH_INTERVAL)

    async def _write_some(self, data: memoryview) -> int:
        if not self._is_pipe:
            # A terminal can be stopped (Ctrl-S), a disk can hang.
            return await anyio.to_thread.run_sync(
                os.write, self._descriptor, data, abandon_on_cancel=True
            )
        # The pipe may be shared with other programs, so it is not made non-blocking. Where poll
        # says that it can be written to, it takes PIPE_BUF bytes at once.
        while not self._state():
            await anyio.wait_writable(self._descriptor)
        await anyio.lowlevel.checkpoint()
        return os.write(self._descriptor, data[: select.PIPE_BUF])

    def _state(self) -> int:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return next((events for _, events in poll.poll(0)), 0)
