"""The library's pubsub and router, watched: what it counts nowhere and tells nobody is noted on
the way through its own methods, which do all the work."""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from libp2p import new_host
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.exceptions import ValidationError
from libp2p.pubsub.floodsub import FloodSub
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux

from gossipsub.conformance.peers.py_libp2p.options import Options
from gossipsub.peer.json_lines import LineWriter

MAX_FORWARDERS = 10_000

_forwarder: ContextVar[Any] = ContextVar("forwarder")
_refused: ContextVar[list[str]] = ContextVar("refused")


@dataclass(slots=True)
class Counts:
    duplicates: int = 0
    rejections: dict[str, int] = field(default_factory=dict)
    rpc_in: int = 0
    rpc_out: int = 0
    rpc_dropped: int = 0
    undelivered: int = 0

    def reject(self, reason: str) -> None:
        self.rejections[reason] = self.rejections.get(reason, 0) + 1


class WatchedGossipSub(GossipSub):
    counts: Counts

    def _handle_dropped_rpc(self, peer_id: Any, rpc: Any, reason: str) -> None:
        self.counts.rpc_dropped += 1
        super()._handle_dropped_rpc(peer_id, rpc, reason)


class WatchedPubsub(Pubsub):
    def __init__(self, *args: Any, counts: Counts, writer: LineWriter, **named: Any) -> None:
        self.counts = counts
        self.forwarders: dict[str, deque[Any]] = {}
        """Who brought the messages that wait in each subscription, in their order."""
        self._writer = writer
        super().__init__(*args, **named)

    async def push_msg(self, msg_forwarder: Any, msg: Any) -> None:
        if msg_forwarder == self.my_id:
            _forwarder.set(msg_forwarder)
            await super().push_msg(msg_forwarder, msg)
            return
        if self._is_msg_seen(msg):
            self.counts.duplicates += 1
            return
        refused: list[str] = []
        _forwarder.set(msg_forwarder)
        _refused.set(refused)
        await super().push_msg(msg_forwarder, msg)
        if not self._is_msg_seen(msg):
            self.counts.reject(refused[0] if refused else "invalid signature")

    async def validate_msg(self, msg_forwarder: Any, msg: Any) -> None:
        try:
            await super().validate_msg(msg_forwarder, msg)
        except ValidationError:
            if msg_forwarder != self.my_id:
                _refused.get().append("validation failed")
            raise

    def notify_subscriptions(self, publish_message: Any) -> None:
        for topic in publish_message.topicIDs:
            channel = self.subscribed_topics_send.get(topic)
            if channel is None:
                continue
            now = channel.statistics()
            if now.tasks_waiting_receive or now.current_buffer_used < now.max_buffer_size:
                self.forwarders[topic].append(_forwarder.get())
            else:
                self.counts.undelivered += 1
        super().notify_subscriptions(publish_message)

    def handle_subscription(self, origin_id: Any, sub_message: Any) -> None:
        topic = sub_message.topicid
        before = origin_id in self.peer_topics.get(topic, ())
        super().handle_subscription(origin_id, sub_message)
        after = origin_id in self.peer_topics.get(topic, ())
        if before != after:
            kind = "topic_peer_join" if after else "topic_peer_leave"
            self._writer.write({"event": kind, "topic": topic, "peer": str(origin_id)})

    async def write_msg(self, stream: Any, rpc_msg: Any) -> bool:
        self.counts.rpc_out += 1
        return bool(await super().write_msg(stream, rpc_msg))


class Parts(NamedTuple):
    host: Any
    pubsub: WatchedPubsub
    router: Any
    counts: Counts


def assemble(options: Options, writer: LineWriter) -> Parts:
    """All but started. TCP, Noise and yamux only; no resource limits and no limit of messages a
    second, so that cases meet the router: the library drops what a node publishes itself beyond
    ten a second without a word."""
    noise = NoiseTransport(options.key_pair, noise_privkey=create_noise_key_pair().private_key)
    host = new_host(
        key_pair=options.key_pair,
        sec_opt={NOISE: noise},
        muxer_opt={YAMUX: Yamux},
        enable_metrics=True,
        disable_identify_address_discovery=True,
    )
    host.get_network().set_resource_manager(None)
    counts = Counts()
    if options.is_floodsub:
        router = FloodSub(list(options.protocols))
    else:
        router = WatchedGossipSub(
            list(options.protocols),
            score_params=options.score,
            spam_protection_enabled=False,
            **options.router,
        )
        router.counts = counts
        for name, value in options.attributes.items():
            setattr(router, name, value)
    pubsub = WatchedPubsub(host, router, counts=counts, writer=writer, **options.pubsub)
    return Parts(host, pubsub, router, counts)
