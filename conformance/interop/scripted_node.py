"""A node of the public experiments: carries out a script with a host of ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from types import TracebackType
from typing import Self, assert_never

import anyio

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
    """One node; `async with ScriptedNode(…) as node: await node.run()`.

    It listens from the beginning, with the parameters of the script's first instruction, so that
    whoever dials early finds it. `address_of(node)` gives the address at which another node is
    dialled, over `network` where it is not TCP; `warn` is told of parameters that mean nothing
    here.
    InstructionFailed on entering where the parameters cannot be or the port is taken.
    """

    def __init__(
        self,
        node: int,
        script: Sequence[Instruction],
        log: NodeLog,
        *,
        address_of: Callable[[int], Awaitable[str]],
        network: Network | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._node = node
        self._script = script
        self._log = log
        self._address_of = address_of
        self._network = network
        self._warn = warn
        self._stack = AsyncExitStack()
        self._started = 0.0
        self._host: Host | None = None
        self._topics: dict[str, Topic] = {}
        self._parts: dict[str, TopicParts] = {}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self._script and isinstance(self._script[0], InitGossipSub):
                with _named(self._script[0]):
                    self._host = await stack.enter_async_context(self._new_host(self._script[0]))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)

    async def run(self, *, started: float | None = None) -> None:
        """Carry out the script. `waitUntil` counts from `started`, by the event loop's clock, or
        from now. InstructionFailed at the first instruction that fails."""
        self._started = anyio.current_time() if started is None else started
        for instruction in self._script:
            with _named(instruction):
                await self._carry_out(instruction)

    async def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case InitGossipSub():
                self._running()  # since it was entered
            case WaitUntil():
                await anyio.sleep_until(self._started + instruction.seconds)
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

    def _new_host(self, instruction: InitGossipSub) -> Host:
        for name in without_counterpart(instruction.params):
            self._warn(f"the parameter {name} has no counterpart here")
        return Host(
            listen=LISTEN,
            key=node_key(self._node),
            params=node_params(instruction.params),
            config=node_config(instruction.params),
            network=self._network,
            trace=self._log.trace,
        )

    async def _subscribe(self, instruction: SubscribeToTopic) -> None:
        name = instruction.topic
        if instruction.partial:
            await self._topic_parts(name)
        topic = await self._topic(name)
        if not topic.relays:  # a subscription nobody reads: what arrives is logged where it arrives
            await self._stack.enter_async_context(topic.relay())

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


@contextmanager
def _named(instruction: Instruction) -> Iterator[None]:
    """Says of an error which instruction it came of."""
    try:
        yield
    except (GossipSubError, OSError, ValueError) as error:
        raise InstructionFailed(f"{type(instruction).__name__}: {error}") from error


def _group(number: int) -> bytes:
    return number.to_bytes(GROUP_BYTES)


async def _accept_after(seconds: float, message: ReceivedMessage) -> bool:
    await anyio.sleep(seconds)
    return True


def announce(log: NodeLog, node: int) -> PeerId:
    """The first line of a node."""
    peer = node_key(node).peer_id()
    log.write("PeerID", id=str(peer), node_id=node)
    return peer
