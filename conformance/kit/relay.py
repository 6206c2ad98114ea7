"""Two scripted peers on either side of a node: what the author sends, the node forwards to the
reader, or does not.

    relay = await open_relay(trial, node)
    await relay.forwards(relay.message())
    await relay.drops(relay.message(), …)

Shows on any running node of which only the address and a topic are known.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio

from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import PROTOCOLS, Trial
from gossipsub.conformance.scripted_gossip import received
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_wire import PATIENCE
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.wire.rpc import Control, Graft, Message, Rpc, SubOpts

PAUSE = 0.1
"""Seconds between messages that try whether the way stands."""

_numbers = itertools.count(time.time_ns())


def next_number() -> bytes:
    """A sequence number that no node has seen, in this run or in one before."""
    return next(_numbers).to_bytes(8, "big")


@dataclass(slots=True)
class Relay:
    """Made by `open_relay`. `reader` is in the topic, and gets what is forwarded."""

    trial: Trial
    node: Node
    author: ScriptedPeer
    reader: ScriptedPeer

    @property
    def topic(self) -> str:
        return self.node.topic

    def unsigned(self, data: bytes | None = None) -> Message:
        """A message without origin, of this data or some that is unlike any other."""
        return Message(self.topic, self.trial.rng.randbytes(24) if data is None else data)

    def message(self, data: bytes | None = None, *, key: PrivateKey | None = None) -> Message:
        """A well signed message by the author, or by the owner of `key`."""
        message = self.unsigned(data)
        message.seqno = next_number()
        return sign_message(message, key or self.author.key)

    async def send(self, *messages: Message) -> None:
        """The author sends them in one RPC."""
        await self.author.send_rpc(Rpc(publish=messages))

    def copies(self, message: Message, w: ScriptedPeer | None = None) -> list[Message]:
        """What the reader (or W) got so far of the message with this data."""
        return [
            each
            for rpc in received(w or self.reader)
            for each in rpc.publish
            if each.data == message.data
        ]

    async def arrives(
        self, message: Message, w: ScriptedPeer | None = None, *, timeout: float = PATIENCE
    ) -> Message:
        """Wait until the reader (or W) has it; as it came. WireTimeout where it does not."""
        reader = w or self.reader
        await reader.until(lambda: bool(self.copies(message, reader)), "message", timeout)
        return self.copies(message, reader)[0]

    async def forwards(self, message: Message, what: str = "the message, forwarded") -> Message:
        """Send it; Deviation unless it reaches the reader. As it came."""
        with self.trial.expecting(what):
            await self.send(message)
            return await self.arrives(message)

    async def reaches(
        self, w: ScriptedPeer, who: str, make: Callable[[], Message] | None = None
    ) -> None:
        """Send messages until W gets one: what W said before has been heeded. Deviation where it
        gets none in 10 s."""
        probes: list[Message] = []

        def has_one() -> bool:
            return any(self.copies(probe, w) for probe in probes)

        deadline = anyio.current_time() + 2 * PATIENCE
        while not has_one() and anyio.current_time() < deadline:
            probes.append((make or self.message)())
            await self.send(probes[-1])
            with anyio.move_on_after(PAUSE):
                await w.until(has_one, "message", PATIENCE)
        self.trial.check(has_one(), f"messages, forwarded to {who}", "none within 10 s")

    async def drops(self, *messages: Message, what: str) -> None:
        """Send them, then a good one that must arrive; Deviation where any of them did too."""
        with self.trial.expecting(f"{what}, and a good message behind it forwarded"):
            for message in messages:
                await self.send(message)
            await self._pass()
        await self.trial.heartbeats(0.5, self.node)
        self.none_arrived(messages, what)

    async def _pass(self) -> None:
        """A good message goes all the way: what came before it has been looked at."""
        good = self.message()
        await self.send(good)
        await self.arrives(good)

    def none_arrived(self, messages: Sequence[Message], what: str) -> None:
        """Deviation where the reader has got any of them."""
        got = [number for number, each in enumerate(messages, 1) if self.copies(each)]
        self.trial.check(not got, what, f"forwarded: number {got} of {len(messages)}")


async def open_relay(
    trial: Trial,
    node: Node,
    *,
    author: ScriptedPeer | None = None,
    reader: ScriptedPeer | None = None,
    protocols: Sequence[str] = PROTOCOLS,
    unsigned: bool = False,
) -> Relay:
    """Connect both (unless given) and wait until a message goes all the way; `protocols` are the
    reader's. `unsigned`: the node takes messages without origin only."""
    author = author or await trial.peer(node)
    relay = Relay(trial, node, author, reader or await trial.peer(node, protocols=protocols))
    await take_part(relay.reader, node.topic)
    make = relay.unsigned if unsigned else relay.message
    await relay.reaches(relay.reader, "a peer that subscribed and sent GRAFT", make)
    return relay


async def take_part(w: ScriptedPeer, topic: str) -> None:
    """W subscribes, and grafts the node."""
    control = Control(graft=[Graft(topic)])
    await w.send_rpc(Rpc(subscriptions=[SubOpts(topic)], control=control))
