"""The commands of a test peer, each on the public API of a host."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

from anyio.abc import TaskGroup

from gossipsub.host import Host
from gossipsub.peer.command_loop import Action, Answer
from gossipsub.peer.fields import BadCommand, Fields
from gossipsub.peer.json_lines import LineWriter
from gossipsub.peer.load import Load, Publisher
from gossipsub.peer.part_groups import PartGroups
from gossipsub.peer.receiver import Receiver
from gossipsub.peer.rules import ValidatorRules
from gossipsub.peer.score import AppScores, describe
from gossipsub.peer.usage import usage
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.pubsub.subscription import Subscription
from gossipsub.pubsub.topic import Topic
from gossipsub.router.extension.params import PartialMode
from gossipsub.router.params import TopicParams

if TYPE_CHECKING:
    from gossipsub.peer.profiling import Profile


class PeerNode:
    """One method per command. GossipSubError becomes an `error` answer."""

    def __init__(
        self,
        host: Host,
        tasks: TaskGroup,
        writer: LineWriter,
        *,
        quiet: bool,
        app_scores: AppScores | None,
        partial: PartialMode | None,
    ) -> None:
        self._host = host
        self._app_scores = app_scores
        self._writer = writer
        self._quiet = quiet
        self._topics: dict[str, Topic] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._validators: dict[str, ValidatorRules] = {}
        self._receiver = Receiver()
        self._publisher = Publisher()
        self._part_groups = PartGroups(partial, writer)
        self._progress_every = 0
        self._undelivered_before = 0
        """Of subscriptions that ended, less what counted when the numbers were reset."""
        self._cpu_at_reset = time.process_time()
        self._statistics_at_reset = host.statistics()
        self._cpu_profile: Profile | None = None
        self._tasks = tasks
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
            "partial_add": self._partial_add,
            "stats": self._stats,
            "reset_stats": self._reset_stats,
            "profile": self._profile,
        }
        """Those that are done one after the other, in the order given."""

    def credit(self, fields: Fields) -> None:
        """The one command without an answer, a wrong one included."""
        try:
            self._publisher.credit(fields.whole("received"))
        except BadCommand:
            return

    async def connect(self, fields: Fields) -> Answer:
        """May take long, so others are answered before it."""
        return {"peer": str(await self._host.connect(fields.text("addr")))}

    async def begin_publish_many(self, fields: Fields) -> Action:
        """The rest of the command, which may take long."""
        topic, load = await self._topic(fields), Load.of_command(fields)
        self._publisher.begin(load)
        return lambda _: self._publisher.run(load, topic.publish)

    async def _disconnect(self, fields: Fields) -> Answer:
        await self._host.disconnect(fields.peer("peer"))
        return {}

    async def _subscribe(self, fields: Fields) -> Answer:
        name = fields.text("topic")
        if name in self._subscriptions:
            raise BadCommand(f"already subscribed to {name!r}")
        topic = await self._topic(fields)
        subscription = topic.subscribe()
        await subscription.__aenter__()
        self._subscriptions[name] = subscription
        self._tasks.start_soon(self._read, subscription)
        return {}

    async def _unsubscribe(self, fields: Fields) -> Answer:
        name = fields.text("topic")
        subscription = self._subscriptions.pop(name, None)
        if subscription is None:
            raise BadCommand(f"not subscribed to {name!r}")
        subscription.close()
        self._undelivered_before += subscription.statistics().dropped
        return {}

    async def _read(self, subscription: Subscription) -> None:
        """What the driver does not read stays in the subscription's bounded buffer."""
        me = self._host.peer_id
        receiver = self._receiver
        async for message in subscription:
            is_own = message.received_from == me
            if not is_own:
                receiver.note(message.sender or b"", message.data)
            if not self._quiet:
                self._writer.write(_message_event(message))
                await self._writer.room()
            every = self._progress_every
            if every and not is_own and receiver.received % every == 0:
                self._writer.write({"event": "progress", "received": receiver.received})

    async def _publish(self, fields: Fields) -> Answer:
        data = fields.data("data_b64")
        result = await (await self._topic(fields)).publish(data)
        return {"message_id_b64": base64.b64encode(result.message_id).decode()}

    async def _publish_stop(self, fields: Fields) -> Answer:
        self._publisher.stop()
        return {}

    async def _progress(self, fields: Fields) -> Answer:
        self._progress_every = fields.whole("every")
        return {}

    async def _peers(self, fields: Fields) -> Answer:
        return {
            "peers": [
                {
                    "peer": str(info.peer),
                    "addrs": [] if info.address is None else [info.address],
                    "direction": "out" if info.outbound else "in",
                    "topics": sorted(info.topics),
                    "protocol": info.pubsub_protocol,
                }
                for info in self._host.peers()
            ]
        }

    async def _mesh(self, fields: Fields) -> Answer:
        return {"peers": sorted(str(peer) for peer in (await self._topic(fields)).mesh())}

    async def _topic_peers(self, fields: Fields) -> Answer:
        return {"peers": sorted(str(peer) for peer in (await self._topic(fields)).peers())}

    async def _scores(self, fields: Fields) -> Answer:
        self._need_app_scores()
        scores = self._host.scores()
        return {"scores": {str(peer): describe(score) for peer, score in scores.items()}}

    async def _app_score(self, fields: Fields) -> Answer:
        peer, score = fields.peer("peer"), fields.signed("score")
        self._need_app_scores()[peer] = score
        return {}

    def _need_app_scores(self) -> AppScores:
        if self._app_scores is None:
            raise BadCommand("peer scoring is off (start with --score)")
        return self._app_scores

    async def _validator(self, fields: Fields) -> Answer:
        name = fields.text("topic")
        known = self._validators.get(name)
        rules = known or ValidatorRules(self._host.peer_id)
        rules.change(fields)
        if rules and known is None:
            self._host.set_validator(name, rules.judge)
            self._validators[name] = rules
        elif known is not None and not rules:
            self._host.set_validator(name, None)
            del self._validators[name]
        return {}

    async def _partial_add(self, fields: Fields) -> Answer:
        group, bitmap = self._part_groups.check(fields)
        self._part_groups.add(await self._topic(fields), group, bitmap)
        return {}

    async def _stats(self, fields: Fields) -> Answer:
        now, then = self._host.statistics(), self._statistics_at_reset
        rejections = {
            reason: n - then.rejections.get(reason, 0) for reason, n in now.rejections.items()
        }
        rejections = {reason: n for reason, n in rejections.items() if n}
        throttled = ("validation throttled", "validation queue full")
        return {
            **self._receiver.report(),
            "duplicates": now.duplicates - then.duplicates,
            "rejected": sum(rejections.values()),
            "rejections": rejections,
            "rpc_in": now.rpc_in - then.rpc_in,
            "rpc_out": now.rpc_out - then.rpc_out,
            "rpc_dropped": now.rpc_dropped - then.rpc_dropped,
            "undelivered": self._undelivered(),
            "throttled": sum(rejections.get(reason, 0) for reason in throttled),
            **usage(self._cpu_at_reset),
        }

    async def _reset_stats(self, fields: Fields) -> Answer:
        report = await self._stats(fields)
        self._receiver.reset()
        self._undelivered_before -= self._undelivered()
        self._statistics_at_reset = self._host.statistics()
        self._cpu_at_reset = time.process_time()
        return report

    async def _profile(self, fields: Fields) -> Answer:
        """Begins with the first command, which answers about nothing."""
        if self._cpu_profile is None:
            from gossipsub.peer.profiling import Profile

            self._cpu_profile = Profile()
        return self._cpu_profile.take()

    def _undelivered(self) -> int:
        dropped = sum(each.statistics().dropped for each in self._subscriptions.values())
        return dropped + self._undelivered_before

    async def _topic(self, fields: Fields) -> Topic:
        """Joins on first use; the handle stays open, so that publishing needs no subscription."""
        name = fields.text("topic")
        topic = self._topics.get(name)
        if topic is None:
            mode = self._part_groups.mode
            own = None if mode is None else TopicParams(partial_messages=mode)
            topic = self._topics[name] = await self._host.join(name, params=own)
            self._part_groups.joined(topic)
        return topic


def _message_event(message: ReceivedMessage) -> Answer:
    return {
        "event": "message",
        "topic": message.topic,
        "from": None if message.sender is None else str(message.sender),
        "received_from": str(message.received_from),
        "data_b64": base64.b64encode(message.data).decode(),
    }
