"""Messages under validation, with the copies that arrived meanwhile."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gossipsub.wire.rpc import Message


@dataclass(slots=True)
class Copy:
    """A copy whose bytes differ from the one under validation, and who sent it."""

    message: Message
    senders: dict[bytes, None]


@dataclass(slots=True)
class Pending:
    """One message id under validation."""

    ticket: int
    message_id: bytes
    message: Message
    peer: bytes
    """Who sent the copy under validation first."""
    senders: dict[bytes, None]
    """Everybody who sent exactly this copy."""
    expiry: float = math.inf
    """When it is of no use any more."""
    others: list[Copy] | None = None


class PendingTable:
    """At most `limit` message ids, each with at most `max_copies` differing copies."""

    def __init__(self, *, limit: int, max_copies: int) -> None:
        self._limit = limit
        self._max_copies = max_copies
        self._last_ticket = 0
        self._by_ticket: dict[int, Pending] = {}
        self.by_id: dict[bytes, Pending] = {}

    def __len__(self) -> int:
        return len(self._by_ticket)

    def is_full(self) -> bool:
        return len(self._by_ticket) >= self._limit

    def add(
        self, message_id: bytes, message: Message, peer: bytes, expiry: float = math.inf
    ) -> Pending:
        ticket = self._last_ticket = self._last_ticket + 1
        pending = Pending(ticket, message_id, message, peer, {peer: None}, expiry)
        self._by_ticket[ticket] = self.by_id[message_id] = pending
        return pending

    def add_copy(self, pending: Pending, message: Message, peer: bytes) -> None:
        """Another copy: the same bytes only add a sender, others wait for their turn. Of one peer
        only the first copy is taken, or it could use up the places of all others."""
        if _same(message, pending.message):
            pending.senders[peer] = None
            return
        if pending.others is None:
            pending.others = []
        if peer in pending.senders or any(peer in other.senders for other in pending.others):
            return
        for other in pending.others:
            if _same(message, other.message):
                other.senders[peer] = None
                return
        if len(pending.others) + 1 < self._max_copies:
            pending.others.append(Copy(message, {peer: None}))

    def take(self, ticket: int) -> Pending | None:
        """Remove what the ticket stands for; None where it stands for nothing (any more)."""
        pending = self._by_ticket.pop(ticket, None)
        if pending is not None:
            del self.by_id[pending.message_id]
        return pending

    def discard(self, message_id: bytes) -> Pending | None:
        """Remove by id: its verdict will come too late."""
        pending = self.by_id.get(message_id)
        return None if pending is None else self.take(pending.ticket)

    def next_copy(self, failed: Pending) -> Pending | None:
        """After an invalid signature: put the next differing copy under validation, if any."""
        if not failed.others:
            return None
        copy, *others = failed.others
        pending = self.add(failed.message_id, copy.message, next(iter(copy.senders)), failed.expiry)
        pending.senders = copy.senders
        pending.others = others or None
        return pending


def _same(one: Message, other: Message) -> bool:
    if one is other:
        return True
    if one.encoding is not None and other.encoding is not None:
        return one.encoding == other.encoding
    return one == other
