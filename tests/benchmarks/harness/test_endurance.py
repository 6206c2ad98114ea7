"""Whether a plateau is told from growth, and a short run of two nodes of ours."""

from __future__ import annotations

import sys
from functools import partial

import pytest

from gossipsub.benchmarks.harness import endurance
from gossipsub.benchmarks.harness.endurance import growth_percent, measure_endurance
from gossipsub.benchmarks.harness.readings import NotEndured
from gossipsub.conformance.driver import start_peer

pytestmark = pytest.mark.anyio

OURS = partial(start_peer, "python", command=[sys.executable, "-m", "gossipsub", "peer"])


def test_what_grows_until_the_plateau_and_sways_there_does_not_grow() -> None:
    filling = {float(when): 100.0 + when for when in range(40)}
    swaying = {float(when): 140.0 + (when % 2) for when in range(40, 101)}
    assert growth_percent({**filling, **swaying}) == pytest.approx(0.0, abs=0.1)


def test_what_goes_on_growing_does_by_so_much_of_its_mean() -> None:
    assert growth_percent({float(when): 100.0 + when for when in range(101)}) == pytest.approx(
        60 / 170 * 100
    )


def test_one_reading_is_no_growth() -> None:
    assert growth_percent({0.0: 100.0}) == 0.0


async def test_a_pair_at_full_speed_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endurance, "MAX_GROWTH_PERCENT", 1000.0)  # in so short a time
    readings = await measure_endurance(OURS, seconds=1.0)
    assert list(readings) == [
        "delivered", "messages", "lost",
        "rss.publisher", "growth.publisher", "rss.receiver", "growth.receiver",
    ]  # fmt: skip
    assert readings["lost"] == (0.0, "count")
    assert readings["messages"][0] >= 64


async def test_memory_beyond_the_plateau_is_a_failure_with_its_readings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endurance, "growth_percent", lambda resident: 7.25)
    with pytest.raises(NotEndured, match=r"the memory of the receiver grew by 7\.2 %") as raised:
        await measure_endurance(OURS, seconds=0.2)
    assert raised.value.readings["growth.publisher"] == (7.25, "percent")
