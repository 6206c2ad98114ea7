"""The commands of a test peer, each on the public API of a host."""

from __future__ import annotations

import base64
import os
import resource
import time
from collections.abc import Awaitable, Callable
from typing import Any

from anyio.abc import TaskGroup

from gossipsub.crypto.peer_id import PeerId
from gossipsub.host import Host
from gossipsub.message import ReceivedMessage
from gossipsub.peer.load import Load, Publisher
from gossipsub.peer.receiver import Receiver
from gossipsub.peer.rules import ValidatorRules
from gossipsub.subscription import Subscription
from gossipsub.topic import Topic

Answer = dict[str, Any]


class PeerNode:
    """One method per command; ValueError, KeyError and GossipSubError become `error` answers."""

    def __init__(
        self, host: Host, tasks: TaskGroup, emit: Callable[[Answer], None], *, quiet: bool
    ) -> None:
        self._host = host
        self._emit = emit
        self._quiet = quiet
        self._topics: dict[str, Topic] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._validators: dict[str, ValidatorRules] = {}
        self._receiver = Receiver()
        self._publisher = Publisher()
        self._progress_every = 0
        self._cpu_at_reset = _cpu_seconds()
        self._statistics_at_reset = host.statistics()
        self._tasks = tasks
        self.commands: dict[str, Callable[[Answer], Awaitable[Answer]]] = {
            "connect": self._connect,
            "disconnect": self._disconnect,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "publish": self._publish,
            "publish_many": self._publish_many,
            "publish_stop": self._publish_stop,
            "progress": self._progress,
            "peers": self._peers,
            "mesh": self._mesh,
            "topic_peers": self._topic_peers,
            "scores": self._no_scores,
            "app_score": self._no_scores,
            "validator": self._validator,
            "stats": self._stats,
            "reset_stats": self._reset_stats,
        }

    def credit(self, command: Answer) -> None:
        """The one command without an answer."""
        received = command.get("received")
        if isinstance(received, int):
            self._publisher.credit(received)

    async def _connect(self, command: Answer) -> Answer:
        return {"peer": str(await self._host.connect(command["addr"]))}

    async def _disconnect(self, command: Answer) -> Answer:
        await self._host.disconnect(PeerId.parse(command["peer"]))
        return {}

    async def _subscribe(self, command: Answer) -> Answer:
        name = command["topic"]
        if name in self._subscriptions:
            raise ValueError(f"subscribed already: {name}")
        topic = await self._topic(name)
        subscription = topic.subscribe()
        await subscription.__aenter__()
        self._subscriptions[name] = subscription
        self._tasks.start_soon(self._read, subscription)
        return {}

    async def _unsubscribe(self, command: Answer) -> Answer:
        subscription = self._subscriptions.pop(command["topic"], None)
        if subscription is None:
            raise ValueError(f"not subscribed: {command['topic']}")
        subscription.close()
        return {}

    async def _read(self, subscription: Subscription) -> None:
        async for message in subscription:
            self._receiver.note(message.data)
            if not self._quiet:
                self._emit(_message_event(message))
            received = self._receiver.received
            if self._progress_every and received % self._progress_every == 0:
                self._emit({"event": "progress", "received": received})

    async def _publish(self, command: Answer) -> Answer:
        topic = await self._topic(command["topic"])
        result = await topic.publish(base64.b64decode(command["data_b64"], validate=True))
        return {"message_id_b64": base64.b64encode(result.message_id).decode()}

    async def _publish_many(self, command: Answer) -> Answer:
        load = Load.of_command(command)
        return await self._publisher.run(await self._topic(command["topic"]), load)

    async def _publish_stop(self, command: Answer) -> Answer:
        self._publisher.stop()
        return {}

    async def _progress(self, command: Answer) -> Answer:
        self._progress_every = int(command["every"])
        return {}

    async def _peers(self, command: Answer) -> Answer:
        return {
            "peers": [
                {
                    "peer": str(info.peer),
                    "addrs": [] if info.address is None else [info.address],
                    "direction": "out" if info.outbound else "in",
                    "topics": list(info.topics),
                    "protocol": info.pubsub_protocol,
                }
                for info in self._host.peers()
            ]
        }

    async def _mesh(self, command: Answer) -> Answer:
        return {"peers": [str(peer) for peer in (await self._topic(command["topic"])).mesh()]}

    async def _topic_peers(self, command: Answer) -> Answer:
        return {"peers": [str(peer) for peer in (await self._topic(command["topic"])).peers()]}

    async def _no_scores(self, command: Answer) -> Answer:
        raise ValueError("this version has no peer scoring")

    async def _validator(self, command: Answer) -> Answer:
        name = command["topic"]
        rules = self._validators.get(name)
        if rules is None:
            rules = self._validators[name] = ValidatorRules()
            self._host.set_validator(name, rules.judge)
        rules.change(command)
        return {}

    async def _stats(self, command: Answer) -> Answer:
        now, then = self._host.statistics(), self._statistics_at_reset
        usage = resource.getrusage(resource.RUSAGE_SELF)
        dropped = sum(each.statistics().dropped for each in self._subscriptions.values())
        rejections = {
            reason: n - then.rejections.get(reason, 0) for reason, n in now.rejections.items()
        }
        return {
            **self._receiver.report(),
            "duplicates": now.duplicates - then.duplicates,
            "rejected": sum(rejections.values()),
            "rejections": rejections,
            "rpc_in": now.rpc_in - then.rpc_in,
            "rpc_out": now.rpc_out - then.rpc_out,
            "rpc_dropped": now.rpc_dropped - then.rpc_dropped,
            "undelivered": dropped,
            "throttled": rejections.get("validation throttled", 0),
            "cpu_user_s": usage.ru_utime,
            "cpu_sys_s": usage.ru_stime,
            "cpu_s": _cpu_seconds(),
            "cpu_since_reset_s": _cpu_seconds() - self._cpu_at_reset,
            "rss_bytes": _resident_bytes(),
            "max_rss_bytes": usage.ru_maxrss * 1024,
        }

    async def _reset_stats(self, command: Answer) -> Answer:
        report = await self._stats(command)
        self._receiver.reset()
        self._statistics_at_reset = self._host.statistics()
        self._cpu_at_reset = _cpu_seconds()
        return report

    async def _topic(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = await self._host.join(name)
        return topic


def _message_event(message: ReceivedMessage) -> Answer:
    return {
        "event": "message",
        "topic": message.topic,
        "from": "" if message.sender is None else str(message.sender),
        "received_from": str(message.received_from),
        "data_b64": base64.b64encode(message.data).decode(),
    }


def _cpu_seconds() -> float:
    return time.process_time()


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux
        return 0
