"""A child process with all that it starts in turn: a shell, say, or npx, and the peer behind it.

The group is a session of its own, so that no terminal's Ctrl-C reaches it: who started it ends it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

import anyio
from anyio.abc import Process


async def open_group(command: Sequence[str]) -> Process:
    """Start the first of a group, with pipes. OSError where it cannot be started."""
    return await anyio.open_process(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def signal_group(process: Process, number: signal.Signals) -> None:
    """Send all of the group a signal, also when the first has ended; harmless where all have.

    No stranger is reached: as long as one of the group lives, no other process gets its number.
    Systems without process groups signal the first alone.
    """
    with suppress(ProcessLookupError, PermissionError):  # macOS forbids what has just ended
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        elif process.returncode is None:
            process.send_signal(number)


async def kill_group(process: Process, *, grace: float) -> None:
    """Tell them to end, and kill after so many seconds whoever has not: also those that the first
    left behind when it ended."""
    if process.returncode is None:
        signal_group(process, signal.SIGTERM)
        with anyio.move_on_after(grace):
            await process.wait()
    signal_group(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    await process.wait()
