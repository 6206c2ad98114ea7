"""Announcing own subscriptions, again where an announcement was dropped (pubsub README)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from gossipsub.router.effects import Lane
from gossipsub.router.extension.params import PartialMode
from gossipsub.router.outbox import Outbox
from gossipsub.wire.rpc import Control, Rpc, SubOpts


@dataclass(slots=True)
class _Retry:
    due: float
    topics: dict[str, bool] = field(default_factory=dict)


class Announcements:
    """Tells peers what we subscribe to, and in which `mode` for partial messages; `joined` is
    read only."""

    def __init__(
        self,
        joined: Mapping[str, bool],
        outbox: Outbox,
        rng: Random,
        *,
        retry_max: float,
        mode: Callable[[str], PartialMode | None],
    ) -> None:
        self._joined = joined
        self._outbox = outbox
        self._rng = rng
        self._retry_max = retry_max
        self._mode = mode
        self._retries: dict[bytes, _Retry] = {}

    def __len__(self) -> int:
        return len(self._retries)

    def hello(self, peer: bytes, control: Control | None = None) -> None:
        """All subscriptions in one RPC, with `control`; nothing where there is neither."""
        self._retries.pop(peer, None)
        if self._joined or control is not None:
            options = tuple(self._option(topic, True) for topic in self._joined)
            rpc = Rpc(subscriptions=options, control=control)
            # Nothing may overtake the first RPC of a stream.
            self._outbox.send(peer, rpc, Lane.URGENT)

    def announce(self, peers: Iterable[bytes], topic: str, subscribe: bool) -> None:
        for retry in self._retries.values():
            retry.topics.pop(topic, None)
        rpc = Rpc(subscriptions=(self._option(topic, subscribe),))
        self._outbox.send_to_all(peers, rpc, Lane.CONTROL)

    def dropped(self, peer: bytes, subscriptions: Sequence[SubOpts], now: float) -> None:
        """An announcement could not be queued: again after a random delay (SUB-08)."""
        retry = self._retries.get(peer)
        if retry is None:
            retry = self._retries[peer] = _Retry(now + self._rng.random() * self._retry_max)
        for option in subscriptions:
            retry.topics[option.topic] = option.subscribe

    def next_deadline(self) -> float:
        if not self._retries:
            return math.inf
        return min(retry.due for retry in self._retries.values())

    def retry_due(self, now: float) -> None:
        """Send what is due, as far as it still says the truth."""
        for peer in [peer for peer, retry in self._retries.items() if retry.due <= now]:
            topics = self._retries.pop(peer).topics
            options = tuple(
                self._option(topic, subscribe)
                for topic, subscribe in topics.items()
                if subscribe == (topic in self._joined)
            )
            if options:
                self._outbox.send(peer, Rpc(subscriptions=options), Lane.CONTROL)

    def forget(self, peer: bytes) -> None:
        self._retries.pop(peer, None)

    def _option(self, topic: str, subscribe: bool) -> SubOpts:
        """Whoever does not know the flags for partial messages skips them."""
        mode = self._mode(topic) if subscribe else None
        return SubOpts(topic, subscribe, mode is PartialMode.REQUEST, mode is not None)
