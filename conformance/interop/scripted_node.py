"""A node of the public experiments: carries out a script with a host of ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import assert_never

import anyio
from anyio.abc import TaskGroup

from gossipsub import Host, PartialMode, PrivateKey, Topic, TopicParams
from gossipsub.conformance.interop.instructions import (
    AddPartialMessage,
    Connect,
    InitGossipSub,
    Instruction,
    Publish,
    PublishPartial,
    SetTopicValidationDelay,
    SubscribeToTopic,
    WaitUntil,
)
from gossipsub.conformance.interop.node_log import NodeLog
from gossipsub.conformance.interop.node_params import (
    MESSAGE_ID_BYTES,
    node_config,
    node_params,
    without_counterpart,
)
from gossipsub.conformance.interop.topic_parts import GROUP_BYTES, TopicParts
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.pubsub.subscription import Subscription
from gossipsub.transport.network import Network
from gossipsub.wire.errors import GossipSubError

LISTEN = "/ip4/0.0.0.0/tcp/9000"
PARTIAL = TopicParams(partial_messages=PartialMode.REQUEST)


class InstructionFailed(GossipSubError):
    """An instruction could not be carried out; the node gives up, as go's does."""


def node_key(node: int) -> PrivateKey:
    """The key of a node, which everybody can compute."""
    return PrivateKey.from_node_number(node)


class ScriptedNode:
    """One node from its start to the end of its script.

    `address_of(node)` gives the address at which another node is dialled, over `network` where it
    is not TCP. `started` is the moment from which `waitUntil` counts, by the event loop's clock.
    `warn` is told of parameters that mean nothing here.
    """

    def __init__(
        self,
        node: int,
        log: NodeLog,
        *,
        tasks: TaskGroup,
        address_of: Callable[[int], Awaitable[str]],
        started: float | None = None,
        network: Network | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._node = node
        self._log = log
        self._tasks = tasks
        self._address_of = address_of
        self._started = anyio.current_time() if started is None else started
        self._network = network
        self._warn = warn
        self._stack = AsyncExitStack()
        self._host: Host | None = None
        self._topics: dict[str, Topic] = {}
        self._subscribed: dict[str, Subscription] = {}
        self._parts: dict[str, TopicParts] = {}

    async def run(self, script: Sequence[Instruction]) -> None:
        """Carry out a script; the host is closed at its end. InstructionFailed at the first
        instruction that fails."""
        async with self._stack:
            for instruction in script:
                try:
                    await self._carry_out(instruction)
                except (GossipSubError, OSError, ValueError) as error:
                    name = type(instruction).__name__
                    raise InstructionFailed(f"{name}: {error}") from error

    async def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case InitGossipSub():
                await self._init(instruction)
            case WaitUntil():
                await anyio.sleep(self._started + instruction.seconds - anyio.current_time())
            case Connect():
                for node in instruction.nodes:
                    await self._running().connect(await self._address_of(node))
            case SubscribeToTopic():
                await self._subscribe(instruction)
            case Publish():
                data = instruction.message_id.to_bytes(MESSAGE_ID_BYTES)
                topic = await self._topic(instruction.topic)
                await topic.publish(data.ljust(instruction.size_bytes, b"\0"))
            case SetTopicValidationDelay():
                validator = partial(_accept_after, instruction.seconds)
                self._running().set_validator(instruction.topic, validator)
            case AddPartialMessage():
                parts = await self._topic_parts(instruction.topic)
                parts.add(_group(instruction.group_id), instruction.parts)
            case PublishPartial():
                await self._publish_partial(instruction)
            case _:
                assert_never(instruction)

    async def _init(self, instruction: InitGossipSub) -> None:
        for name in without_counterpart(instruction.params):
            self._warn(f"the parameter {name} has no counterpart here")
        host = Host(
            listen=LISTEN,
            key=node_key(self._node),
            params=node_params(instruction.params),
            config=node_config(instruction.params),
            network=self._network,
            trace=self._log.trace,
        )
        self._host = await self._stack.enter_async_context(host)

    async def _subscribe(self, instruction: SubscribeToTopic) -> None:
        name = instruction.topic
        if instruction.partial:
            await self._topic_parts(name)
        topic = await self._topic(name)
        if name not in self._subscribed:
            messages = await self._stack.enter_async_context(topic.subscribe())
            self._subscribed[name] = messages
            self._tasks.start_soon(_read, messages)

    async def _publish_partial(self, instruction: PublishPartial) -> None:
        parts = await self._topic_parts(instruction.topic)
        nodes = [node_key(node).peer_id() for node in instruction.nodes]
        parts.publish(_group(instruction.group_id), nodes)

    async def _topic(self, name: str, params: TopicParams | None = None) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = await self._running().join(name, params)
        elif params is not None:
            self._running().set_topic_params(name, params)
        return topic

    async def _topic_parts(self, name: str) -> TopicParts:
        parts = self._parts.get(name)
        if parts is None:
            topic = await self._topic(name, PARTIAL)
            parts = self._parts[name] = TopicParts(topic, self._completed)
        return parts

    def _completed(self, group: bytes) -> None:
        self._log.write("All parts received", **{"group id": int.from_bytes(group)})

    def _running(self) -> Host:
        if self._host is None:
            raise InstructionFailed("initGossipSub must come first")
        return self._host


def _group(number: int) -> bytes:
    return number.to_bytes(GROUP_BYTES)


async def _accept_after(seconds: float, message: ReceivedMessage) -> bool:
    await anyio.sleep(seconds)
    return True


async def _read(messages: Subscription) -> None:
    """What arrives is logged where it arrives; here it only leaves the buffer."""
    async for _ in messages:
        pass


def announce(log: NodeLog, node: int) -> PeerId:
    """The first line of a node."""
    peer = node_key(node).peer_id()
    log.write("PeerID", id=str(peer), node_id=node)
    return peer
