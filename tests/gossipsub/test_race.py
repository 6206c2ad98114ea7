"""Attempts of which one is enough."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from gossipsub.transport.race import first_to_succeed

pytestmark = pytest.mark.anyio


class Attempts:
    def __init__(self) -> None:
        self.begun: list[str] = []
        self.discarded: list[str] = []
        self.cancelled: list[str] = []

    async def succeed(self, name: str) -> str:
        self.begun.append(name)
        return name

    async def fail(self, name: str) -> str:
        self.begun.append(name)
        raise OSError(name)

    async def hang(self, name: str) -> str:
        self.begun.append(name)
        try:
            await anyio.sleep_forever()
        except BaseException:
            self.cancelled.append(name)
            raise
        return name

    async def hang_and_succeed(self, name: str) -> str:
        self.begun.append(name)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep_forever()
        return name

    async def discard(self, name: str) -> None:
        self.discarded.append(name)


async def race(attempts: Attempts, *steps: str, pause: float = 3600.0) -> str:
    return await first_to_succeed(
        [partial(getattr(attempts, step), f"{n} {step}") for n, step in enumerate(steps)],
        pause=pause,
        failure=OSError,
        discard=attempts.discard,
    )


async def test_the_next_begins_as_soon_as_the_one_before_has_failed():
    attempts = Attempts()
    assert await race(attempts, "fail", "fail", "succeed", "succeed") == "2 succeed"
    assert attempts.begun == ["0 fail", "1 fail", "2 succeed"]


async def test_one_that_is_slow_holds_up_the_next_only_a_moment_and_is_cancelled():
    attempts = Attempts()
    assert await race(attempts, "hang", "hang", "succeed", pause=0.01) == "2 succeed"
    assert attempts.begun == ["0 hang", "1 hang", "2 succeed"]
    assert sorted(attempts.cancelled) == ["0 hang", "1 hang"]


async def test_where_all_fail_the_first_failure_is_raised():
    attempts = Attempts()
    with pytest.raises(OSError, match=r"^0 fail$"):
        await race(attempts, "fail", "fail")


async def test_a_second_result_is_discarded():
    async def late(name: str) -> str:
        try:
            await anyio.sleep_forever()
        finally:
            return name  # noqa: B012 - whoever is told to stop may have succeeded already

    attempts = Attempts()
    won = await first_to_succeed(
        [partial(late, "late"), partial(attempts.succeed, "won")],
        pause=0.01,
        failure=OSError,
        discard=attempts.discard,
    )
    assert (won, attempts.discarded) == ("won", ["late"])


async def test_what_was_won_is_discarded_where_nobody_waits_for_it_any_more():
    attempts = Attempts()
    with anyio.move_on_after(0.05):
        await race(attempts, "hang", "hang", pause=0.01)
    assert sorted(attempts.cancelled) == ["0 hang", "1 hang"]
