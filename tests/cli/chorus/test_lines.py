from __future__ import annotations

from typing import Any

import anyio
import pytest

from gossipsub.cli.chorus.lines import WAITING, Lines

pytestmark = pytest.mark.anyio


async def test_enough_lines_are_0(captured: Any) -> None:
    lines = Lines()
    for line in ("one", "two", "never"):
        lines.put(line)
    assert await lines.write(captured.output, count=2) == 0
    assert captured.rest() == b"one\ntwo\n"


async def test_time_that_is_up_is_27(captured: Any) -> None:
    lines = Lines()
    lines.put("one")
    assert await lines.write(captured.output, count=2, seconds=0.1) == 27
    assert captured.rest() == b"one\n"


async def test_a_reader_that_goes_is_the_end(captured: Any) -> None:
    captured.stop_reading()
    with anyio.fail_after(10):
        assert await Lines().write(captured.output) == 0


async def test_lines_that_nobody_reads_are_lost_and_counted() -> None:
    lines = Lines()
    for _ in range(WAITING + 3):
        lines.put("x")
    assert lines.lost == 3
