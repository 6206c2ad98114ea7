"""Scoring of messages: who pays for what became of them, and for those promised in vain."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from gossipsub.router.effects import Verdict
from gossipsub.router.params import GossipParams
from gossipsub.router.pending import Pending
from gossipsub.router.score.delivery_records import DeliveryRecords
from gossipsub.router.score.params import PeerScoreParams
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.router.score.promises import Promises
from gossipsub.wire.rpc import Message


class Scoring:
    """What there is only while scoring is on: scores, and all that is remembered for them."""

    def __init__(self, score: PeerScoreParams, params: GossipParams, *, now: float) -> None:
        limits = params.limits
        self.scores = PeerScores(score, max_retained=limits.max_retained_scores, now=now)
        for topic, own in params.topics.items():
            if own.score is not None:
                self.scores.set_topic_params(topic, own.score)
        self.promises = Promises(follow_up=params.lazy.iwant_followup, limit=limits.max_promises)
        self.records = DeliveryRecords(
            self.scores, ttl=params.seen_ttl, limit=limits.max_delivery_records
        )

    def judged(self, pending: Pending, verdict: Verdict, now: float) -> None:
        """A verdict was reached, on a message that was not changed yet since it came.

        Ignored and unexamined messages cost nothing and keep promises. One that is not genuine
        keeps none, and costs those who sent exactly these bytes.
        """
        message, message_id = pending.message, pending.message_id
        if verdict is Verdict.INVALID_SIGNATURE:
            self.records.blame(pending.senders, message.topic, verdict.value)
            return
        self.promises.kept(message_id)
        if verdict is Verdict.ACCEPT:
            senders = pending.senders if pending.others is None else _senders(pending)
            self.records.accepted(message_id, message, pending.peer, senders, now)
        elif verdict is Verdict.REJECT:
            self.records.rejected(message_id, message, _senders(pending), now)

    def excused(self, peer: bytes, message_id: bytes | None) -> None:
        """The peer sent what is only unwanted here, and broke no promise. Whether the message was
        genuine nobody looked, so that it excuses nobody else."""
        if message_id is not None:
            self.promises.withdraw(peer, (message_id,))

    def published(self, message_id: bytes) -> None:
        """A message is published here."""
        self.promises.kept(message_id)
        self.records.published(message_id)

    def charge_broken_promises(
        self, joined: Container[str], pending: Iterable[bytes], now: float
    ) -> None:
        """Those due, but for messages that are pending, and for topics not joined any more."""
        broken = self.promises.take_broken(joined=joined, pending=pending, now=now)
        for peer, count in broken.items():
            self.scores.penalise(peer, count, "promised and did not deliver")

    def sweep(self, now: float) -> None:
        """Free what expired."""
        self.records.sweep(now)


def _senders(pending: Pending) -> Iterator[bytes]:
    """Those who sent this message, be it in other bytes: same topic and data, say."""
    message: Message = pending.message
    yield from pending.senders
    for copy in pending.others or ():
        if copy.message.topic == message.topic and copy.message.data == message.data:
            yield from copy.senders
