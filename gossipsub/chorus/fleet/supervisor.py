"""The fleet's processes: starts agents, listens to what they tell, kills and restarts them."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from gossipsub.chorus.fleet.agent import AgentSettings, main
from gossipsub.peer.json_lines import read_lines
from gossipsub.wire.errors import GossipSubError

START_SECONDS = 60.0
"""How long a process may take until it is ready, on a busy machine."""
STOP_SECONDS = 20.0
NEIGHBOURS = 4
"""Of the agents before it, so many are told to a new one."""


class FleetFailed(GossipSubError):
    """An agent ended by itself, or the fleet did not come to where it should."""


class AgentProcess:
    """One agent, through all its lives."""

    def __init__(self, name: str, settings: AgentSettings) -> None:
        self.name = name
        self.settings = settings
        self.peer_id = ""
        self.address = ""
        """Where it listens, in this life."""
        self.completed = 0
        """Completions in its log."""
        self.result: dict[str, Any] | None = None
        """What an announcer tells when all its tasks are completed."""
        self.process: ForkServerProcess | None = None
        self.held: Connection | None = None
        """It ends when this is closed."""
        self.is_to_end = False

    @property
    def is_alive(self) -> bool:
        return self.process is not None

    def hear(self, event: dict[str, Any]) -> None:
        match event.get("event"):
            case "ready":
                self.peer_id, self.address = event["peer_id"], event["address"]
            case "log":
                self.completed = event["completed"]
            case "result":
                self.result = event


class Fleet:
    """`async with Fleet(folder, state) as fleet`; leaving ends all agents.

    `state` is a folder where each agent has one of its own; with the same one the fleet goes on
    where it ended.
    """

    def __init__(self, folder: Path, state: Path, *, lease: float = 6.0, pace: float = 0.0) -> None:
        self.agents: list[AgentProcess] = []
        self._folder = folder
        self._state = state
        self._lease = lease
        self._pace = pace
        self._changed = anyio.Event()
        self._failure = ""
        self._tasks: TaskGroup | None = None
        # Each agent is a copy of a process that has imported everything already.
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["gossipsub.chorus.fleet.agent"])

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tasks is None:
            return
        try:
            with anyio.CancelScope(shield=True):
                await self.stop()
        finally:
            self._tasks.cancel_scope.cancel()
            # Not told of `error`, which would come out of a task group wrapped.
            await self._tasks.__aexit__(None, None, None)

    async def start(
        self, *, share: tuple[int, int] | None = None, result: str = "", capacity: int = 2
    ) -> AgentProcess:
        """Add an agent and wait until it is ready. FleetFailed when it is not."""
        number = len(self.agents)
        settings = AgentSettings(
            folder=str(self._folder),
            state=str(self._state / f"agent-{number}"),
            share=share,
            result=result,
            capacity=capacity,
            lease=self._lease,
            pace=self._pace,
        )
        agent = AgentProcess(f"agent-{number}", settings)
        self.agents.append(agent)
        await self.restart(agent)
        return agent

    async def restart(self, agent: AgentProcess) -> None:
        """Begin its first or next life, and wait until it is ready."""
        if self._tasks is None or agent.is_alive:
            raise FleetFailed(f"{agent.name} is not to be started")
        known = [other.address for other in self.agents if other.is_alive and other.address]
        agent.settings = replace(agent.settings, bootstrap=tuple(known[:NEIGHBOURS]))
        agent.address, agent.is_to_end = "", False
        heard, told = self._processes.Pipe(duplex=False)
        held, agent.held = self._processes.Pipe(duplex=False)
        process = self._processes.Process(
            target=main, args=(agent.settings, told, held), name=agent.name, daemon=True
        )
        await anyio.to_thread.run_sync(process.start)
        told.close()
        held.close()
        agent.process = process
        self._tasks.start_soon(self._listen, agent, process, heard)
        await self.wait_until(lambda: bool(agent.address), timeout=START_SECONDS)

    async def kill(self, agent: AgentProcess) -> None:
        """SIGKILL: it has no time for anything."""
        agent.is_to_end = True
        if agent.process is not None:
            agent.process.kill()
        await self.wait_until(lambda: not agent.is_alive, timeout=STOP_SECONDS)

    async def stop(self) -> None:
        """Let all agents end in order; those that do not are killed."""
        for agent in self.agents:
            agent.is_to_end = True
            if agent.held is not None:
                agent.held.close()
        self._failure = ""
        try:
            await self.wait_until(
                lambda: not any(agent.is_alive for agent in self.agents), timeout=STOP_SECONDS
            )
        except FleetFailed:
            for agent in self.agents:
                if agent.process is not None:
                    agent.process.kill()

    async def wait_until(self, holds: Callable[[], bool], *, timeout: float) -> None:
        """FleetFailed when an agent ends by itself meanwhile, or after `timeout` seconds."""
        with anyio.move_on_after(timeout):
            while not holds():
                if self._failure:
                    raise FleetFailed(self._failure)
                await self._changed.wait()
            return
        raise FleetFailed(f"not within {timeout:g} s")

    def _tell_waiters(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def _listen(
        self, agent: AgentProcess, process: ForkServerProcess, heard: Connection
    ) -> None:
        with heard:
            async for line in read_lines(heard.fileno()):
                agent.hear(json.loads(line))
                self._tell_waiters()
        await anyio.to_thread.run_sync(process.join)
        status = process.exitcode
        process.close()
        if agent.held is not None:
            agent.held.close()
        agent.process = None
        if not agent.is_to_end:
            self._failure = f"{agent.name} has ended with status {status}"
        self._tell_waiters()
