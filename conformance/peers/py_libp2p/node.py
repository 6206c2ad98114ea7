"""The commands, each on the library's API."""

from __future__ import annotations

import base64
import time
from collections import deque
from typing import Any

import trio
from anyio.abc import TaskGroup
from libp2p.exceptions import BaseLibp2pError
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr

from gossipsub.conformance.peers.py_libp2p.options import Options
from gossipsub.conformance.peers.py_libp2p.verdicts import Verdicts
from gossipsub.conformance.peers.py_libp2p.watched import Counts, Parts
from gossipsub.peer.command_loop import Action, Answer
from gossipsub.peer.fields import BadCommand, Fields
from gossipsub.peer.json_lines import LineWriter
from gossipsub.peer.load import Load, Publisher
from gossipsub.peer.receiver import Receiver
from gossipsub.peer.usage import usage

CONNECT_SECONDS = 15.0


class LibraryNode:
    """One method per command. GossipSubError becomes an `error` answer."""

    def __init__(
        self, parts: Parts, tasks: TaskGroup, writer: LineWriter, options: Options
    ) -> None:
        self._host, self._pubsub, self._router, self._counts = parts
        self._tasks = tasks
        self._writer = writer
        self._options = options
        self._subscriptions: dict[str, Any] = {}
        self._verdicts: dict[str, Verdicts] = {}
        self._receiver = Receiver()
        self._publisher = Publisher()
        self._progress_every = 0
        self._cpu_at_reset = time.process_time()
        self.commands: dict[str, Action] = {
            "disconnect": self._disconnect,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "publish": self._publish,
            "publish_stop": self._publish_stop,
            "progress": self._progress,
            "peers": self._peers,
            "mesh": self._mesh,
            "topic_peers": self._topic_peers,
            "scores": self._scores,
            "app_score": self._app_score,
            "validator": self._validator,
            "stats": self._stats,
            "reset_stats": self._reset_stats,
        }

    def credit(self, fields: Fields) -> None:
        try:
            self._publisher.credit(fields.whole("received"))
        except BadCommand:
            return

    async def count_rpcs(self) -> None:
        """The library sends one event an RPC that came, for metrics."""
        async for event in self._host.get_metrics_recv_channel():
            if type(event).__name__ == "GossipsubEvent":
                self._counts.rpc_in += 1

    async def connect(self, fields: Fields) -> Answer:
        try:
            info = info_from_p2p_addr(Multiaddr(fields.text("addr")))
        except ValueError as error:
            raise BadCommand(f"addr: {error}") from error
        with trio.move_on_after(CONNECT_SECONDS) as scope:
            try:
                # Failed attempts are remembered; a driver that asks again means it.
                self._host.get_network().unblock_peer(info.peer_id)
                await self._host.connect(info)
            except (BaseLibp2pError, OSError) as error:
                raise BadCommand(f"cannot connect: {error}") from error
        if scope.cancelled_caught:
            raise BadCommand(f"not connected within {CONNECT_SECONDS:g} s")
        return {"peer": str(info.peer_id)}

    async def begin_publish_many(self, fields: Fields) -> Action:
        topic, load = fields.text("topic"), Load.of_command(fields)
        self._publisher.begin(load)

        async def publish(data: bytes) -> None:
            await self._pubsub.publish(topic, data)

        return lambda _: self._publisher.run(load, publish)

    async def _disconnect(self, fields: Fields) -> Answer:
        await self._host.disconnect(ID(bytes(fields.peer("peer"))))
        return {}

    async def _subscribe(self, fields: Fields) -> Answer:
        name = fields.text("topic")
        if name in self._subscriptions:
            raise BadCommand(f"already subscribed to {name!r}")
        forwarders = self._pubsub.forwarders[name] = deque()
        subscription = self._subscriptions[name] = await self._pubsub.subscribe(name)
        self._tasks.start_soon(self._read, name, subscription, forwarders)
        return {}

    async def _unsubscribe(self, fields: Fields) -> Answer:
        name = fields.text("topic")
        subscription = self._subscriptions.pop(name, None)
        if subscription is None:
            raise BadCommand(f"not subscribed to {name!r}")
        await subscription.unsubscribe()
        return {}

    async def _read(self, topic: str, subscription: Any, forwarders: deque[Any]) -> None:
        """Ends with the subscription."""
        async for message in subscription:
            forwarder = forwarders.popleft()
            is_own = forwarder == self._host.get_id()
            if not is_own:
                self._receiver.note(message.from_id, message.data)
            if not self._options.quiet:
                self._writer.write(
                    {
                        "event": "message",
                        "topic": topic,
                        "from": str(ID(message.from_id)) if message.from_id else None,
                        "received_from": str(forwarder),
                        "data_b64": base64.b64encode(message.data).decode(),
                    }
                )
                await self._writer.room()
            every = self._progress_every
            if every and not is_own and self._receiver.received % every == 0:
                self._writer.write({"event": "progress", "received": self._receiver.received})

    async def _publish(self, fields: Fields) -> Answer:
        await self._pubsub.publish(fields.text("topic"), fields.data("data_b64"))
        return {}

    async def _publish_stop(self, fields: Fields) -> Answer:
        self._publisher.stop()
        return {}

    async def _progress(self, fields: Fields) -> Answer:
        self._progress_every = fields.whole("every")
        return {}

    async def _peers(self, fields: Fields) -> Answer:
        network = self._host.get_network()
        return {"peers": [self._peer(peer, network) for peer in self._host.get_connected_peers()]}

    def _peer(self, peer: Any, network: Any) -> dict[str, Any]:
        connections = network.get_connections(peer)
        addresses = [a for each in connections for a in each.get_transport_addresses()]
        is_outbound = bool(connections) and connections[0].direction.name == "OUTBOUND"
        protocols: dict[Any, Any] = getattr(self._router, "peer_protocol", {})
        return {
            "peer": str(peer),
            "addrs": sorted({str(address).split("/p2p/")[0] for address in addresses}),
            "direction": "out" if is_outbound else "in",
            "topics": sorted(t for t, peers in self._pubsub.peer_topics.items() if peer in peers),
            "protocol": protocols.get(peer),
        }

    async def _mesh(self, fields: Fields) -> Answer:
        meshes: dict[str, Any] = getattr(self._router, "mesh", {})
        return {"peers": sorted(str(peer) for peer in meshes.get(fields.text("topic"), ()))}

    async def _topic_peers(self, fields: Fields) -> Answer:
        peers = self._pubsub.peer_topics.get(fields.text("topic"), ())
        return {"peers": sorted(str(peer) for peer in peers)}

    async def _scores(self, fields: Fields) -> Answer:
        self._need_app_scores()
        scorer, topics = self._router.scorer, sorted(self._router.mesh)
        return {
            "scores": {
                str(peer): {
                    "score": scorer.score(peer, topics),
                    "app_specific_score": scorer.app_specific_scores[peer],
                    "ip_colocation_factor": scorer.ip_colocation_penalty(peer),
                    "behaviour_penalty": scorer.behavior_penalty[peer],
                    "topics": {topic: _topic_counters(scorer, peer, topic) for topic in topics},
                }
                for peer in self._pubsub.peers
            }
        }

    async def _app_score(self, fields: Fields) -> Answer:
        peer, score = fields.peer("peer"), fields.signed("score")
        self._need_app_scores()[peer] = score
        return {}

    def _need_app_scores(self) -> dict[bytes, float]:
        if self._options.app_scores is None:
            raise BadCommand("peer scoring is off (start with --score)")
        return self._options.app_scores

    async def _validator(self, fields: Fields) -> Answer:
        name = fields.text("topic")
        verdicts = self._verdicts.get(name) or Verdicts(self._host.get_id())
        verdicts.change(fields)
        if verdicts:
            self._verdicts[name] = verdicts
            self._pubsub.set_topic_validator(name, verdicts.judge, is_async_validator=True)
        elif self._verdicts.pop(name, None) is not None:
            self._pubsub.remove_topic_validator(name)
        return {}

    async def _stats(self, fields: Fields) -> Answer:
        now = self._counts
        return {
            **self._receiver.report(),
            "duplicates": now.duplicates,
            "rejected": sum(now.rejections.values()),
            "rejections": dict(now.rejections),
            "rpc_in": now.rpc_in,
            "rpc_out": now.rpc_out,
            "rpc_dropped": now.rpc_dropped,
            "undelivered": now.undelivered,
            "throttled": 0,  # what waits for a validator waits without bound
            **usage(self._cpu_at_reset),
        }

    async def _reset_stats(self, fields: Fields) -> Answer:
        report = await self._stats(fields)
        self._receiver.reset()
        fresh = Counts()
        for name in Counts.__dataclass_fields__:
            setattr(self._counts, name, getattr(fresh, name))
        self._cpu_at_reset = time.process_time()
        return report


def _topic_counters(scorer: Any, peer: Any, topic: str) -> dict[str, float]:
    return {
        "time_in_mesh_ms": 1000 * scorer.time_in_mesh[peer][topic],
        "first_message_deliveries": scorer.first_message_deliveries[peer][topic],
        "mesh_message_deliveries": scorer.mesh_message_deliveries[peer][topic],
        "invalid_message_deliveries": scorer.invalid_messages[peer][topic],
    }
