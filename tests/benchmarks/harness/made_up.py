"""Runs that nobody measured, for what reads them."""

from __future__ import annotations

from collections.abc import Mapping

from gossipsub.benchmarks.harness.results import Figure, Measurement, Run

COSTS = {"verify": 100.0, "verify_fast": 60.0, "sign": 38.0, "seal": 2.0, "open": 5.0}
FLOOR = {
    f"{name}.{size}": Figure((cost,), "us") for size in (256, 1024) for name, cost in COSTS.items()
}


def us(*samples: float) -> Figure:
    return Figure(samples, "us")


def run(*measurements: Measurement, floor: Mapping[str, Figure] = FLOOR) -> Run:
    return Run(
        date="2026-11-23",
        seed=1,
        repeats=3,
        machine="a machine",
        versions={},
        floor=floor,
        measurements=measurements,
    )
