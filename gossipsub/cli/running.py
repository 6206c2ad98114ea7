"""Runs the part of a command that has a node: signals end it, errors become sentences."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio

from gossipsub.cli.exit_status import FAILED, INTERRUPTED, TERMINATED
from gossipsub.wire.errors import GossipSubError


def run(command: str, work: Callable[[], Awaitable[int]], *, terminated: int = TERMINATED) -> int:
    """The exit status of `work`. Ctrl-C and SIGTERM cancel it, so that its node says goodbye, which
    further ones do not disturb. `terminated` is the status after SIGTERM."""
    return anyio.run(_attend, command, work, terminated)


async def _attend(command: str, work: Callable[[], Awaitable[int]], terminated: int) -> int:
    status = FAILED
    stopped_by: list[int] = []
    gone: BrokenPipeError | None = None

    async def watch() -> None:
        async for number in signals:
            stopped_by.append(number)
            tasks.cancel_scope.cancel()

    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            try:
                status = await work()
            except BrokenPipeError as error:
                gone = error
            except (GossipSubError, OSError) as error:
                status = fail(command, error)
            tasks.cancel_scope.cancel()
    if gone is not None:
        raise gone
    if stopped_by:
        return INTERRUPTED if stopped_by[0] == signal.SIGINT else terminated
    return status


@contextmanager
def keeping_what_is_loaded() -> Iterator[None]:
    """Within, no garbage is looked for in what was there before: modules stay, and going through
    all of theirs stops a node for 10 ms, time and again."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def fail(command: str, error: Exception | str) -> int:
    """Say on standard error what went wrong; the exit status for it."""
    tell(command, reason(error))
    return FAILED


def tell(command: str, sentence: str) -> None:
    print(f"gossipsub {command}: {sentence}", file=sys.stderr, flush=True)


def reason(error: Exception | str) -> str:
    """The error in a sentence, on one line."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return "; ".join(str(error).splitlines())
