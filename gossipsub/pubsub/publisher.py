"""Own messages: built, signed, validated, sent, and told what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import MessageSigner, SequenceNumbers
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import PublishResult, UnsentReason
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.router.effects import PublishReceipt
from gossipsub.wake import Wake
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message, Rpc
from gossipsub.wire.rpc_codec import encode_message

if TYPE_CHECKING:
    from gossipsub.pubsub.driver import PubSub

PUBLISH_PATIENCE = 1.0
"""Seconds a publisher waits at most while every peer is behind."""
TURN = 0.001
"""Seconds that may be published in before everybody else has a turn. What is published meanwhile
leaves together, which takes half the time."""
TURN_MESSAGES = 16
"""And so many messages: a clock in virtual time stands still."""
RPC_OVERHEAD = 8
"""Tag and length of a message inside its RPC."""


class Publisher:
    """What all topics of a host publish through; it owns the sequence numbers."""

    def __init__(self, pubsub: PubSub, key: PrivateKey, *, first_seqno: int) -> None:
        self._pubsub = pubsub
        self._signer = MessageSigner(key)
        self._me = pubsub.me
        self._seqnos = SequenceNumbers(first_seqno)
        self._drops: list[tuple[bytes, Rpc]] | None = None
        self._room_waiters: list[Wake] = []
        self._turn_ends = 0.0
        self._turn_messages = 0
        self.published = 0

    async def publish(
        self, topic: str, batch: Sequence[bytes], *, local_only: bool, cache: bool
    ) -> list[PublishResult]:
        """All or none. LocalProtocolError when one is too large or refused."""
        messages, ids = self._build_batch(topic, batch)
        await self._require_accepted(topic, messages, ids)
        seqno = messages[-1].seqno if messages else None
        if seqno is not None and int.from_bytes(seqno) != self._seqnos.last:
            # Others overtook them while the validator thought. Sequence numbers must leave in
            # order: peers with a sequence number validator would ignore these messages.
            messages, ids = self._build_batch(topic, batch)
        return self._send(messages, ids, local_only=local_only, cache=cache)

    def sign(self, topic: str, data: bytes) -> SignedMessage:
        """The next message of `topic`; LocalProtocolError where it is not signed or too large."""
        return SignedMessage(self._build(topic, data), genuine=True)

    async def publish_signed(self, topic: str, signed: SignedMessage) -> PublishResult:
        """LocalProtocolError for what is not our own, or refused."""
        message = signed.wire
        if message.topic != topic:
            raise LocalProtocolError(f"it was signed for {message.topic}, not for {topic}")
        if message.from_peer != self._me or not signed.is_genuine():
            raise LocalProtocolError("it does not bear this host's own signature")
        ids = [self._pubsub.router.message_id(message)]
        await self._require_accepted(topic, [message], ids)
        (result,) = self._send([message], ids, local_only=False, cache=True)
        return result

    async def _require_accepted(
        self, topic: str, messages: Sequence[Message], ids: Sequence[bytes]
    ) -> None:
        for message, message_id in zip(messages, ids, strict=True):
            refusal = await self._pubsub.pipeline.validate_own(message, message_id, self._me)
            if refusal is not None:
                raise LocalProtocolError(f"{refusal}: {topic}")
        if topic not in self._pubsub.topics:
            raise LocalProtocolError(f"the topic was closed: {topic}")

    def _send(
        self, messages: list[Message], ids: list[bytes], *, local_only: bool, cache: bool
    ) -> list[PublishResult]:
        pubsub = self._pubsub
        receipts = pubsub.router.publish_batch(
            messages, message_ids=ids, local_only=local_only, cache=cache, now=pubsub.timers.now()
        )
        for message, receipt in zip(messages, receipts, strict=True):
            # A topic that is fanout only the router has not joined.
            if pubsub.topics[message.topic].fanout_only and not receipt.duplicate:
                pubsub.deliver(message, receipt.message_id, None)
        self.published += len(messages)
        return self._results(messages, receipts, local_only)

    def lost(self, peer: bytes, rpc: Rpc) -> None:
        """Called by the driver for each RPC that cannot leave."""
        if self._drops is not None:
            self._drops.append((peer, rpc))

    async def wait_for_room(self, peers: Sequence[PeerId]) -> None:
        """Let the writers run, once in a while; wait while all these peers are behind, at most a
        second."""
        self._turn_messages += 1
        now = self._pubsub.timers.now()
        if self._turn_messages >= TURN_MESSAGES or now >= self._turn_ends:
            await anyio.lowlevel.checkpoint()
            self._turn_messages = 0
            self._turn_ends = self._pubsub.timers.now() + TURN
        if not self._are_behind(peers):
            return
        wake = Wake()
        self._room_waiters.append(wake)
        try:
            with anyio.move_on_after(PUBLISH_PATIENCE):
                while self._are_behind(peers):
                    await wake.wait()
        finally:
            self._room_waiters.remove(wake)

    def room_came(self) -> None:
        """A peer's queue became shorter: publishers that wait look again."""
        for waiter in self._room_waiters:
            waiter.set()

    def _build_batch(self, topic: str, batch: Sequence[bytes]) -> tuple[list[Message], list[bytes]]:
        messages = [self._build(topic, data) for data in batch]
        return messages, [self._pubsub.router.message_id(message) for message in messages]

    def _build(self, topic: str, data: bytes) -> Message:
        settings = self._pubsub.router.topic_settings(topic)
        limit = settings.max_data_bytes
        if limit is not None and len(data) > limit:
            raise LocalProtocolError(f"{len(data)} bytes of data, the limit of {topic} is {limit}")
        message = Message(topic, data)
        policy = settings.signature_policy
        if policy.has_origin:
            message.from_peer, message.seqno = self._me, self._seqnos.next()
        if policy.signs:
            self._signer.sign(message)
        size = len(encode_message(message)) + RPC_OVERHEAD
        limit = self._pubsub.config.max_rpc_bytes
        if size > limit:
            raise LocalProtocolError(
                f"the message takes {size} bytes on the wire, the limit is {limit}"
            )
        return message

    def _results(
        self, messages: list[Message], receipts: list[PublishReceipt], local_only: bool
    ) -> list[PublishResult]:
        """Send what the router has made of them, and see who could not take it."""
        self._drops = []
        try:
            self._pubsub.flush()
        finally:
            drops, self._drops = self._drops, None
        dropped_by: dict[int, list[PeerId]] = {}
        for peer, rpc in drops:
            for message in rpc.publish:
                dropped_by.setdefault(id(message), []).append(PeerId(peer))
        results = []
        for message, receipt in zip(messages, receipts, strict=True):
            dropped = tuple(dropped_by.get(id(message), ()))
            queued = tuple([PeerId(peer) for peer in receipt.peers if peer not in dropped])
            reason = None if queued else self._reason(message.topic, receipt, local_only)
            results.append(PublishResult(receipt.message_id, queued, dropped, reason))
        return results

    def _reason(self, topic: str, receipt: PublishReceipt, local_only: bool) -> UnsentReason:
        """Why nobody is sent it. The router's tables are still those it decided by."""
        router, params = self._pubsub.router, self._pubsub.params
        if receipt.duplicate:
            return UnsentReason.DUPLICATE
        if local_only:
            return UnsentReason.LOCAL_ONLY
        if receipt.peers:
            return UnsentReason.QUEUES_FULL
        subscribers = router.topic_peers(topic)
        if not subscribers:
            return UnsentReason.NO_PEERS
        if all(router.score(peer) < params.thresholds.publish for peer in subscribers):
            return UnsentReason.LOW_SCORES
        is_joined = topic in router.topics()
        if not params.flood_publish and is_joined and not router.mesh(topic):
            return UnsentReason.NOT_IN_MESH
        return UnsentReason.NOT_WANTED

    def _are_behind(self, peers: Sequence[PeerId]) -> bool:
        known = self._pubsub.peers
        is_one_behind = False
        for peer in peers:
            if peer in known:
                if not known[peer].queue.is_behind():
                    return False
                is_one_behind = True
        return is_one_behind
