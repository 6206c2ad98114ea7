"""From the router's RPCs to the queues of the peers: encoded once, in parts no larger than peers
take, and what finds no room is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossipsub.router.effects import SendRpc
from gossipsub.wire.rpc import Rpc
from gossipsub.wire.rpc_codec import encode_rpc
from gossipsub.wire.rpc_split import split_rpc

if TYPE_CHECKING:
    from gossipsub.pubsub.driver import PubSub
    from gossipsub.pubsub.peer import PubsubPeer
    from gossipsub.tracing.trace_writer import HostTrace

UNDIVIDED_BYTES = 1024
"""An RPC of so few bytes holds nothing in such number that a peer could refuse it."""
TOGETHER_BYTES = 65536
"""Messages leave together only up to rust's default limit: it ignores larger RPCs silently."""


class RpcSender:
    """What all RPCs of a host leave through."""

    def __init__(self, pubsub: PubSub, trace: HostTrace | None) -> None:
        self.lost = 0
        """RPCs that found the queue full, or no stream."""
        self._pubsub = pubsub
        self._sent = pubsub.measures.sent
        self._trace = trace
        self._max_bytes = pubsub.config.max_rpc_bytes
        self._undivided_bytes = min(self._max_bytes, UNDIVIDED_BYTES)
        self._limits = pubsub.rpc_limits
        self._whole_bytes = min(self._max_bytes, self._limits.control_bytes)
        """A message alone in an RPC of so few bytes is not divided."""

    def send(self, effect: SendRpc) -> None:
        peer = self._pubsub.peers.get(effect.peer)
        if peer is None or peer.outbound is None:
            # The router need not send it again: a new stream begins with the whole hello.
            self._lose(effect.peer, effect.rpc)
            return
        was_waiting = peer.queue.rpcs > 0  # then its stream's turn comes anyway
        rpc = effect.rpc
        body = rpc.encoding or encode_rpc(rpc)
        size = len(body)
        if size <= self._undivided_bytes or (size <= self._whole_bytes and _is_message(rpc)):
            self._queue(peer, effect, rpc, body)
        else:
            self._send_split(peer, effect)
        if not was_waiting:
            peer.outbound.wake()

    def _send_split(self, peer: PubsubPeer, effect: SendRpc) -> None:
        """What its receiver might refuse leaves in parts, for its size or what is in it."""
        limit = self._max_bytes
        together = min(limit, TOGETHER_BYTES) if len(effect.rpc.publish) > 1 else limit
        parts, alone = split_rpc(effect.rpc, together, self._limits)
        for part in [*parts, *alone]:
            body = encode_rpc(part)
            if len(body) > limit:
                self._drop(effect.peer, part)
            else:
                self._queue(peer, effect, part, body)

    def _queue(self, peer: PubsubPeer, effect: SendRpc, rpc: Rpc, body: bytes) -> None:
        self._sent.add(rpc)
        drops = peer.queue.push(rpc, body, effect.lane)
        if self._trace is not None and not any(dropped is rpc for dropped in drops):
            self._trace.sent(effect.peer, rpc)
        for dropped in drops:
            self._drop(effect.peer, dropped)

    def _drop(self, peer: bytes, rpc: Rpc) -> None:
        self._lose(peer, rpc)
        self._pubsub.router.rpc_dropped(peer, rpc, now=self._pubsub.timers.now())

    def _lose(self, peer: bytes, rpc: Rpc) -> None:
        self.lost += 1
        if self._trace is not None:
            self._trace.dropped(peer, rpc)
        self._pubsub.publisher.lost(peer, rpc)


def _is_message(rpc: Rpc) -> bool:
    """Whether it is one message and nothing else."""
    return len(rpc.publish) == 1 and not (
        rpc.subscriptions or rpc.control or rpc.partial or rpc.test_extension
    )
