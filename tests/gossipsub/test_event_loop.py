from __future__ import annotations

import asyncio
import time
from importlib.util import find_spec

import anyio
import anyio.lowlevel
import pytest

from gossipsub.event_loop import asyncio_loop, exact_time
from gossipsub.testing.virtual_time import virtual_backend

pytestmark = pytest.mark.anyio


without_uvloop = pytest.mark.skipif(find_spec("uvloop") is None, reason="not for Windows")
UVLOOP = pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop", marks=without_uvloop)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio", UVLOOP])
async def test_exact_time_is_the_event_loops_and_goes_on_within_a_callback():
    await anyio.lowlevel.checkpoint()
    assert exact_time() == pytest.approx(anyio.current_time(), abs=0.5)
    began = exact_time()
    until = time.perf_counter() + 0.0002
    while time.perf_counter() < until:
        pass
    assert exact_time() - began > 0.0001


@pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio"), virtual_backend("trio")])
async def test_exact_time_is_virtual_where_the_event_loops_is():
    began = exact_time()
    await anyio.sleep(1000)
    assert exact_time() - began == pytest.approx(1000)


async def test_a_task_knows_whether_asyncio_runs_it(anyio_backend_name):
    expected = asyncio.get_running_loop() if anyio_backend_name == "asyncio" else None
    assert asyncio_loop() is expected


def test_without_a_task_there_is_none():
    assert asyncio_loop() is None
