"""Which event loop runs the present task, and what its clock says exactly.

asyncio is imported by those who run something: a command's help does without.
"""

from __future__ import annotations

import time
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


def exact_time() -> float:
    """`anyio.current_time()` for what takes less than a millisecond.

    uvloop's clock counts whole ones, and stands still while a callback runs. Loops of Python's own
    kind are asked themselves: their time may be virtual.
    """
    import asyncio

    loop = asyncio_loop()
    if loop is None or isinstance(loop, asyncio.BaseEventLoop):
        return anyio.current_time()
    return time.monotonic()
