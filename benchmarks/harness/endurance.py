"""A pair at full speed for a long time: whether a message is lost, and whether memory grows.

One flood follows the other at once, each of ten seconds or a sixtieth of the time. Behind each the
memory of both nodes is read. They remember messages for a fifth of the time at most, so that what
they hold is constant from two fifths on; a line through the readings from there says how much
memory grew meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import linear_regression, mean

from gossipsub.benchmarks.harness.burst import Burst, send_burst
from gossipsub.benchmarks.harness.flood import find_flood
from gossipsub.benchmarks.harness.network import PARAMS, Network, join, running
from gossipsub.benchmarks.harness.readings import START_SECONDS, NotEndured, Readings, Starter
from gossipsub.benchmarks.harness.workload import Workload

ENDURANCE_SECONDS = 600.0
SIZE = 1024
WINDOW = 64
PIECES = 60
LONGEST_PIECE_SECONDS = 10.0
SEEN_SECONDS = 120.0
"""How long nodes remember a message at most, as they do by default."""
PLATEAU_SHARE = 0.4
"""Of the time, behind which memory is not to grow."""
MAX_GROWTH_PERCENT = 5.0
"""From there to the end, of what is held on average. Readings of a plateau vary by less."""
ROLES = ("publisher", "receiver")
_TOPIC = "benchmark"


async def measure_endurance(start: Starter, *, seconds: float = ENDURANCE_SECONDS) -> Readings:
    """NotEndured, with the readings, where a message was lost or memory grew."""
    remembered = {"seenTTLMs": int(min(SEEN_SECONDS, seconds / 5) * 1000)}
    starting = [
        start(seed=number, start_timeout=START_SECONDS, params={**PARAMS, **remembered})
        for number in (1, 2)
    ]
    pair = Workload.named("pair")
    bursts: list[tuple[float, Burst]] = []
    async with running(starting) as nodes:
        await join(nodes, pair.edges(seed=0), [_TOPIC])
        network = Network(pair, nodes, [_TOPIC])
        piece = min(seconds / PIECES, LONGEST_PIECE_SECONDS)
        plan = await find_flood(network, size=SIZE, seconds=piece, window=WINDOW)
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            burst = await send_burst(network, size=SIZE, count=plan.count, window=plan.window)
            bursts.append((passed, burst))
    readings = _readings(bursts, time.monotonic() - began)
    if faults := _faults(readings):
        raise NotEndured("; ".join(faults), readings)
    return readings


def _readings(bursts: Sequence[tuple[float, Burst]], seconds: float) -> Readings:
    received = sum(burst.received for _, burst in bursts)
    readings = {
        "delivered": (received / seconds, "per_s"),
        "messages": (float(sum(burst.count for _, burst in bursts)), "count"),
        "lost": (float(sum(burst.lost for _, burst in bursts)), "count"),
    }
    for number, role in enumerate(ROLES):
        resident = {passed: float(burst.stats[number]["rss_bytes"]) for passed, burst in bursts}
        readings[f"rss.{role}"] = (list(resident.values())[-1], "bytes")
        readings[f"growth.{role}"] = (growth_percent(resident), "percent")
    return readings


def growth_percent(resident: Mapping[float, float]) -> float:
    """From the plateau's beginning to the end, of memory by the time it was read: the rise of a
    straight line through the readings, in hundredths of their mean."""
    began = max(resident) * PLATEAU_SHARE
    plateau = {when: size for when, size in resident.items() if when >= began}
    if len(plateau) < 2:
        return 0.0
    slope = linear_regression(list(plateau), list(plateau.values())).slope
    return slope * (max(plateau) - min(plateau)) / mean(plateau.values()) * 100


def _faults(readings: Readings) -> Sequence[str]:
    lost, messages = readings["lost"][0], readings["messages"][0]
    found = [f"lost {lost:.0f} of {messages:.0f} messages"] if lost else []
    for role in ROLES:
        growth = readings[f"growth.{role}"][0]
        if growth > MAX_GROWTH_PERCENT:
            found.append(f"the memory of the {role} grew by {growth:.1f} % beyond its plateau")
    return found
