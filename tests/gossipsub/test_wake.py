from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from gossipsub.wake import Wake

pytestmark = pytest.mark.anyio


async def returns_at_once(wake: Wake) -> bool:
    with anyio.move_on_after(0) as scope:
        await wake.wait()
    return not scope.cancelled_caught


async def test_a_set_before_the_wait_is_not_lost_and_counts_once():
    wake = Wake()
    wake.set()
    wake.set()
    assert await returns_at_once(wake)
    assert not await returns_at_once(wake)


async def test_a_set_during_the_wait_ends_it():
    wake, order = Wake(), []

    async def wait():
        order.append("waits")
        await wake.wait()
        order.append("woken")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        while order != ["waits"]:
            await anyio.lowlevel.checkpoint()
        wake.set()
    assert order == ["waits", "woken"]


async def test_a_wait_that_was_cancelled_loses_no_set():
    wake = Wake()
    assert not await returns_at_once(wake)
    wake.set()
    assert await returns_at_once(wake)
