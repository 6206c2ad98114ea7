"""What all benchmarks say beside their figures: where they ran, and how far runs lie apart."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median


def environment(*packages: str) -> dict[str, str]:
    """Python, the given packages and the machine, by name."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
    }


def spread(samples: Sequence[float]) -> dict[str, float]:
    """Of repeated measurements of one thing: the least is the least disturbed."""
    return {"min": min(samples), "median": median(samples), "max": max(samples)}


def percentiles(samples: Sequence[float]) -> dict[str, float] | None:
    """Median, 99th percentile and maximum, to the millisecond."""
    if not samples:
        return None
    ordered = sorted(samples)
    p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
    found = {"median": median(ordered), "p99": p99, "max": ordered[-1]}
    return {name: round(value, 3) for name, value in found.items()}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return f"{value.strip()} ({platform.machine()})"
    except OSError:  # not Linux
        pass
    return platform.machine()
