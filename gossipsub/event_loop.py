"""Which event loop runs the present task, and its clocks.

asyncio is imported by those who run something: a command's help does without.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    import asyncio


def asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """asyncio's, or uvloop's; None under trio. Its futures and transports take a fifth of the time
    that anyio's events and streams do."""
    import asyncio

    try:
        # A loop may run whose callbacks run trio ("guest mode"): no task is its own then.
        return None if asyncio.current_task() is None else asyncio.get_running_loop()
    except RuntimeError:
        return None


def taskless_context() -> Context:
    """A copy of the present context, for callbacks of asyncio's loop that belong to no task.
    Where sniffio is installed anyio asks it which event loop runs, and it looks for a task: in
    here it is told."""
    context = copy_context()
    with suppress(ImportError):
        from sniffio import current_async_library_cvar

        context.run(current_async_library_cvar.set, "asyncio")
    return context


def loop_clock() -> Callable[[], float]:
    """What tells the monotonic seconds of the event loop that runs the present task, eight times
    faster than `anyio.current_time()`, and in callbacks that belong to no task as well: there
    anyio may not know which event loop runs."""
    loop = asyncio_loop()
    return anyio.current_time if loop is None else loop.time


def exact_clock() -> Callable[[], float]:
    """`loop_clock()` for what takes less than a millisecond.

    uvloop's counts whole ones, and stands still while a callback runs. Loops of Python's own kind
    are asked themselves: their time may be virtual.
    """
    import asyncio

    loop = asyncio_loop()
    if loop is None or isinstance(loop, asyncio.BaseEventLoop):
        return loop_clock()
    return time.monotonic
