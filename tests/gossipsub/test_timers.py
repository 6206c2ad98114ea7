from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

from gossipsub.timers import Timers

pytestmark = pytest.mark.anyio


async def test_actions_run_in_the_order_of_their_times_and_not_when_cancelled():
    timers, ran = Timers(), []
    for name, seconds in (("c", 0.02), ("a", 0.0), ("b", 0.01)):
        timers.after(seconds, lambda name=name: ran.append(name))
    timers.after(0.015, lambda: ran.append("never")).cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        with anyio.fail_after(1):
            while len(ran) < 3:
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    assert ran == ["a", "b", "c"]


async def test_an_action_that_fails_stops_no_other(caplog):
    timers, ran = Timers(), []
    timers.after(0.0, lambda: 1 // 0)
    timers.after(0.001, lambda: ran.append("next"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        with anyio.fail_after(1):
            while not ran:
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    assert "a timer's action failed" in caplog.text


async def test_timers_set_and_cancelled_without_end_leave_a_bounded_number():
    """A peer causes as many as it likes: each ping of its sets the deadline anew."""
    timers = Timers()
    kept = [timers.after(60, lambda: None) for _ in range(50)]
    for _ in range(10_000):
        timers.after(60, lambda: None).cancel()
    assert len(timers) < 250
    for timer in kept:
        timer.cancel()
        timer.cancel()
    for _ in range(60):
        timers.after(60, lambda: None)
    assert len(timers) < 250


async def test_what_a_cancelled_timer_would_have_acted_on_is_let_go():
    import gc
    import weakref

    class Thing:
        def act(self) -> None: ...

    timers, thing = Timers(), Thing()
    gone = weakref.ref(thing)
    timers.after(60, thing.act).cancel()
    del thing
    gc.collect()
    assert gone() is None


def in_virtual_time(main):
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_actions_run_at_their_times_and_new_ones_at_theirs():
    async def main():
        timers, ran = Timers(), []
        start = timers.now()

        def note(name, then=None):
            ran.append((name, round(timers.now() - start, 2)))
            if then is not None:
                timers.after(then, lambda: note("second of " + name))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(timers.run)
            timers.at(start + 3600 * 24, lambda: note("tomorrow"))
            timers.after(5, lambda: note("a", then=0))
            timers.after(5, lambda: note("b", then=2.5))
            earlier = timers.after(6, lambda: note("never"))
            timers.after(4, lambda: (note("c"), earlier.cancel()))
            await anyio.sleep(3600 * 25)
            timers.after(-3, lambda: note("late"))
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        assert ran == [
            ("c", 4.0),
            ("a", 5.0),
            ("b", 5.0),
            ("second of a", 5.0),
            ("second of b", 7.5),
            ("tomorrow", 86400.0),
            ("late", 90000.0),
        ]

    in_virtual_time(main)


async def test_an_action_due_again_at_once_keeps_nobody_from_running():
    timers, ran = Timers(), 0

    def again():
        nonlocal ran
        ran += 1
        timers.at(timers.now() - 1, again)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        again()
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert 10 < ran < 1000


async def test_an_action_can_cancel_one_due_at_the_same_time():
    timers, ran = Timers(), []
    when = timers.now()
    timers.at(when, lambda: second.cancel())
    second = timers.at(when, lambda: ran.append("second"))
    timers.at(when, lambda: ran.append("third"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        with anyio.fail_after(1):
            while not ran:
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    assert ran == ["third"]
    assert len(timers) == 0
