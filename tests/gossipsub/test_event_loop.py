from __future__ import annotations

import asyncio
import time
from importlib.util import find_spec

import anyio
import anyio.lowlevel
import pytest

from gossipsub.event_loop import asyncio_loop, exact_clock, loop_clock
from gossipsub.testing.virtual_time import virtual_backend

pytestmark = pytest.mark.anyio


without_uvloop = pytest.mark.skipif(find_spec("uvloop") is None, reason="not for Windows")
UVLOOP = pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop", marks=without_uvloop)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio", UVLOOP])
async def test_the_exact_clock_is_the_event_loops_and_goes_on_within_a_callback():
    now = exact_clock()
    await anyio.lowlevel.checkpoint()
    assert now() == pytest.approx(anyio.current_time(), abs=0.5)
    began = now()
    until = time.perf_counter() + 0.0002
    while time.perf_counter() < until:
        pass
    assert now() - began > 0.0001


@pytest.mark.parametrize("clock", [loop_clock, exact_clock])
@pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio"), virtual_backend("trio")])
async def test_clocks_are_virtual_where_the_event_loops_is(clock):
    now = clock()
    began = now()
    await anyio.sleep(1000)
    assert now() - began == pytest.approx(1000)


@pytest.mark.parametrize("clock", [loop_clock, exact_clock])
def test_clocks_can_be_asked_in_a_callback_that_belongs_to_no_task(clock):
    async def ask() -> float:
        loop = asyncio.get_running_loop()
        answer, now = loop.create_future(), clock()
        loop.call_soon(lambda: answer.set_result(now()))
        return await answer - loop.time()

    assert asyncio.run(ask()) == pytest.approx(0, abs=0.5)


async def test_a_task_knows_whether_asyncio_runs_it(anyio_backend_name):
    expected = asyncio.get_running_loop() if anyio_backend_name == "asyncio" else None
    assert asyncio_loop() is expected


def test_without_a_task_there_is_none():
    assert asyncio_loop() is None
