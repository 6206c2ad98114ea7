"""What nodes cost without messages: the arithmetic on pretended nodes, and all of it once on ours.
How high the figures are is not tested."""

from __future__ import annotations

import sys
from collections import deque
from functools import partial
from typing import Any, Self

import anyio
import pytest

from gossipsub.benchmarks.harness import single
from gossipsub.benchmarks.harness.single import (
    SINGLE,
    measure_idle,
    measure_memory,
    measure_setup,
    measure_single,
    measure_startup,
)
from gossipsub.conformance.driver import PeerFailed, PeerTimeout, start_peer

pytestmark = pytest.mark.anyio

OURS = partial(start_peer, "python", command=[sys.executable, "-m", "gossipsub", "peer"])
asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class PretendedNode:
    """Knows what it costs: `asking` for each stats, `connecting` for each connection, and a second
    more for its first. Nobody is ever connected when asked."""

    def __init__(self, seed: int, *, asking: float = 0.001, connecting: float = 0.004) -> None:
        self.name = "pretended"
        self.peer_id = f"peer {seed}"
        self.addresses = [f"/{seed}"]
        self.ready: dict[str, Any] = {"impl": "pretended", "versions": {}}
        self.asked: deque[str] = deque()
        self._costs = (asking, connecting)
        self._cpu = 0.5
        self._connections = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def command(self, name: str, /, **fields: Any) -> dict[str, Any]:
        self.asked.append(name)
        if name == "stats":
            self._cpu += self._costs[0]
            return {"cpu_s": self._cpu}
        if name == "connect":
            self._cpu += self._costs[1] + (1.0 if not self._connections else 0.0)
            self._connections += 1
        return {}

    async def wait_answer(self, name: str, /, where: Any, **fields: Any) -> dict[str, Any]:
        assert where({"peers": []})
        return {"peers": []}


def start_pretended(nodes: list[PretendedNode], **costs: float) -> Any:
    def start(*, seed: int, start_timeout: float, params: object = None) -> PretendedNode:
        nodes.append(PretendedNode(seed, **costs))
        return nodes[-1]

    return start


@asyncio_only
async def test_setting_up_counts_neither_the_first_connection_nor_the_asking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(single, "_AFTER_CONNECT_SECONDS", 0.0)
    nodes: list[PretendedNode] = []
    start = start_pretended(nodes)
    readings = await measure_setup(start, own=start, cycles=3)
    assert list(readings) == ["setup", "setup.from_python", "cpu.dialler", "cpu.listener"]
    assert readings["cpu.dialler"] == (pytest.approx(4000.0), "us")
    assert readings["cpu.listener"] == (pytest.approx(0.0), "us")
    listener, dialler, ours = nodes
    assert [node.asked.count("connect") for node in nodes] == [0, 4, 4]
    assert [node.asked.count("disconnect") for node in nodes] == [0, 4, 4]
    assert listener.asked.count("stats") == dialler.asked.count("stats") * 2
    assert ours.peer_id == "peer 3"


@asyncio_only
async def test_a_node_that_does_not_measure_itself_is_an_error() -> None:
    class Silent(PretendedNode):
        async def command(self, name: str, /, **fields: Any) -> dict[str, Any]:
            return {}

    def start(*, seed: int, start_timeout: float, params: object = None) -> Any:
        return Silent(seed)

    with pytest.raises(PeerFailed, match="the pretended peer tells no cpu_s in its stats"):
        await measure_startup(start)


@asyncio_only
async def test_a_measurement_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(start: object) -> dict[str, tuple[float, str]]:
        await anyio.sleep_forever()
        return {}

    monkeypatch.setattr(single, "SINGLE", {"memory": never})
    monkeypatch.setattr(single, "SINGLE_SECONDS", 0.01)
    with pytest.raises(PeerTimeout, match=r"memory was not over within 0\.01 s"):
        await measure_single("memory", start_pretended([]))


@asyncio_only
async def test_starting_tells_of_our_node_what_importing_takes() -> None:
    readings = await measure_startup(OURS)
    assert [name for name in readings if not name.startswith("cpu.")] == [
        "ready", "import.gossipsub", "import.host",
    ]  # fmt: skip
    assert {unit for _, unit in readings.values()} == {"ms"}
    assert readings["import.host"][0] > readings["import.gossipsub"][0] > 0


async def test_memory_is_read_at_each_number_of_connections() -> None:
    readings = await measure_memory(OURS, connections=[0, 5, 10])
    assert list(readings) == ["rss.connection", "rss.0", "rss.5", "rss.10"]
    assert {unit for _, unit in readings.values()} == {"bytes"}
    assert readings["rss.connection"][0] == pytest.approx(
        (readings["rss.10"][0] - readings["rss.5"][0]) / 5
    )


async def test_an_idle_node_is_measured_among_its_peers() -> None:
    readings = await measure_idle(OURS, peers=3, seconds=0.2)
    assert list(readings) == ["cpu.idle"]
    share, unit = readings["cpu.idle"]
    assert unit == "percent"
    assert 0 <= share < 100


def test_each_workload_in_one_piece_has_a_measurement() -> None:
    assert list(SINGLE) == [
        *("setup", "memory", "idle", "startup"),
        *("fan", "duplicates", "endurance"),
    ]
