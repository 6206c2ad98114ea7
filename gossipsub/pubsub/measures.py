"""What passes a host, counted and timed for whoever watches it; plain additions on the way."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from gossipsub.wire.rpc import Control, Rpc

DURATION_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)
LATENCY_BOUNDS = (*DURATION_BOUNDS, 5.0)
"""Seconds; both are those of libp2p's draft of metrics."""

SAMPLE_MASK = 15
"""One of 16 messages is timed: a clock's reading costs more than all the counting."""
MAX_TIMED = 1024
"""Messages under validation that are timed at once."""

_NOTHING = Control()


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many values there were up to each of the bounds, and above all of them."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    """One more than there are bounds; each value counts once, at the first bound not below it."""
    sum: float
    """Of all values."""


class Histogram:
    """Values as they come, kept as a distribution."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def read(self) -> Distribution:
        return Distribution(self._bounds, tuple(self._counts), self._sum)


class RpcCounts:
    """RPCs of one direction, and what was in them."""

    def __init__(self) -> None:
        self.rpcs = 0
        self._messages = 0
        self._subscribed = self._unsubscribed = 0
        self._graft = self._prune = self._ihave = self._iwant = self._idontwant = 0
        self._partial = 0

    def add(self, rpc: Rpc) -> None:
        self.rpcs += 1
        self._messages += len(rpc.publish)
        if rpc.control is not None or rpc.subscriptions or rpc.partial is not None:
            self._add_others(rpc)

    def _add_others(self, rpc: Rpc) -> None:
        subscribed = sum([option.subscribe for option in rpc.subscriptions])
        self._subscribed += subscribed
        self._unsubscribed += len(rpc.subscriptions) - subscribed
        self._partial += rpc.partial is not None
        control = rpc.control or _NOTHING
        self._graft += len(control.graft)
        self._prune += len(control.prune)
        self._ihave += len(control.ihave)
        self._iwant += len(control.iwant)
        self._idontwant += len(control.idontwant)

    def by_type(self) -> dict[str, int]:
        """Messages, subscriptions and the entries of control messages, by the draft's names."""
        return {
            "publish": self._messages,
            "subscribe": self._subscribed,
            "unsubscribe": self._unsubscribed,
            "graft": self._graft,
            "prune": self._prune,
            "ihave": self._ihave,
            "iwant": self._iwant,
            "idontwant": self._idontwant,
            "partial": self._partial,
        }


class Measures:
    """One host's. `now` tells the time in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.received = RpcCounts()
        self.sent = RpcCounts()
        self.heartbeat_duration = Histogram(DURATION_BOUNDS)
        self.heartbeat_lateness = Histogram(DURATION_BOUNDS)
        """How much later than due a heartbeat began: what else keeps the event loop busy."""
        self.validation = Histogram(LATENCY_BOUNDS)
        """From a message's arrival to the verdict on it; of one in 16 messages."""
        self._now = now
        self._timed: dict[int, float] = {}

    def heartbeat(self, *, due: float, began: float) -> None:
        """One that was due and began at these times is over."""
        self.heartbeat_lateness.observe(began - due)
        self.heartbeat_duration.observe(self._now() - began)

    def validation_began(self, ticket: int) -> None:
        if not ticket & SAMPLE_MASK and len(self._timed) < MAX_TIMED:
            self._timed[ticket] = self._now()

    def validation_ended(self, ticket: int) -> None:
        if not ticket & SAMPLE_MASK:
            began = self._timed.pop(ticket, None)
            if began is not None:
                self.validation.observe(self._now() - began)
