"""What a relay pays for each further peer: it has one receiver, then two, four and eight.

All nodes are up and connected from the beginning, and receivers subscribe when it is their turn.
So the same relay is measured with more and more mesh peers, and the rest stays as it is. Each of
them is told by IDONTWANT of what comes, from the size on at which that begins, as in any network.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import linear_regression

from gossipsub.benchmarks.harness.burst import send_burst
from gossipsub.benchmarks.harness.flood import FloodFailed, find_flood
from gossipsub.benchmarks.harness.network import PARAMS, Network, connect, running, subscribe
from gossipsub.benchmarks.harness.readings import START_SECONDS, Readings, Starter
from gossipsub.benchmarks.harness.workload import Workload

FANS = (1, 2, 4, 8)
SIZE = 1024
WINDOW = 64
SECONDS = 0.4
"""Of a run."""
RUNS = 3
"""Of each number of receivers; the least disturbed one counts."""
_TOPIC = "benchmark"


async def measure_fan(
    start: Starter, *, fans: Sequence[int] = FANS, seconds: float = SECONDS
) -> Readings:
    """CPU of the relay for each message, by its receivers, and for each further one of them: the
    slope of a line. FloodFailed where messages are lost."""
    workload = Workload.named(f"fan-{max(fans)}")
    edges = workload.edges(seed=0)
    starting = [
        start(seed=number + 1, start_timeout=START_SECONDS, params=PARAMS)
        for number in range(workload.nodes)
    ]
    costs: dict[int, float] = {}
    async with running(starting) as nodes:
        neighbours = await connect(nodes, edges)
        subscribed = 0
        for fan in fans:
            part = Workload.named(f"fan-{fan}")
            await subscribe(nodes, range(subscribed, part.nodes), neighbours, _TOPIC)
            subscribed = part.nodes
            network = Network(part, nodes[: part.nodes], [_TOPIC])
            costs[fan] = await _relay_us(network, seconds)
    slope = linear_regression(list(costs), list(costs.values())).slope
    return {
        "cpu.further_peer": (slope, "us"),
        **{f"cpu.relay.{fan}": (cost, "us") for fan, cost in costs.items()},
    }


async def _relay_us(network: Network, seconds: float) -> float:
    plan = await find_flood(network, size=SIZE, seconds=seconds, window=WINDOW)
    (relay,) = network.workload.relays
    costs = []
    for _ in range(RUNS):
        burst = await send_burst(network, size=SIZE, count=plan.count, window=plan.window)
        if burst.lost:
            name = network.workload.name
            raise FloodFailed(f"{name} lost {burst.lost} messages: {burst.account}")
        costs.append(burst.cpu_us(relay))
    return min(costs)
