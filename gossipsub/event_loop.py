"""Which event loop runs the present task."""

from __future__ import annotations

import asyncio


def asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """asyncio's, or uvloop's; None under trio. Its futures and transports take a fifth of the time
    that anyio's events and streams do."""
    try:
        # A loop may run whose callbacks run trio ("guest mode"): no task is its own then.
        return None if asyncio.current_task() is None else asyncio.get_running_loop()
    except RuntimeError:
        return None
