"""Which neighbour is asked when: newcomers soon, all of them in turn, none too often."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from gossipsub.crypto.peer_id import PeerId

FIRST_PAUSE = 0.5
"""Seconds until a newcomer is asked, so that both sides know each other's topics."""
AGAIN = 1.0
"""Seconds until a neighbour is asked again that has more to give."""
FIRST_REST = 5.0
"""Seconds until a neighbour is asked again that did not answer; doubles each time."""
LONGEST_REST = 600.0
MISTRUSTED_FOR = 3600.0
"""Seconds for which a neighbour is left alone that broke the protocol, or forged."""
MAX_REMEMBERED = 1024
"""Neighbours that left and are not to be asked yet."""


class CatchUpOutcome(Enum):
    """How a session ended."""

    COMPLETE = "complete"
    """This node has all that the neighbour could give."""
    MORE = "more"
    """The neighbour has more to give."""
    FAILED = "failed"
    """It does not speak the protocol, refused, was too slow or too wordy, or went away."""
    MISBEHAVED = "misbehaved"
    """It broke the protocol, or gave what its author has not signed."""


@dataclass(slots=True)
class _Neighbour:
    due_at: float
    """When it is to be asked next."""
    rest: float = FIRST_REST
    is_asked: bool = False
    """A session is under way."""
    is_pending: bool = True
    """It has not been asked yet since it came, or since `hurry`."""


class Neighbours:
    """Knows nothing of sessions; `now` is monotonic seconds."""

    def __init__(self, *, interval: float, rng: random.Random) -> None:
        self.completed = 0
        """Sessions that were complete since the last `hurry`."""
        self._interval = interval
        self._rng = rng
        self._there: dict[PeerId, _Neighbour] = {}
        self._resting: dict[PeerId, _Neighbour] = {}

    def present(self, peers: Iterable[PeerId], now: float) -> None:
        """Who is there now."""
        there: dict[PeerId, _Neighbour] = {}
        for peer in peers:
            known = self._there.pop(peer, None) or self._resting.pop(peer, None)
            if known is None:
                known = _Neighbour(now + FIRST_PAUSE * self._rng.uniform(1.0, 2.0))
            there[peer] = known
        for peer, known in self._there.items():
            if known.rest > FIRST_REST and known.due_at > now:
                self._resting[peer] = known
        while len(self._resting) > MAX_REMEMBERED:
            del self._resting[next(iter(self._resting))]
        self._there = there

    def hurry(self, now: float) -> None:
        """This node has joined a topic: ask everybody again who can be trusted to answer."""
        self.completed = 0
        for known in self._there.values():
            if known.rest <= FIRST_REST:
                known.is_pending = True
                known.due_at = min(known.due_at, now + FIRST_PAUSE * self._rng.uniform(1.0, 2.0))

    def next_due(self) -> float | None:
        """When somebody is to be asked; None where nobody is there."""
        return min(
            (each.due_at for each in self._there.values() if not each.is_asked), default=None
        )

    def take_due(self, now: float) -> PeerId | None:
        """Who is to be asked now, if anybody; `asked` is to follow."""
        due = [
            (known.due_at, peer)
            for peer, known in self._there.items()
            if known.due_at <= now and not known.is_asked
        ]
        if not due:
            return None
        peer = min(due)[1]
        self._there[peer].is_asked = True
        return peer

    def asked(self, peer: PeerId, outcome: CatchUpOutcome, now: float) -> None:
        """How the session with it ended."""
        self.completed += outcome is CatchUpOutcome.COMPLETE
        known = self._there.get(peer)
        if known is None:
            if outcome is not CatchUpOutcome.MISBEHAVED:
                return
            known = self._resting[peer] = _Neighbour(now)  # it went at once
        known.is_asked = False
        known.is_pending = outcome is CatchUpOutcome.MORE
        match outcome:
            case CatchUpOutcome.COMPLETE:
                known.rest = FIRST_REST
                # All together are asked about once in an interval.
                pause = self._interval * len(self._there) * self._rng.uniform(0.5, 1.5)
                known.due_at = now + pause
            case CatchUpOutcome.MORE:
                known.due_at = now + AGAIN
            case CatchUpOutcome.FAILED:
                known.due_at = now + known.rest * self._rng.uniform(1.0, 1.5)
                known.rest = min(known.rest * 2, LONGEST_REST)
            case CatchUpOutcome.MISBEHAVED:
                known.due_at = now + MISTRUSTED_FOR
                known.rest = LONGEST_REST

    @property
    def is_complete(self) -> bool:
        """Whether everybody there has been asked, and somebody has given all it had."""
        return self.completed > 0 and not any(
            known.is_pending or known.is_asked for known in self._there.values()
        )
