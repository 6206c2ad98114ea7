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
TRIALS = 2
"""Of each window, in turns: on a busy machine one of them is disturbed."""
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
    """Warm the nodes up; the window with the highest rate among those that lose nothing, the
    smallest where others bring hardly more, and how many messages take `seconds`. FloodFailed
    where the smallest loses some."""
    windows = [window] if window else [w for w in WINDOWS if w * size <= MAX_FLIGHT_BYTES]
    warm_up = rounded(FIRST_COUNT, windows[0], network)
    trial = await send_burst(network, size=size, count=warm_up, window=windows[0])
    rate, rates = message_rate(trial), dict[int, float]()
    too_many, account = max(windows) + 1, ""
    for each in windows * TRIALS if len(windows) > 1 else windows:
        if each >= too_many or (rates and each > rate * TRIAL_SECONDS):
            continue  # so many are lost, or never under way
        count = rounded(rate * TRIAL_SECONDS, each, network)
        trial = await send_burst(network, size=size, count=count, window=each)
        if trial.lost:
            too_many, account = each, trial.account
            continue
        rate = message_rate(trial)
        rates[each] = max(rate, rates.get(each, 0.0))
    kept = {each: rate for each, rate in rates.items() if each < too_many}
    if not kept:
        raise FloodFailed(f"loses messages even where only {too_many} are under way: {account}")
    best = min(each for each, rate in kept.items() if rate * NOTICEABLE >= max(kept.values()))
    return Flood(best, rounded(kept[best] * seconds, best, network), kept[best])


def message_rate(burst: Burst) -> float:
    """Messages a second that arrived everywhere."""
    return burst.count / burst.seconds


def rounded(count: float, window: int, network: Network) -> int:
    """About so many, and at least two windows, in shares for the topics that a receiver can count
    by quarters of a window."""
    step = max(window // 4, 1) * len(network.topics)
    return max(round(count / step), 8) * step
