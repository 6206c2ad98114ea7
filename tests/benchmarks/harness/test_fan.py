"""What each further peer costs a relay: all that is sent arrives, and a line is drawn. How high the
figures are is not tested."""

from __future__ import annotations

import sys
from functools import partial

import pytest

from gossipsub.benchmarks.harness.fan import measure_fan
from gossipsub.conformance.driver import start_peer

pytestmark = pytest.mark.anyio

OURS = partial(start_peer, "python", command=[sys.executable, "-m", "gossipsub", "peer"])


async def test_a_relay_is_measured_with_more_and_more_receivers() -> None:
    readings = await measure_fan(OURS, fans=[1, 3], seconds=0.1)
    assert list(readings) == ["cpu.further_peer", "cpu.relay.1", "cpu.relay.3"]
    assert {unit for _, unit in readings.values()} == {"us"}
    rise = readings["cpu.relay.3"][0] - readings["cpu.relay.1"][0]
    assert readings["cpu.further_peer"][0] == pytest.approx(rise / 2)
