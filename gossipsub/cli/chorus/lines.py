"""Lines of output that come from callbacks, written until there were enough."""

from __future__ import annotations

from collections import deque

import anyio

from gossipsub.cli.exit_status import DONE, TIMED_OUT
from gossipsub.cli.output import Output
from gossipsub.wake import Wake

WAITING = 1024
"""Lines that wait for a slow reader; further ones are lost and counted."""


class Lines:
    """`put` from anywhere in the event loop, while one task is in `write`."""

    def __init__(self) -> None:
        self.lost = 0
        self._waiting: deque[bytes] = deque()
        self._wake = Wake()

    def put(self, line: str) -> None:
        """The line is text that does nothing to a terminal, without its newline."""
        if len(self._waiting) == WAITING:
            self.lost += 1
            return
        self._waiting.append(f"{line}\n".encode())
        self._wake.set()

    async def write(
        self, output: Output, *, count: int | None = None, seconds: float | None = None
    ) -> int:
        """The exit status: 0 after `count` lines or when nobody reads any more, 27 after `seconds`.
        OSError where it cannot be written."""
        failure: OSError | None = None
        with anyio.move_on_after(seconds) as waiting:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_end_with_reader, output, tasks.cancel_scope)
                try:
                    await self._write(output, count)
                except BrokenPipeError:
                    pass  # nobody reads any more: the end, too
                except OSError as error:
                    failure = error
                tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return TIMED_OUT if waiting.cancelled_caught else DONE

    async def _write(self, output: Output, count: int | None) -> None:
        written = 0
        while True:
            await self._wake.wait()
            while self._waiting:
                await output.write(self._waiting.popleft())
                written += 1
                if written == count:
                    return


async def _end_with_reader(output: Output, scope: anyio.CancelScope) -> None:
    await output.reader_gone()
    scope.cancel()
