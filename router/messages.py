"""The way of a message: checks on receipt, validation elsewhere, verdict, forwarding."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping

from gossipsub.router.admission.blacklist import Blacklist
from gossipsub.router.admission.gater import PeerGater
from gossipsub.router.counts import TopicCountTable, count
from gossipsub.router.delivery_points import DeliveryPoints
from gossipsub.router.effects import Deliver, Lane, PublishReceipt, Validate, Verdict
from gossipsub.router.extension.partial import PartialMessages
from gossipsub.router.idontwant import IDontWants
from gossipsub.router.lifetime import expiry_of
from gossipsub.router.mcache import MessageCache
from gossipsub.router.outbox import Outbox
from gossipsub.router.outside import OutsideMesh
from gossipsub.router.params import GossipParams, SeenStrategy, TopicSettings
from gossipsub.router.pending import Pending, PendingTable
from gossipsub.router.policy import refusal
from gossipsub.router.score.scoring import Scoring
from gossipsub.router.seen import LastSeenCache, SeenCache
from gossipsub.router.topic_table import TopicTable
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message, Rpc

BLACKLISTED_PEER = "blacklisted peer"
BLACKLISTED_SOURCE = "blacklisted source"
NO_MESSAGE_ID = "no message id"
PEER_THROTTLED = "peer throttled"
SELF_ORIGIN = "self originated message"
TOO_LARGE = "message too large"
EXPIRED = "message expired"


class Messages:
    """Seen cache, messages under validation, and the counters of what was not delivered.

    `joined` (topic to "deliver locally") and `meshes` are read only. A message is seen only when
    its verdict says that it is genuine, so a forged copy cannot keep the genuine one out.
    """

    def __init__(
        self,
        params: GossipParams,
        *,
        me: bytes,
        topics: TopicTable,
        joined: Mapping[str, bool],
        meshes: Mapping[str, dict[bytes, None]],
        outside: OutsideMesh,
        mcache: MessageCache,
        outbox: Outbox,
        idontwant: IDontWants,
        partial: PartialMessages,
        scoring: Scoring | None,
        gater: PeerGater | None,
        blacklist: Blacklist,
        counts: TopicCountTable,
        delivery_points: DeliveryPoints,
    ) -> None:
        limits = params.limits
        self._me = me
        self._topics = topics
        self._joined = joined
        self._meshes = meshes
        self._outside = outside
        self._mcache = mcache
        self._outbox = outbox
        self._idontwant = idontwant
        self._partial = partial
        self._scoring = scoring
        self._gater = gater
        self._blacklist = blacklist
        self._delivery_points = delivery_points
        is_last_seen = params.seen_strategy is SeenStrategy.LAST_SEEN
        cache = LastSeenCache if is_last_seen else SeenCache
        self._seen = cache(ttl=params.seen_ttl, limit=limits.max_seen)
        self._pending = PendingTable(
            limit=limits.max_pending,
            max_bytes=limits.max_pending_bytes,
            max_copies=limits.max_copies,
        )
        self._counts = counts

    def receive(self, peer: bytes, message: Message, now: float) -> None:
        """Checks in the order of go's pipeline, cheapest first; survivors become `Validate`."""
        if message.topic not in self._joined:
            return  # not marked seen either: after a join another copy may come
        settings = self._topics.of(message.topic)
        # Mostly there is nobody on it, and hashing an author has its price.
        if self._blacklist.until and self._blacklist.contains(message.from_peer, now):
            self._drop_unread(peer, message, BLACKLISTED_SOURCE)
            if self._scoring is not None:
                self._scoring.excused(peer, _id_of(message, settings))
            return
        reason = refusal(settings.signature_policy, message)
        if reason is None:
            limit = settings.max_data_bytes
            if limit is not None and len(message.data or b"") > limit:
                reason = TOO_LARGE
        if reason is not None:
            self._refuse(peer, message, reason)
            return
        message_id = _id_of(message, settings)
        if message_id is None:
            self._drop(peer, message, NO_MESSAGE_ID)
            return
        if self._seen.contains(message_id, now):
            self._duplicate(peer, message, message_id)
            if self._gater is not None:
                self._gater.duplicate(peer)
            if self._scoring is not None:
                self._scoring.records.duplicate(peer, message_id, message, now)
        elif message.from_peer == self._me and not self._idontwant.has_asked(peer, message_id):
            # An honest echo is seen already; this one carries our name and is not ours. But what
            # was published before a restart may be offered, and we ask: its signature tells then.
            self._refuse(peer, message, SELF_ORIGIN)
        else:
            self._validate(peer, message, message_id, expiry_of(message, settings, now), now)

    def leave_out(self, peer: bytes, messages: Iterable[Message], reason: str) -> None:
        """Count what is dropped without a look, of topics joined here."""
        for message in messages:
            if message.topic in self._joined:
                self._drop_unread(peer, message, reason)

    def _validate(
        self, peer: bytes, message: Message, message_id: bytes, expiry: float, now: float
    ) -> None:
        pending = self._pending.by_id.get(message_id)
        if pending is not None:
            self._duplicate(peer, message, message_id)
            if self._gater is not None:
                self._gater.duplicate(peer)
            is_kept = self._pending.add_copy(pending, message, peer)
            if not is_kept and self._scoring is not None:
                self._scoring.excused(peer, message_id)
            return
        if expiry < now:
            self._drop(peer, message, EXPIRED, message_id)
            if self._scoring is not None:
                self._scoring.excused(peer, message_id)
            return
        pending = self._pending.add(message_id, message, peer, expiry)
        if pending is None:
            self._drop(peer, message, Verdict.QUEUE_FULL.value, message_id)
            if self._gater is not None:
                self._gater.judged(peer, message.topic, Verdict.QUEUE_FULL, now)
            if self._scoring is not None:
                self._scoring.excused(peer, message_id)
        else:
            self._idontwant.announce(message, message_id, pending.senders)
            self._outbox.effects.append(Validate(pending.ticket, peer, message, message_id))

    def validated(self, ticket: int, verdict: Verdict, now: float) -> bool:
        """Apply a verdict; False where the ticket is unknown or was used before."""
        pending = self._pending.take(ticket)
        if pending is None:
            return False
        if verdict is Verdict.ACCEPT and pending.message.from_peer == self._me:
            verdict = Verdict.IGNORE  # ours, from before a restart
        if self._scoring is not None:
            self._scoring.judged(pending, verdict, now)
        if self._gater is not None:
            self._gater.judged(pending.peer, pending.message.topic, verdict, now)
        if verdict is Verdict.ACCEPT:
            self._accept(pending, now)
            return True
        self._drop(pending.peer, pending.message, verdict.value, pending.message_id)
        if verdict is Verdict.INVALID_SIGNATURE:
            self._validate_next_copy(pending)
        elif verdict is Verdict.REJECT or verdict is Verdict.IGNORE:
            self._seen.put(pending.message_id, now, accepted=False)
        return True

    def _validate_next_copy(self, failed: Pending) -> None:
        copy = self._pending.next_copy(failed)
        if copy is None:
            return
        if copy.message.topic not in self._joined:  # left meanwhile: its copies go too
            self._pending.take(copy.ticket)
            return
        effect = Validate(copy.ticket, copy.peer, copy.message, copy.message_id)
        self._outbox.effects.append(effect)

    def _accept(self, pending: Pending, now: float) -> None:
        message, message_id = pending.message, pending.message_id
        deliver = self._joined.get(message.topic)
        if deliver is None:
            return  # left meanwhile: as if it had never come
        if pending.expiry < now:
            self._drop(pending.peer, message, EXPIRED, message_id)
            self._seen.put(message_id, now, accepted=False)
            return
        counts = self._counts[message.topic]
        counts.accepted += 1
        self._seen.put(message_id, now, accepted=True)
        self._mcache.put(message_id, message, pending.expiry)
        self._delivery_points.delivered(message.topic, pending.senders, now)
        if (tracer := self._outbox.tracer) is not None:
            tracer.delivered(message, message_id, pending.peer)
        if deliver:
            counts.delivered += 1
            self._outbox.effects.append(Deliver(message, message_id, pending.peer))
        self._forward(pending)

    def _forward(self, pending: Pending) -> None:
        """To mesh peers and those outside of it, not to the author, nor to those who sent a copy
        (VAL-13), refused one, or request parts instead: direct peers' IDONTWANT counts as well
        (so rust, not go)."""
        message, have_it = pending.message, pending.senders
        for copy in pending.others or ():
            have_it.update(copy.senders)
        if message.from_peer is not None:
            have_it[message.from_peer] = None
        have_it.update(self._idontwant.refusing(pending.message_id))
        if self._partial.is_on:
            have_it.update(self._partial.requesting(message.topic))
        rpc = Rpc(publish=(message,))
        mesh = self._meshes[message.topic]
        self._outbox.send_to_all(
            [peer for peer in mesh if peer not in have_it], rpc, Lane.FORWARDED
        )
        outside = self._outside.targets(message.topic, have_it)
        if outside:
            self._outbox.send_to_all(outside, rpc, Lane.FORWARDED)

    def own_id(self, message: Message) -> bytes:
        """The id of a message about to be published. LocalProtocolError where it has none."""
        try:
            message_id = self._topics.of(message.topic).message_id(message)
        except Exception as error:
            raise LocalProtocolError(f"the message has no id: {error}") from error
        if not isinstance(message_id, bytes):
            raise LocalProtocolError(f"a message id must be bytes: {message_id!r}")
        return message_id

    def publish(
        self,
        message: Message,
        message_id: bytes,
        targets: Callable[[Collection[bytes]], Iterable[bytes]],
        now: float,
        *,
        local_only: bool = False,
        cache: bool = True,
    ) -> PublishReceipt:
        """Deliver and send an own message; `targets` says to whom, besides peers outside of the
        mesh; it is told who must not get it.

        With `local_only` it is only delivered here. Without `cache` it is sent, but neither
        gossiped about nor sent to who asks for it.

        An id that was only ignored or rejected before is published all the same (VAL-19): the
        driver validated this message.
        """
        if (tracer := self._outbox.tracer) is not None:
            tracer.published(message, message_id)
        if self._seen.was_accepted(message_id, now):
            if tracer is not None:
                tracer.duplicate(None, message, message_id)
            return PublishReceipt(message_id, (), duplicate=True)
        # The verdict on a copy under validation would deliver it twice.
        pending = self._pending.discard(message_id)
        have_it = {} if pending is None else pending.senders
        if self._scoring is not None:
            self._scoring.published(message_id)
        if message.from_peer is not None:
            have_it[message.from_peer] = None
        # Nobody sends a message back to its author: only of one that does not name us could come
        # copies.
        if pending is None and not local_only and message.from_peer != self._me:
            self._idontwant.announce(message, message_id, have_it)
        have_it.update(self._idontwant.refusing(message_id))
        if self._partial.is_on:
            have_it.update(self._partial.requesting(message.topic))
        counts = self._counts[message.topic]
        counts.published += 1
        self._seen.put(message_id, now, accepted=True)
        if cache and not local_only:
            lifetime = self._topics.of(message.topic).message_lifetime
            expiry = math.inf if lifetime is None else now + lifetime
            self._mcache.put(message_id, message, expiry)
        if tracer is not None:
            tracer.delivered(message, message_id, None)
        if self._joined.get(message.topic):
            counts.delivered += 1
            self._outbox.effects.append(Deliver(message, message_id, None))
        if local_only:
            return PublishReceipt(message_id, ())
        chosen = dict.fromkeys(targets(have_it))
        chosen.update(dict.fromkeys(self._outside.targets(message.topic, have_it)))
        peers = tuple(peer for peer in chosen if peer not in have_it)
        self._outbox.send_to_all(peers, Rpc(publish=(message,)), Lane.OWN)
        return PublishReceipt(message_id, peers)

    def is_known(self, message_id: bytes, now: float) -> bool:
        """Whether to leave it out of an IWANT: seen, or being validated."""
        return message_id in self._pending.by_id or self._seen.contains(message_id, now)

    def is_pending(self, message_id: bytes) -> bool:
        """Whether it is being validated."""
        return message_id in self._pending.by_id

    def charge_broken_promises(self, now: float) -> None:
        """For messages offered, asked for and not delivered in time; those under validation are
        waited for, since only the verdict tells whether they keep the promise."""
        if self._scoring is not None:
            self._scoring.charge_broken_promises(self._joined, self._pending.by_id, now)

    def sweep(self, now: float) -> None:
        """Free what expired."""
        self._seen.sweep(now)
        self._mcache.expire(now)

    def counts(self) -> dict[str, int]:
        """How many messages were not delivered, by reason (go's names for refusals)."""
        totals: dict[str, int] = {}
        for counts in self._counts.values():
            for reason, times in counts.undelivered.items():
                count(totals, reason, times)
            if counts.duplicates:
                count(totals, "duplicate", counts.duplicates)
        return totals

    def seen_count(self) -> int:
        return len(self._seen)

    def pending_count(self) -> int:
        return len(self._pending)

    def pending_bytes(self) -> int:
        return self._pending.held_bytes

    def _refuse(self, peer: bytes, message: Message, reason: str) -> None:
        """Drop it, and blame its sender."""
        self._drop_unread(peer, message, reason)
        if self._scoring is not None:
            self._scoring.records.blame((peer,), message.topic, reason)
        if self._gater is not None:
            self._gater.refused(peer)

    def _drop_unread(self, peer: bytes, message: Message, reason: str) -> None:
        """Its id is not known yet."""
        message_id = None
        if self._outbox.tracer is not None:
            message_id = _id_of(message, self._topics.of(message.topic))
        self._drop(peer, message, reason, message_id)

    def _drop(
        self, peer: bytes, message: Message, reason: str, message_id: bytes | None = None
    ) -> None:
        count(self._counts[message.topic].undelivered, reason)
        if (tracer := self._outbox.tracer) is not None:
            tracer.rejected(peer, message, reason, message_id)

    def _duplicate(self, peer: bytes, message: Message, message_id: bytes) -> None:
        self._counts[message.topic].duplicates += 1
        if (tracer := self._outbox.tracer) is not None:
            tracer.duplicate(peer, message, message_id)


def _id_of(message: Message, settings: TopicSettings) -> bytes | None:
    """A received message's id; None where it has none."""
    try:
        message_id = settings.message_id(message)
    except Exception:  # the application's function, or no id to be had: contained (VAL-18)
        return None
    return message_id if isinstance(message_id, bytes) else None
