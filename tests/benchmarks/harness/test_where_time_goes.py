"""The page that tells where the time of a message goes, and what writes its tables."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from gossipsub.benchmarks.harness.results import Figure, Measurement, Run
from gossipsub.peer.profiling import GARBAGE, LAYERS, OTHER

DOCS = Path(__file__).resolve().parents[3] / "docs"
_spec = importlib.util.spec_from_file_location("where_time_goes", DOCS / "where_time_goes.py")
assert _spec is not None
assert _spec.loader is not None
where_time_goes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(where_time_goes)


def us(*samples: float) -> Figure:
    return Figure(samples, "us")


def measured(workload: str, **roles: dict[str, Figure]) -> Measurement:
    figures = {
        f"layer.{role}.{name}": figure
        for role, layers in roles.items()
        for name, figure in layers.items()
    }
    return Measurement(
        workload=workload,
        load="flood",
        peer="python",
        backend="asyncio",
        size=1024,
        figures=figures,
    )


def run(*measurements: Measurement) -> Run:
    return Run(
        date="2026-11-23T09:00:00+00:00",
        seed=1,
        repeats=2,
        machine="a machine, 2 cores",
        versions={"python": "3.11.7", "go: go": "1.25"},
        floor={
            "sign.1024": us(10.0),
            "verify.1024": us(20.0),
            "seal.1024": us(1.0),
            "open.1024": us(2.0),
        },
        measurements=measurements,
    )


def test_layers_stand_in_the_order_of_what_they_cost_with_their_sum_and_the_floor() -> None:
    text = "".join(
        where_time_goes.shares(
            run(
                measured("pair", publisher={"noise": us(20, 40)}, receiver={"router": us(50, 50)}),
                measured("relay", relay={"noise": us(24, 24), "router": us(5.5, 5.5)}),
            )
        )
    )
    assert text.split("### ")[1].splitlines() == [
        "python",
        "",
        "| layer | publisher | relay | receiver |",
        "|---|---:|---:|---:|",
        "| `router` | - | 5.5 | 50 |",
        "| `noise` | 30 | 24 | - |",
        "| **sum** | 30 | 30 | 50 |",
        "| the cryptography alone | 11 | 23 | 22 |",
        "| **beyond it** | 19 | 6.5 | 28 |",
    ]
    assert "a machine, 2 cores; 2026-11-23; python 3.11.7; 2 runs" in text


def test_what_was_not_profiled_has_no_table() -> None:
    assert "###" not in "".join(where_time_goes.shares(run(measured("pair"), measured("relay"))))


def test_the_page_has_the_exact_counts_that_the_tests_hold() -> None:
    page = where_time_goes.PAGE.read_text(encoding="utf-8")
    assert where_time_goes.renewed(page, None) == page, "make counts"


def test_a_run_replaces_the_times_and_the_text_before_them_stays() -> None:
    before = f"# Title\n\n{where_time_goes.MARK}"
    page = f"{before}old times\n{where_time_goes.MARK_OF_COUNTS}old counts\n"
    kept = where_time_goes.renewed(page, None)
    assert kept.startswith(f"{before}old times\n{where_time_goes.MARK_OF_COUNTS}\n## In exact")
    renewed = where_time_goes.renewed(page, run())
    assert renewed.startswith(f"{before}\n## Microseconds")
    assert "old" not in renewed


@pytest.mark.parametrize("layer", sorted({*filter(None, LAYERS.values()), GARBAGE, OTHER}))
def test_every_layer_is_explained(layer: str) -> None:
    assert f"| `{layer}` | " in where_time_goes.PAGE.read_text(encoding="utf-8").split("##")[1]
