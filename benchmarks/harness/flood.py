"""As many messages as arrive without loss: their rate, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from gossipsub.benchmarks.harness.burst import Burst, send_burst
from gossipsub.benchmarks.harness.network import Network
from gossipsub.wire.errors import GossipSubError

WINDOWS = (16, 64, 256)
"""Those tried where none is given."""
MAX_FLIGHT_BYTES = 4 << 20
"""What a window may come to; half of what our own node keeps for one peer."""
FIRST_COUNT = 48
TRIAL_SECONDS = 0.3
NOTICEABLE = 1.05
"""A larger window has to bring so many times the rate."""


@dataclass(frozen=True, slots=True)
class Flood:
    """How a contestant is flooded, found out while it warms up."""

    window: int
    count: int
    """Messages of a run."""
    rate: float
    """Messages a second in the trial."""


class FloodFailed(GossipSubError):
    """No window without loss; says what was tried."""


async def find_flood(network: Network, *, size: int, seconds: float, window: int | None) -> Flood:
    """Warm the nodes up; the window with the highest rate among those that lose nothing, and how
    many messages take `seconds`. FloodFailed where the smallest loses some."""
    windows = [window] if window else [w for w in WINDOWS if w * size <= MAX_FLIGHT_BYTES]
    smallest = await send_burst(
        network, size=size, count=rounded(FIRST_COUNT, windows[0], network), window=windows[0]
    )
    best, best_rate = 0, 0.0
    rate = message_rate(smallest)
    for each in windows:
        if best and each > rate * TRIAL_SECONDS:
            break  # so many are never under way
        count = rounded(rate * TRIAL_SECONDS, each, network)
        trial = await send_burst(network, size=size, count=count, window=each)
        if trial.lost:
            break
        rate = message_rate(trial)
        if rate > best_rate * NOTICEABLE:
            best, best_rate = each, rate
    if not best:
        raise FloodFailed(f"loses messages even where only {windows[0]} are under way")
    return Flood(best, rounded(best_rate * seconds, best, network), best_rate)


def message_rate(burst: Burst) -> float:
    """Messages a second that arrived everywhere."""
    return burst.count / burst.seconds


def rounded(count: float, window: int, network: Network) -> int:
    """About so many, and at least two windows, in shares for the topics that a receiver can count
    by quarters of a window."""
    step = max(window // 4, 1) * len(network.topics)
    return max(round(count / step), 8) * step
