"""The peer gater: under load, messages of peers that are of little use are dropped unseen.

Random early drop, as go has it (specs, "red.md"): it acts only while validation cannot keep up,
and drops the more of a source the less good came from there. Off unless parameters are given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from gossipsub.router.effects import Verdict
from gossipsub.router.heartbeat import HeartbeatClock
from gossipsub.router.kinds import require_kinds
from gossipsub.router.score.params import decay_factor


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerGaterParams:
    """When the gater acts and how it weighs; go's defaults. ValueError for what cannot work."""

    threshold: float = 0.33
    """It acts while more than this share of the messages validated were throttled."""
    quiet: float = 60.0
    """Seconds after the last throttled message for which it goes on."""
    global_decay: float = decay_factor(120.0)
    """Factor per `decay_interval` for the counts of all messages validated and throttled."""
    source_decay: float = decay_factor(3600.0)
    """The same for those of each source."""
    decay_interval: float = 1.0
    """Seconds."""
    decay_to_zero: float = 0.01
    """What falls below it is zero."""
    retain: float = 6 * 3600.0
    """Seconds a source is remembered after its last peer left."""
    max_retained: int = 10_000
    """Sources without a peer that are remembered; beyond it the oldest is forgotten."""
    duplicate_weight: float = 0.125
    ignore_weight: float = 1.0
    reject_weight: float = 16.0
    topic_delivery_weights: Mapping[str, float] = field(default_factory=dict)
    """What a message delivered in a topic counts, where not 1; 0: nothing."""

    def __post_init__(self) -> None:
        require_kinds(self)

        def require(name: str, is_good: bool, rule: str) -> None:
            if not is_good:
                raise ValueError(f"{name} must be {rule}: {getattr(self, name)}")

        require("threshold", 0 < self.threshold < math.inf, "positive")
        require("quiet", 1 <= self.quiet < math.inf, "at least 1")
        for name in ("global_decay", "source_decay", "decay_to_zero"):
            require(name, 0 < getattr(self, name) < 1, "between 0 and 1")
        require("decay_interval", 1 <= self.decay_interval < math.inf, "at least 1")
        require("retain", 0 <= self.retain < math.inf, "not negative")
        require("max_retained", self.max_retained >= 0, "not negative")
        require("duplicate_weight", 0 < self.duplicate_weight < math.inf, "positive")
        for name in ("ignore_weight", "reject_weight"):
            require(name, 1 <= getattr(self, name) < math.inf, "at least 1")
        weights = self.topic_delivery_weights
        are_good = all(0 <= weight < math.inf for weight in weights.values())
        require("topic_delivery_weights", are_good, "not negative")


@dataclass(slots=True)
class _Source:
    """One IP address, and what came from there."""

    peers: int = 0
    expires: float = math.inf
    deliver: float = 0.0
    duplicate: float = 0.0
    ignore: float = 0.0
    reject: float = 0.0


class PeerGater:
    """Counts by IP address, shared by its peers: nobody sheds a record by a new identity. A peer
    without an address is a source of its own."""

    def __init__(self, params: PeerGaterParams, *, rng: Random, now: float) -> None:
        self._params = params
        self._rng = rng
        self._clock = HeartbeatClock(
            start=now + params.decay_interval, interval=params.decay_interval
        )
        self._validated = 0.0
        self._throttled = 0.0
        self._last_throttled = -math.inf
        self._sources: dict[str | bytes, _Source] = {}
        self._left: dict[str | bytes, None] = {}
        self._key_of: dict[bytes, str | bytes] = {}

    def __len__(self) -> int:
        """Sources known, those included that are only remembered."""
        return len(self._sources)

    def add_peer(self, peer: bytes, ip: str | None) -> None:
        key = self._key_of[peer] = peer if ip is None else ip
        self._left.pop(key, None)
        source = self._sources.setdefault(key, _Source())
        source.peers += 1
        source.expires = math.inf

    def remove_peer(self, peer: bytes, now: float) -> None:
        key = self._key_of.pop(peer)
        source = self._sources[key]
        source.peers -= 1
        if source.peers == 0:
            source.expires = now + self._params.retain
            self._left[key] = None
            while len(self._left) > self._params.max_retained:
                self._forget(next(iter(self._left)))

    def accepts(self, peer: bytes, now: float) -> bool:
        """Whether to look at the messages of an RPC from `peer`, which is connected."""
        params = self._params
        if now - self._last_throttled > params.quiet or self._throttled == 0.0:
            return True
        if self._validated and self._throttled / self._validated < params.threshold:
            return True
        return self._rng.random() < self.chance(peer)

    def chance(self, peer: bytes) -> float:
        """How likely its messages are looked at while the gater acts: the good of all that came
        from its source. Never zero, so that everybody can do better."""
        params, source = self._params, self._sources[self._key_of[peer]]
        waste = (
            params.duplicate_weight * source.duplicate
            + params.ignore_weight * source.ignore
            + params.reject_weight * source.reject
        )
        return (1.0 + source.deliver) / (1.0 + source.deliver + waste)

    def duplicate(self, peer: bytes) -> None:
        if (source := self._source_of(peer)) is not None:
            source.duplicate += 1.0

    def refused(self, peer: bytes) -> None:
        """A message was refused before validation, by the signature policy or for its size."""
        if (source := self._source_of(peer)) is not None:
            source.reject += 1.0

    def judged(self, peer: bytes, topic: str, verdict: Verdict, now: float) -> None:
        """A verdict on a message that `peer`, connected or not any more, was first to send."""
        if verdict is Verdict.QUEUE_FULL or verdict is Verdict.THROTTLED:
            self._throttled += 1.0
            self._last_throttled = now
        if verdict is not Verdict.QUEUE_FULL and verdict is not Verdict.INVALID_SIGNATURE:
            self._validated += 1.0
        source = self._source_of(peer)
        if source is None:
            return
        if verdict is Verdict.ACCEPT:
            source.deliver += self._params.topic_delivery_weights.get(topic, 1.0)
        elif verdict is Verdict.IGNORE:
            source.ignore += 1.0
        elif verdict is Verdict.REJECT or verdict is Verdict.INVALID_SIGNATURE:
            source.reject += 1.0

    def next_deadline(self) -> float:
        return self._clock.deadline

    def decay_if_due(self, now: float) -> None:
        """Let the counts of connected sources and of all messages decay; forget who left long
        ago."""
        if not self._clock.is_due(now):
            return
        params = self._params
        self._validated = self._decayed(self._validated, params.global_decay)
        self._throttled = self._decayed(self._throttled, params.global_decay)
        while self._left and self._sources[key := next(iter(self._left))].expires < now:
            self._forget(key)
        factor = params.source_decay
        for source in self._sources.values():
            if source.peers:
                source.deliver = self._decayed(source.deliver, factor)
                source.duplicate = self._decayed(source.duplicate, factor)
                source.ignore = self._decayed(source.ignore, factor)
                source.reject = self._decayed(source.reject, factor)

    def _decayed(self, count: float, factor: float) -> float:
        count *= factor
        return count if count >= self._params.decay_to_zero else 0.0

    def _source_of(self, peer: bytes) -> _Source | None:
        key = self._key_of.get(peer)
        return None if key is None else self._sources[key]

    def _forget(self, key: str | bytes) -> None:
        del self._left[key]
        del self._sources[key]
