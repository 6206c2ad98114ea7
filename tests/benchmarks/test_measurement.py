"""What benchmarks say beside their figures."""

from __future__ import annotations

import platform
from importlib.metadata import version

from gossipsub.benchmarks.measurement import environment, spread


def test_the_environment_names_python_packages_and_machine() -> None:
    told = environment("anyio")
    assert list(told) == ["python", "anyio", "machine"]
    assert told["python"] == platform.python_version()
    assert told["anyio"] == version("anyio")
    assert platform.machine() in told["machine"]
    assert "cores" in told["machine"]


def test_a_spread_is_the_least_the_middle_and_the_most() -> None:
    assert spread([3.0, 1.0, 2.0, 8.0]) == {"min": 1.0, "median": 2.5, "max": 8.0}
