"""Messages under validation, with the copies that arrived meanwhile."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gossipsub.wire.rpc import Message

SHARE = 2
"""Nobody gets a place while it holds this many times the bytes that are free. So one alone can
have two thirds of the table, two of them two fifths each, and some is always left for others."""


@dataclass(slots=True)
class Copy:
    """A copy whose bytes differ from the one under validation, and who sent it."""

    message: Message
    holder: bytes
    """Who sent it first."""
    size: int
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
    size: int
    """Bytes for which the copy counts, among those of `peer`."""
    expiry: float = math.inf
    """When it is of no use any more."""
    others: list[Copy] | None = None


class PendingTable:
    """At most `limit` messages and `max_bytes`, and at most `max_copies` differing copies of one.

    Every copy counts for whoever sent it first, with its size or, where that is less, with its
    part of the bytes: `limit` of the smallest fill the table.
    """

    def __init__(self, *, limit: int, max_bytes: int, max_copies: int) -> None:
        self._least = max(max_bytes // limit, 1)
        self._free = self._max_bytes = self._least * limit
        self._max_copies = max_copies
        self._held: dict[bytes, int] = {}
        self._last_ticket = 0
        self._by_ticket: dict[int, Pending] = {}
        self.by_id: dict[bytes, Pending] = {}

    def __len__(self) -> int:
        return len(self._by_ticket)

    @property
    def held_bytes(self) -> int:
        """What all of them count for."""
        return self._max_bytes - self._free

    def add(
        self, message_id: bytes, message: Message, peer: bytes, expiry: float = math.inf
    ) -> Pending | None:
        """None where there is no room, or none for what this peer sends."""
        size = self._take_room(message, peer)
        if not size:
            return None
        ticket = self._last_ticket = self._last_ticket + 1
        pending = Pending(ticket, message_id, message, peer, {peer: None}, size, expiry)
        self._by_ticket[ticket] = self.by_id[message_id] = pending
        return pending

    def add_copy(self, pending: Pending, message: Message, peer: bytes) -> bool:
        """Another copy: the same bytes only add a sender, others wait for their turn. Of one peer
        only the first copy is taken, or it could use up the places of all others. False where
        there was no room for that one."""
        if _same(message, pending.message):
            pending.senders[peer] = None
            return True
        others = pending.others or []
        if peer in pending.senders or any(peer in other.senders for other in others):
            return True
        for other in others:
            if _same(message, other.message):
                other.senders[peer] = None
                return True
        size = self._take_room(message, peer) if len(others) + 1 < self._max_copies else 0
        if size:
            pending.others = [*others, Copy(message, peer, size, {peer: None})]
        return bool(size)

    def take(self, ticket: int) -> Pending | None:
        """Remove what the ticket stands for; None where it stands for nothing (any more)."""
        pending = self._by_ticket.pop(ticket, None)
        if pending is not None:
            del self.by_id[pending.message_id]
            self._release(pending.peer, pending.size)
            for copy in pending.others or ():
                self._release(copy.holder, copy.size)
        return pending

    def discard(self, message_id: bytes) -> Pending | None:
        """Remove by id: its verdict will come too late."""
        pending = self.by_id.get(message_id)
        return None if pending is None else self.take(pending.ticket)

    def next_copy(self, failed: Pending) -> Pending | None:
        """After an invalid signature: put the next differing copy under validation, if any."""
        if not failed.others:
            return None
        for copy in failed.others:  # they had their room a moment ago
            self._free -= copy.size
            self._held[copy.holder] = self._held.get(copy.holder, 0) + copy.size
        ticket = self._last_ticket = self._last_ticket + 1
        first, *others = failed.others
        pending = Pending(
            ticket,
            failed.message_id,
            first.message,
            first.holder,
            first.senders,
            first.size,
            failed.expiry,
            others or None,
        )
        self._by_ticket[ticket] = self.by_id[failed.message_id] = pending
        return pending

    def _take_room(self, message: Message, peer: bytes) -> int:
        """What the message counts for; 0 where there is no room for it."""
        encoding = message.encoding
        # A received message is kept encoded and in fields; of one never encoded, the data.
        size = len(message.data or b"") if encoding is None else 2 * len(encoding)
        if size < self._least:
            size = self._least
        free, held = self._free, self._held.get(peer, 0)
        if size > free or held >= SHARE * free:
            return 0
        self._free = free - size
        self._held[peer] = held + size
        return size

    def _release(self, peer: bytes, size: int) -> None:
        self._free += size
        held = self._held[peer] - size
        if held:
            self._held[peer] = held
        else:
            del self._held[peer]


def _same(one: Message, other: Message) -> bool:
    if one is other:
        return True
    if one.encoding is not None and other.encoding is not None:
        return one.encoding == other.encoding
    return one == other
