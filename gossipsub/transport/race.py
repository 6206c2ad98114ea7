"""Attempts of which one is enough, each begun a little after the one before (RFC 8305)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

T = TypeVar("T")


async def first_to_succeed(
    attempts: Sequence[Callable[[], Awaitable[T]]],
    *,
    pause: float,
    failure: type[Exception],
    discard: Callable[[T], Awaitable[None]],
) -> T:
    """The first result there is. The next attempt begins as soon as the one before has failed, or
    after `pause` seconds; those under way are cancelled when one succeeds, and what a second
    brought all the same goes to `discard`.

    Raises the first attempt's `failure` to come where all fail, and whatever else one raises.
    """
    found: list[T] = []
    failures: list[Exception] = []

    async def run(attempt: Callable[[], Awaitable[T]], failed: anyio.Event) -> None:
        try:
            result = await attempt()
        except failure as error:
            failures.append(error)
            failed.set()
            return
        found.append(result)
        tasks.cancel_scope.cancel()

    kept: list[T] = []
    try:
        async with anyio.create_task_group() as tasks:
            for attempt in attempts:
                failed = anyio.Event()
                tasks.start_soon(run, attempt, failed)
                with anyio.move_on_after(pause):
                    await failed.wait()
        kept = found[:1]
    finally:
        for surplus in found[len(kept) :]:
            with anyio.CancelScope(shield=True):
                await discard(surplus)
    if not kept:
        raise failures[0]
    return kept[0]
