"""What each copy of a message costs: all that is sent arrives, and a line is drawn. How high the
figures are is not tested."""

from __future__ import annotations

import sys
from functools import partial

import pytest

from gossipsub.benchmarks.harness.duplicates import measure_duplicates
from gossipsub.conformance.driver import start_peer

pytestmark = pytest.mark.anyio

OURS = partial(start_peer, "python", command=[sys.executable, "-m", "gossipsub", "peer"])


async def test_a_receiver_is_measured_with_more_and_more_copies() -> None:
    readings = await measure_duplicates(OURS, copies=[1, 2], count=128)
    assert list(readings) == ["cpu.duplicate", "cpu.copies.1", "cpu.copies.2"]
    assert {unit for _, unit in readings.values()} == {"us"}
    rise = readings["cpu.copies.2"][0] - readings["cpu.copies.1"][0]
    assert readings["cpu.duplicate"][0] == pytest.approx(rise)
