"""Another agent for the tests of `gossipsub chorus`, and commands that run beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from gossipsub import Host
from gossipsub.chorus import ChorusPubSub, Delivery, MessageType
from gossipsub.chorus.agent_card import AgentCard
from gossipsub.chorus.presence import Presence

PATIENCE = 20.0
"""Seconds; nothing takes a tenth of that on a quiet machine."""


@dataclass
class Other:
    """An agent of the test's own."""

    host: Host
    chorus: ChorusPubSub
    presence: Presence
    heartbeats: int = 0

    @property
    def address(self) -> str:
        return self.host.addresses[0]

    async def wait_for(self, name: str) -> str:
        """The peer id of the agent of that name, when it is there and has heard who this one is:
        the second heartbeat from then on shows that it had time for the first."""
        with anyio.fail_after(PATIENCE):
            while not (found := [a for a in self.presence.agents() if a.card.name == name]):
                await anyio.sleep(0.02)
            enough = self.heartbeats + 2
            while self.heartbeats < enough:
                await anyio.sleep(0.02)
        return str(found[0].peer)

    def count(self, delivery: Delivery) -> None:
        is_heartbeat = delivery.envelope.type == MessageType.AVAILABILITY_BROADCAST
        self.heartbeats += delivery.is_own and is_heartbeat


@asynccontextmanager
async def other_agent() -> AsyncIterator[Other]:
    card = AgentCard(name="Ada", roles=("Tech Lead",), expertise=("planning",))
    async with (
        Host() as host,
        ChorusPubSub(host) as chorus,
        Presence(chorus, agent=card, interval=0.3, gone_after=60) as presence,
    ):
        other = Other(host, chorus, presence)
        chorus.add_observer(other.count)
        yield other


@dataclass
class Run:
    """A command that runs, or has run."""

    status: int | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)
    stop: Callable[[], None] = lambda: None

    async def wait(self) -> int | None:
        """Its exit status."""
        with anyio.fail_after(PATIENCE):
            await self.ended.wait()
        return self.status


@asynccontextmanager
async def running(command: Callable[[], Awaitable[int]]) -> AsyncIterator[Run]:
    """The command, until the block ends."""
    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()
        run = Run(stop=scope.cancel)

        async def keep() -> None:
            try:
                with scope:
                    run.status = await command()
            finally:
                run.ended.set()

        tasks.start_soon(keep)
        yield run
        tasks.cancel_scope.cancel()
