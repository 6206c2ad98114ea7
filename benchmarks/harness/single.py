"""What is measured in one piece; here what one node costs without any messages: starting,
connecting, its memory, and doing nothing.

Each function measures once, as `readings` says. GossipSubError for what a node does wrong.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from statistics import linear_regression

import anyio

from gossipsub.benchmarks.harness.crowd import open_crowd
from gossipsub.benchmarks.harness.duplicates import measure_duplicates
from gossipsub.benchmarks.harness.endurance import ENDURANCE_SECONDS, measure_endurance
from gossipsub.benchmarks.harness.fan import measure_fan
from gossipsub.benchmarks.harness.readings import START_SECONDS, Readings, Starter
from gossipsub.conformance.driver import PeerFailed, PeerProcess, PeerTimeout, start_peer

CONNECTIONS = (0, 1, 5, 20, 50, 100)
"""At which a node's memory is read."""
FIRST_OF_MANY = 5
"""Connections from which on one more is like the one before; the first loads code that all use."""
CYCLES = 10
IDLE_PEERS = 50
IDLE_TOPICS = tuple(f"benchmark-{number}" for number in range(5))
IDLE_SECONDS = 10.0
SINGLE_SECONDS = 240.0
"""The longest that one measurement may take, beside what it was told to; usual are 10."""
_SETTLE_SECONDS = 1.0
"""In which identify, the pubsub streams and the first announcements have come and gone."""
_AFTER_CONNECT_SECONDS = 0.1
ENDURANCE = "endurance"
_IMPORT_SECONDS = 30.0

_IMPORTS = {
    "import.gossipsub": "import gossipsub",
    "import.host": "from gossipsub import Host",
}
"""The package itself loads its parts when they are first named; a host takes most of them."""
_TIMED_IMPORT = (
    "import time; wall, cpu = time.perf_counter(), time.process_time(); {}; "
    "print(time.perf_counter() - wall, time.process_time() - cpu)"
)


def _start_own(
    *, seed: int, start_timeout: float, params: Mapping[str, object] | None = None
) -> PeerProcess:
    return start_peer("python", seed=seed, start_timeout=start_timeout, params=params, quiet=True)


async def measure_single(
    workload: str, start: Starter, *, endurance: float = ENDURANCE_SECONDS
) -> Readings:
    """One of `SINGLE`; PeerTimeout where it takes longer than four minutes, or that and the seconds
    of `endurance`."""
    measure, longest = SINGLE[workload], SINGLE_SECONDS
    if workload == ENDURANCE:
        measure, longest = partial(measure_endurance, seconds=endurance), longest + endurance
    with anyio.move_on_after(longest):
        return await measure(start)
    raise PeerTimeout(f"{workload} was not over within {longest:g} s")


async def measure_setup(
    start: Starter, *, own: Starter = _start_own, cycles: int = CYCLES
) -> Readings:
    """Connecting to a node of the same kind, and a node of our `own` to it.

    The least disturbed of some cycles, each a new connection from TCP to the pubsub streams.

    `setup` is until the dialler says that it is connected; `cpu` of each side includes what follows
    within a tenth of a second, above all identify.
    """
    async with (
        start(seed=1, start_timeout=START_SECONDS) as listener,
        start(seed=2, start_timeout=START_SECONDS) as dialler,
        own(seed=3, start_timeout=START_SECONDS) as ours,
    ):
        wall, cpu = await _connect_often(dialler, listener, cycles)
        wall_of_ours, _ = await _connect_often(ours, listener, cycles)
    return {
        "setup": (wall * 1e3, "ms"),
        "setup.from_python": (wall_of_ours * 1e3, "ms"),
        "cpu.dialler": (cpu[0] * 1e6, "us"),
        "cpu.listener": (cpu[1] * 1e6, "us"),
    }


async def _connect_often(
    dialler: PeerProcess, listener: PeerProcess, cycles: int
) -> tuple[float, list[float]]:
    """Seconds by the clock, and of CPU of both."""
    both = (dialler, listener)
    walls: list[float] = []
    asking: list[list[float]] = []
    connecting: list[list[float]] = []
    for _ in range(cycles + 1):
        readings = [[await _cpu_seconds(node) for node in both] for _ in range(2)]
        started = time.perf_counter()
        await dialler.command("connect", addr=listener.addresses[0])
        walls.append(time.perf_counter() - started)
        await anyio.sleep(_AFTER_CONNECT_SECONDS)
        readings.append([await _cpu_seconds(node) for node in both])
        first, second, last = readings
        asking.append([b - a for a, b in zip(first, second, strict=True)])
        connecting.append([b - a for a, b in zip(second, last, strict=True)])
        await dialler.command("disconnect", peer=listener.peer_id)
        await _wait_until_apart(dialler, listener)
        await _wait_until_apart(listener, dialler)
    # The first cycle loads what is needed once. Asking for the readings costs something itself.
    cpu = [
        max(min(took) - min(asked), 0.0)
        for took, asked in zip(
            zip(*connecting[1:], strict=True), zip(*asking[1:], strict=True), strict=True
        )
    ]
    return min(walls[1:]), cpu


async def _wait_until_apart(node: PeerProcess, other: PeerProcess) -> None:
    await node.wait_answer(
        "peers",
        lambda answer: other.peer_id not in [each["peer"] for each in answer["peers"]],
    )


async def measure_memory(start: Starter, *, connections: Sequence[int] = CONNECTIONS) -> Readings:
    """Resident memory of a node with more and more idle connections, and what one takes: the slope
    of a line through the readings from five connections on."""
    readings: dict[int, float] = {}
    async with (
        start(seed=1, start_timeout=START_SECONDS) as node,
        open_crowd(node) as crowd,
    ):
        await node.command("subscribe", topic=IDLE_TOPICS[0])
        for size in connections:
            await crowd.grow(size)
            await anyio.sleep(_SETTLE_SECONDS)
            readings[size] = float((await node.command("stats"))["rss_bytes"])
    many = [size for size in readings if size >= FIRST_OF_MANY]
    slope = linear_regression(many, [readings[size] for size in many]).slope
    return {
        "rss.connection": (slope, "bytes"),
        **{f"rss.{size}": (value, "bytes") for size, value in readings.items()},
    }


async def measure_idle(
    start: Starter, *, peers: int = IDLE_PEERS, seconds: float = IDLE_SECONDS
) -> Readings:
    """CPU of a node that is connected to so many hosts, all in the same five topics, while nobody
    says anything: heartbeats, keep-alives, and the grafting that is left."""
    async with (
        start(seed=1, start_timeout=START_SECONDS) as node,
        open_crowd(node, topics=IDLE_TOPICS) as crowd,
    ):
        for topic in IDLE_TOPICS:
            await node.command("subscribe", topic=topic)
        await crowd.grow(peers)
        await anyio.sleep(_SETTLE_SECONDS)
        before, started = await _cpu_seconds(node), time.perf_counter()
        await anyio.sleep(seconds)
        after, ended = await _cpu_seconds(node), time.perf_counter()
    return {"cpu.idle": ((after - before) / (ended - started) * 100, "percent")}


async def measure_startup(start: Starter) -> Readings:
    """From starting the process until the node is ready; and of ours, what importing takes."""
    started = time.perf_counter()
    async with start(seed=1, start_timeout=START_SECONDS) as node:
        wall = time.perf_counter() - started
        cpu = await _cpu_seconds(node)
        is_ours = node.ready["impl"] == "python"
    readings = {"ready": (wall * 1e3, "ms"), "cpu.ready": (cpu * 1e3, "ms")}
    return {**readings, **(await _measure_imports() if is_ours else {})}


async def _measure_imports() -> Readings:
    """Of a fresh interpreter: by the clock, and CPU."""
    readings = {}
    for name, statement in _IMPORTS.items():
        with anyio.fail_after(_IMPORT_SECONDS):
            done = await anyio.run_process([sys.executable, "-c", _TIMED_IMPORT.format(statement)])
        wall, cpu = map(float, done.stdout.split())
        readings[name] = (wall * 1e3, "ms")
        readings[f"cpu.{name}"] = (cpu * 1e3, "ms")
    return readings


async def _cpu_seconds(node: PeerProcess) -> float:
    """PeerFailed where the node does not measure itself."""
    value = (await node.command("stats")).get("cpu_s")
    if not isinstance(value, int | float):
        raise PeerFailed(f"the {node.name} peer tells no cpu_s in its stats")
    return float(value)


SINGLE: Mapping[str, Callable[[Starter], Awaitable[Readings]]] = {
    "setup": measure_setup,
    "memory": measure_memory,
    "idle": measure_idle,
    "startup": measure_startup,
    "fan": measure_fan,
    "duplicates": measure_duplicates,
    ENDURANCE: measure_endurance,
}
"""All of them, by workload."""
ONCE = frozenset({ENDURANCE})
"""Those that are not repeated."""
