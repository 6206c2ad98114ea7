"""Virtual time, under asyncio and trio."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import anyio.to_thread
import pytest

from gossipsub import Host
from gossipsub.testing.virtual_time import (
    is_virtual_backend,
    run_in_virtual_time,
    virtual_backend,
)

both = pytest.mark.parametrize("backend", ["asyncio", "trio"])
HOUR = 3600.0


@both
def test_an_hour_passes_at_once(backend):
    began = time.monotonic()
    times = []

    async def main(pause: float) -> str:
        times.append(anyio.current_time())
        await anyio.sleep(pause)
        times.append(anyio.current_time())
        with anyio.move_on_after(pause):
            await anyio.sleep_forever()
        times.append(anyio.current_time())
        return "done"

    assert run_in_virtual_time(main, 24 * HOUR, backend=backend) == "done"
    assert times == pytest.approx([0.0, 24 * HOUR, 48 * HOUR])
    assert time.monotonic() - began < 60


@both
def test_what_is_due_happens_in_the_order_of_its_time(backend):
    happened = []

    async def at(seconds: float) -> None:
        await anyio.sleep(seconds)
        happened.append((seconds, round(anyio.current_time(), 6)))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for seconds in (3.0, 0.5, 2.0, 0.001, 1e6):
                tasks.start_soon(at, seconds)

    run_in_virtual_time(main, backend=backend)
    assert happened == [(each, each) for each in (0.001, 0.5, 2.0, 3.0, 1e6)]


@both
def test_time_stands_still_while_anything_can_run(backend):
    async def main() -> None:
        for _ in range(1000):
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        assert anyio.current_time() == 0.0

    run_in_virtual_time(main, backend=backend)


@both
def test_who_waits_until_all_others_wait_is_woken_before_time_passes(backend):
    seen = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 5)
            await anyio.wait_all_tasks_blocked()
            seen.append(anyio.current_time())

    run_in_virtual_time(main, backend=backend)
    assert seen == [0.0]


@both
def test_time_stands_still_while_a_thread_works(backend):
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 1)  # something to jump to
            for _ in range(3):
                with anyio.fail_after(0.5):
                    await anyio.to_thread.run_sync(time.sleep, 0.02)
                assert anyio.current_time() == 0.0
            limiter = anyio.CapacityLimiter(2)
            async with anyio.create_task_group() as threads:
                for _ in range(4):
                    threads.start_soon(
                        lambda: anyio.to_thread.run_sync(time.sleep, 0.02, limiter=limiter)
                    )
            assert anyio.current_time() == 0.0
        assert anyio.current_time() == pytest.approx(1)

    run_in_virtual_time(main, backend=backend)


def test_time_stands_still_while_an_executor_of_asyncio_works():
    async def main() -> None:
        async with asyncio.timeout(0.5):
            await asyncio.to_thread(time.sleep, 0.02)
        assert anyio.current_time() == 0.0
        await asyncio.sleep(HOUR)

    run_in_virtual_time(main)


@both
def test_a_thread_that_nobody_waits_for_holds_nothing_up_for_ever(backend):
    release = threading.Event()

    async def main() -> None:
        with anyio.move_on_after(0):
            await anyio.to_thread.run_sync(release.wait, 30, abandon_on_cancel=True)
        release.set()
        await anyio.sleep(HOUR)
        assert anyio.current_time() >= HOUR

    run_in_virtual_time(main, backend=backend)


@both
def test_another_thread_can_wake_it_while_nothing_is_due(backend):
    async def main() -> None:
        woken = anyio.Event()
        token = anyio.lowlevel.current_token()
        thread = threading.Timer(0.05, anyio.from_thread.run_sync, (woken.set,), {"token": token})
        thread.start()
        await woken.wait()
        assert anyio.current_time() == 0.0
        await anyio.to_thread.run_sync(thread.join)
        await anyio.sleep(1)

    run_in_virtual_time(main, backend=backend)


@both
def test_sockets_are_refused_with_a_word_on_what_to_do(backend):
    async def main() -> None:
        async with Host():
            await anyio.sleep(60)

    with pytest.raises(BaseException) as failed:  # noqa: PT011
        run_in_virtual_time(main, backend=backend)
    causes = [failed.value]
    for error in causes:
        causes += getattr(error, "exceptions", ())
        causes += filter(None, (error.__cause__, error.__context__))
    assert any("give hosts a MemoryNetwork" in str(error) for error in causes)


@both
def test_each_run_begins_at_zero(backend):
    name, options = virtual_backend(backend)

    async def main() -> float:
        began = anyio.current_time()
        await anyio.sleep(7)
        return began

    for _ in range(2):
        assert anyio.run(main, backend=name, backend_options=options) == 0.0


@both
def test_tasks_that_can_run_at_once_take_turns_in_the_same_order_in_each_run(backend):
    kept = []

    async def main() -> list[int]:
        order: list[int] = []
        gate = anyio.Event()

        async def pass_through(number: int) -> None:
            kept.append(bytearray(number * 37))  # other tasks lie elsewhere in each run
            await gate.wait()
            order.append(number)
            await anyio.lowlevel.checkpoint()
            order.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(pass_through, number)
            await anyio.sleep(1.5)
            gate.set()
        return order

    first, *others = [run_in_virtual_time(main, backend=backend) for _ in range(4)]
    assert sorted(first) == sorted([*range(40)] * 2)
    assert others == [first] * 3


@both
def test_virtual_back_ends_are_told_from_others(backend):
    assert is_virtual_backend(virtual_backend(backend))
    for other in (backend, (backend, {}), ("other", {}), None):
        assert not is_virtual_backend(other)


def test_there_are_two_back_ends():
    with pytest.raises(ValueError, match="'curio'"):
        virtual_backend("curio")
    with pytest.raises(ValueError, match="'curio'"):
        run_in_virtual_time(anyio.sleep, 1, backend="curio")
