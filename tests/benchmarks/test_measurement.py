"""What benchmarks say beside their figures."""

from __future__ import annotations

import platform
from importlib.metadata import version

from gossipsub.benchmarks.measurement import environment, percentiles, spread


def test_the_environment_names_python_packages_and_machine() -> None:
    told = environment("anyio")
    assert list(told) == ["python", "anyio", "machine"]
    assert told["python"] == platform.python_version()
    assert told["anyio"] == version("anyio")
    assert platform.machine() in told["machine"]
    assert "cores" in told["machine"]


def test_a_spread_is_the_least_the_middle_and_the_most() -> None:
    assert spread([3.0, 1.0, 2.0, 8.0]) == {"min": 1.0, "median": 2.5, "max": 8.0}


def test_percentiles_are_of_samples_that_were_taken() -> None:
    samples = [number / 1000 for number in range(1, 200)]
    assert percentiles(samples) == {"median": 0.1, "p99": 0.198, "max": 0.199}
    assert percentiles([0.5]) == {"median": 0.5, "p99": 0.5, "max": 0.5}
    assert percentiles([]) is None
