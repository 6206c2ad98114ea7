"""Messages that were refused, kept for looking at: the newest of them, and not all of each."""

from __future__ import annotations

import itertools
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gossipsub.chorus.errors import RefusalReason
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.dead_letters")

KEPT_BYTES = 4096
"""Bytes kept of one message: what hostile peers send must not fill the memory."""
COUNTED_AGENTS = 1024
"""Agents whose refused messages are counted: about 300 KB."""
LOOKED_AT = 8
"""Agents compared before one is given up."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was refused, and why."""

    topic: str
    reason: RefusalReason
    detail: str
    """The reason in words."""
    sender: PeerId | None
    """Who signed it."""
    received_from: PeerId
    """Who handed it to this node."""
    received_at: Timestamp
    data: bytes
    """The first 4096 bytes of it."""
    size: int
    """Bytes of the whole message."""

    def to_data(self) -> dict[str, object]:
        """For JSON: peer ids and the time as text, and `data` as text, in which what is no UTF-8
        reads U+FFFD."""
        return {
            "topic": self.topic,
            "reason": str(self.reason),
            "detail": self.detail,
            "sender": None if self.sender is None else str(self.sender),
            "received_from": str(self.received_from),
            "received_at": self.received_at.text,
            "data": self.data.decode("utf-8", "replace"),
            "size": self.size,
        }


DeadLetterHandler = Callable[[DeadLetter], None]
"""Hears of each refused message. It must be quick; an exception is logged and stops nothing."""


class DeadLetters:
    """Keeps the newest `bound` refused messages, and counts all of them by reason and by agent."""

    def __init__(self, bound: int) -> None:
        if bound < 1:
            raise LocalProtocolError(f"the dead-letter buffer holds at least 1: {bound}")
        self._letters: deque[DeadLetter] = deque(maxlen=bound)
        self._counts: Counter[RefusalReason] = Counter()
        self._by_agent: OrderedDict[PeerId, Counter[RefusalReason]] = OrderedDict()
        self._handler: DeadLetterHandler | None = None

    def set_handler(self, handler: DeadLetterHandler | None) -> None:
        """Tell `handler` of each from now on, instead of whom was told; None: nobody."""
        if handler is not None and not callable(handler):
            kind = type(handler).__name__
            raise LocalProtocolError(f"a dead-letter handler is a function, not of type {kind}")
        self._handler = handler

    def add(self, letter: DeadLetter) -> None:
        """When full, the oldest makes room."""
        self._letters.append(letter)
        self._counts[letter.reason] += 1
        self._count_agent(letter.sender or letter.received_from, letter.reason)
        if self._handler is not None:
            try:
                self._handler(letter)
            except Exception:
                logger.exception("a dead-letter handler failed name=%r", self._handler)

    def letters(
        self,
        *,
        reason: RefusalReason | None = None,
        topic: str | None = None,
        sender: PeerId | None = None,
    ) -> tuple[DeadLetter, ...]:
        """Oldest first: all, or those with this reason, topic and sender."""
        return tuple(
            letter
            for letter in self._letters
            if (reason is None or letter.reason == reason)
            and (topic is None or letter.topic == topic)
            and (sender is None or letter.sender == sender)
        )

    def counts(self) -> Mapping[RefusalReason, int]:
        return MappingProxyType(dict(self._counts))

    def counts_by_agent(self) -> Mapping[PeerId, Mapping[RefusalReason, int]]:
        """By who signed them (where nobody did, who handed them over). Beyond 1,024 agents those
        with the fewest are forgotten."""
        return MappingProxyType(
            {agent: MappingProxyType(dict(counts)) for agent, counts in self._by_agent.items()}
        )

    def _count_agent(self, agent: PeerId, reason: RefusalReason) -> None:
        counts = self._by_agent.get(agent)
        if counts is None:
            if len(self._by_agent) >= COUNTED_AGENTS:
                self._forget_one()
            counts = self._by_agent[agent] = Counter()
        counts[reason] += 1

    def _forget_one(self) -> None:
        """Of a few, in turn, the one with the fewest: new identities drive out one another."""
        looked_at = list(itertools.islice(self._by_agent, LOOKED_AT))
        for agent in looked_at:
            self._by_agent.move_to_end(agent)
        del self._by_agent[min(looked_at, key=lambda agent: self._by_agent[agent].total())]
