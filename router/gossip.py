"""Lazy push: IHAVE to peers outside the mesh, IWANT for what is missing (v1.0, v1.1)."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from random import Random

from gossipsub.router.effects import Lane
from gossipsub.router.extension.partial import PartialMessages
from gossipsub.router.idontwant import IDontWants
from gossipsub.router.mcache import MessageCache
from gossipsub.router.messages import Messages
from gossipsub.router.outbox import Outbox
from gossipsub.router.params import LazyParams
from gossipsub.router.peers import Peer, PeerTable
from gossipsub.router.wanted import WantedMessages
from gossipsub.wire.rpc import IHave, IWant, Message, Rpc


class Gossip:
    """Gossip sent and answered. `threshold` is the score below which a peer takes no part."""

    def __init__(
        self,
        params: LazyParams,
        *,
        threshold: float,
        peers: PeerTable,
        mcache: MessageCache,
        outbox: Outbox,
        idontwant: IDontWants,
        score: Callable[[bytes], float],
        messages: Messages,
        wanted: WantedMessages,
        partial: PartialMessages,
        rng: Random,
    ) -> None:
        self._params = params
        self._threshold = threshold
        self._peers = peers
        self._mcache = mcache
        self._outbox = outbox
        self._idontwant = idontwant
        self._score = score
        self._messages = messages
        self._wanted = wanted
        self._partial = partial
        self._rng = rng

    def emit(self, topic: str, exclude: Container[bytes]) -> None:
        """Tell random peers of the topic, outside mesh or fanout, what there is to ask for; those
        that request parts of messages hear of groups of parts instead."""
        ids = self._mcache.gossip_ids(topic)
        if not ids and self._partial.mode(topic) is None:
            return
        eligible = [
            peer.id
            for peer in self._peers.mesh_capable(topic)
            if peer.id not in exclude and self._score(peer.id) >= self._threshold
        ]
        params = self._params
        count = max(params.d_lazy, int(params.gossip_factor * len(eligible)))
        chosen = self._rng.sample(eligible, min(count, len(eligible)))
        if self._partial.mode(topic) is not None:
            requesting = self._partial.requesting(topic)
            self._partial.emit_gossip(topic, [peer for peer in chosen if peer in requesting])
            chosen = [peer for peer in chosen if peer not in requesting]
            if not ids:
                return
        if len(ids) <= params.max_ihave_length:
            shared = IHave(topic, tuple(ids))
            for peer in chosen:
                self._outbox.ihave(peer, shared)
            return
        for peer in chosen:  # each its own part, so that together they learn of more
            part = tuple(self._rng.sample(ids, params.max_ihave_length))
            self._outbox.ihave(peer, IHave(topic, part))

    def handle_ihave(
        self,
        peer: Peer,
        ihaves: Sequence[IHave],
        *,
        joined: Container[str],
        now: float,
    ) -> None:
        """Note what is offered and not known, within the peer's budget for this heartbeat.

        The budget counts RPCs with IHAVE (go counts any control message) and ids noted.
        """
        params = self._params
        if not ihaves or self._score(peer.id) < self._threshold:
            return
        peer.ihave_rpcs += 1
        budget = params.max_ihave_length - peer.ids_asked
        if peer.ihave_rpcs > params.max_ihave_messages or budget <= 0:
            return
        is_known = self._messages.is_known
        unknown: dict[bytes, str] = {}
        for ihave in ihaves:
            if ihave.topic in joined and self._peers.is_welcome(peer.id, ihave.topic):
                for message_id in ihave.message_ids[: params.max_ihave_length]:
                    if not is_known(message_id, now):
                        unknown[message_id] = ihave.topic
        if unknown:
            # Random order: where the budget or the peer cuts the list, no id always loses.
            ids = self._rng.sample(list(unknown), min(len(unknown), budget))
            peer.ids_asked += len(ids)
            self._wanted.offered(peer, {i: unknown[i] for i in ids}, now)

    def handle_iwant(self, peer: Peer, iwants: Sequence[IWant]) -> None:
        """Send what is cached and not refused, each message once per RPC and not too often."""
        if not iwants or self._score(peer.id) < self._threshold:
            return
        peer.iwant_rpcs += 1
        limit = self._params.max_iwant_messages
        if limit is not None and peer.iwant_rpcs > limit:
            return
        wanted = {message_id: None for iwant in iwants for message_id in iwant.message_ids}
        messages: list[Message] = []
        for message_id in wanted:
            if self._idontwant.is_refused(peer.id, message_id):
                continue
            message = self._mcache.take_for(message_id, peer.id, self._params.gossip_retransmission)
            if message is not None and self._peers.is_welcome(peer.id, message.topic):
                messages.append(message)
        if messages:
            self._outbox.send(peer.id, Rpc(publish=tuple(messages)), Lane.FORWARDED)

    def reset_budgets(self) -> None:
        """A heartbeat passed."""
        for peer in self._peers.connected.values():
            peer.ihave_rpcs = peer.ids_asked = peer.iwant_rpcs = 0
