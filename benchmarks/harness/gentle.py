"""A few messages a second, or half of what the network can take: how late they arrive."""

from __future__ import annotations

from statistics import median

from gossipsub.benchmarks.harness.burst import Burst, send_burst
from gossipsub.benchmarks.harness.network import Network

RATE = 50.0
PERCENTILES = ("p50", "p90", "p99", "max")


async def send_paced(network: Network, *, size: int, rate: float, seconds: float) -> Burst:
    """Messages at `rate` a second for about `seconds`."""
    topics = len(network.topics)
    return await send_burst(
        network, size=size, count=max(round(rate * seconds / topics), 1) * topics, rate=rate
    )


def latencies_ms(network: Network, burst: Burst) -> dict[str, float]:
    """From publishing to the delivery. Of several receivers: the median's middle and 90th
    percentile, the worst one's 99th and maximum."""
    told = [burst.stats[number]["latency_us"] for number in network.workload.receivers]
    told = [each for each in told if each["count"]]
    if not told:
        return {}
    return {
        name: (median if name in ("p50", "p90") else max)(each[name] for each in told) / 1000
        for name in PERCENTILES
    }
