"""Whose cancellation it is that comes out of a function of the application."""

from __future__ import annotations

import math

import anyio


def is_task_cancelled() -> bool:
    """Whether this task is being cancelled. Where a cancellation arrives and it is not, something
    that was waited for was cancelled (a future of asyncio): that is its waiter's failure. Passed
    on, it would end the task group around it without a word."""
    return anyio.current_effective_deadline() == -math.inf
