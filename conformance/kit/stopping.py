"""Ctrl-C and SIGTERM: what is under way is cancelled, which ends the processes it has started."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import anyio

from gossipsub.cli.exit_status import INTERRUPTED, TERMINATED

_STOPS = {
    signal.SIGINT: ("interrupted", INTERRUPTED),
    signal.SIGTERM: ("terminated", TERMINATED),
}


async def attend(work: Callable[[], Awaitable[int]], tell: Callable[[str], object]) -> int:
    """The exit status of `work`.

    Where a signal comes before its end it is cancelled; `tell` then hears in a word what happened,
    and the status is 130 or 143. Further signals disturb neither its end nor `tell`.
    """
    status: int | None = None
    failure: Exception | None = None
    stopped_by: list[signal.Signals] = []

    async def watch() -> None:
        async for number in signals:
            stopped_by.append(number)
            tasks.cancel_scope.cancel()

    with anyio.open_signal_receiver(*_STOPS) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            try:
                status = await work()
            except Exception as error:  # raised below, not as part of a group
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if status is None:
            word, status = _STOPS[stopped_by[0]]
            tell(word)
    return status
