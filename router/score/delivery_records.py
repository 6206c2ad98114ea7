"""What became of messages, remembered so that later copies of them count too (v1.1, P3 and P4).

A copy is a message with the same id, topic and data. An id alone proves nothing: it can be
guessed, and an author may sign two messages with one id, so that honest peers who deliver the
good one would pay for the bad one (go, rust and js look at the id alone).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from gossipsub.router.effects import Verdict
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.wire.rpc import Message

MAX_SENDERS = 1024
"""Peers remembered per invalid message; copies from more of them cost nothing."""


@dataclass(slots=True)
class _Record:
    message_id: bytes
    topic: str
    expiry: float
    is_valid: bool
    content: bytes
    """The data of a valid message; the hash of an invalid one's, since that is kept for long."""
    senders: dict[bytes, None]
    """Those who were credited or blamed: once per message."""


class DeliveryRecords:
    """Accepted messages for their topic's window (at most `ttl`), rejected ones for `ttl`
    seconds; of either at most `limit`, beyond which the oldest go."""

    def __init__(self, scores: PeerScores, *, ttl: float, limit: int) -> None:
        self._scores = scores
        self._ttl = ttl
        self._limit = limit
        self._records: dict[bytes, _Record] = {}
        self._valid: deque[_Record] = deque()
        self._invalid: deque[_Record] = deque()

    def __len__(self) -> int:
        return len(self._valid) + len(self._invalid)

    def accepted(
        self,
        message_id: bytes,
        message: Message,
        first: bytes,
        others: Iterable[bytes],
        now: float,
    ) -> None:
        """A message proved valid: P2 for the first sender, P3 for all in the mesh."""
        topic = message.topic
        window = self._scores.window(topic)
        if window is None:
            return
        self._scores.first_delivery(first, topic)
        senders = {first: None}
        for peer in others:
            if peer not in senders and self._scores.mesh_delivery(peer, topic):
                senders[peer] = None
        expiry = now + min(window, self._ttl)
        record = _Record(message_id, topic, expiry, True, message.data or b"", senders)
        self._add(record, self._valid, now)

    def rejected(
        self, message_id: bytes, message: Message, senders: Iterable[bytes], now: float
    ) -> None:
        """A message is genuine but invalid: P4 for all who sent it, and who will (SCORE-18)."""
        topic = message.topic
        if self._scores.window(topic) is None:
            return
        blamed = dict.fromkeys(senders)
        self.blame(blamed, topic, Verdict.REJECT.value)
        record = _Record(message_id, topic, now + self._ttl, False, _hash(message), blamed)
        self._add(record, self._invalid, now)

    def blame(self, senders: Iterable[bytes], topic: str, reason: str) -> None:
        """P4 for a message that is not genuine, of which nothing is remembered."""
        for peer in senders:
            self._scores.invalid_delivery(peer, topic, reason)

    def duplicate(self, peer: bytes, message_id: bytes, message: Message, now: float) -> None:
        """A message came whose id had its verdict before."""
        record = self._records.get(message_id)
        if record is None or record.expiry < now or peer in record.senders:
            return
        topic, senders = record.topic, record.senders
        if message.topic != topic:
            return
        if record.is_valid:
            same = (message.data or b"") == record.content
            if same and self._scores.mesh_delivery(peer, topic):
                senders[peer] = None
        elif len(senders) < MAX_SENDERS and _hash(message) == record.content:
            senders[peer] = None
            self._scores.invalid_delivery(peer, topic, Verdict.REJECT.value)

    def published(self, message_id: bytes) -> None:
        """The message was published here: whatever it was before, copies of it are welcome."""
        self._records.pop(message_id, None)

    def sweep(self, now: float) -> None:
        """Free what expired."""
        for order in (self._valid, self._invalid):
            while order and order[0].expiry < now:
                self._remove_oldest(order)

    def _add(self, record: _Record, order: deque[_Record], now: float) -> None:
        while order and (order[0].expiry < now or len(order) >= self._limit):
            self._remove_oldest(order)
        order.append(record)
        self._records[record.message_id] = record

    def _remove_oldest(self, order: deque[_Record]) -> None:
        record = order.popleft()
        # The id may have come back, when its seen entry was gone already.
        if self._records.get(record.message_id) is record:
            del self._records[record.message_id]


def _hash(message: Message) -> bytes:
    return sha256(message.data or b"").digest()
