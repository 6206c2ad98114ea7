"""One agent of the fleet, in a process of its own.

It tells through a pipe how it stands, as JSON lines, and ends when nobody holds the other end of
its second pipe any more. Killed and started again with the same settings it goes on.
"""

from __future__ import annotations

import hashlib
import signal
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from gossipsub.chorus.catch_up.catch_up import CatchUp
from gossipsub.chorus.catch_up.limits import CatchUpLimits
from gossipsub.chorus.event_log.event_log import EventLog
from gossipsub.chorus.fleet.index import index_file, is_index, list_files, merge, write_index
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.chorus.tasks.runner import TaskRunner
from gossipsub.chorus.tasks.task import MAX_ID_LENGTH, Task, TaskOutcome, TaskParams, TaskResult
from gossipsub.chorus.tasks.work import Work
from gossipsub.host import Host
from gossipsub.peer.json_lines import LineWriter, read_lines

TELL_INTERVAL = 0.1
"""Seconds between looks at the log's statistics."""
CAPABILITY = "index"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What an agent is started with; the same when it is started again."""

    folder: str
    """The files."""
    state: str
    """A folder of its own, for key and log."""
    bootstrap: tuple[str, ...] = ()
    share: tuple[int, int] | None = None
    """(1, 3) announces every third file, beginning with the second; None announces nothing."""
    result: str = ""
    """Where an announcer writes the index of its files."""
    capacity: int = 2
    lease: float = 6.0
    catch_up_interval: float = 5.0
    pace: float = 0.0
    """Seconds that each file takes at least."""


def main(settings: AgentSettings, told: Connection, held: Connection) -> None:
    """What the agent's process runs; `held` is never written to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started it
    anyio.run(run_agent, settings, told.fileno(), held.fileno())


async def run_agent(settings: AgentSettings, told: int, held: int) -> None:
    """Take part until `held` ends, and write to `told`; both are file descriptors of pipes."""
    state = Path(settings.state)
    state.mkdir(parents=True, exist_ok=True)
    agent = _Agent(settings, LineWriter(told))
    async with (
        Host(
            key=state / "node.key", listen="/ip4/127.0.0.1/tcp/0", bootstrap=settings.bootstrap
        ) as host,
        EventLog.open(state / "events.db", key=state / "node.key") as log,
        ChorusPubSub(host, logger=log) as chorus,
        CatchUp(chorus, limits=CatchUpLimits(interval=settings.catch_up_interval)),
        TaskRunner(
            chorus,
            carry_out=agent.carry_out,
            capabilities=(CAPABILITY,),
            capacity=settings.capacity,
            on_outcome=agent.note,
            params=TaskParams(lease=settings.lease),
        ) as runner,
        anyio.create_task_group() as tasks,
    ):
        agent.me = str(host.peer_id)
        tasks.start_soon(agent.writer.run)
        agent.writer.write(
            {"event": "ready", "peer_id": agent.me, "address": host.addresses[0]},
        )
        tasks.start_soon(agent.tell, log)
        if settings.share is not None:
            tasks.start_soon(agent.announce, runner, *settings.share)
        async for _ in read_lines(held):
            pass
        tasks.cancel_scope.cancel()
    await agent.writer.say_goodbye()


class _Agent:
    """What it does beside taking part."""

    def __init__(self, settings: AgentSettings, writer: LineWriter) -> None:
        self.me = ""
        self.writer = writer
        self._settings = settings
        self._folder = Path(settings.folder)
        self._outcomes: list[TaskOutcome] = []

    async def carry_out(self, work: Work) -> object:
        index = partial(index_file, self._folder, work.input)
        output = await anyio.to_thread.run_sync(index, abandon_on_cancel=True)
        await anyio.sleep(self._settings.pace)
        return output

    def note(self, outcome: TaskOutcome) -> None:
        """Outputs of its own tasks are what the result is made of."""
        if self._settings.share is not None:
            self._outcomes.append(outcome)

    async def announce(self, runner: TaskRunner, number: int, shares: int) -> None:
        files = {_task_id(name): name for name in list_files(self._folder)[number::shares]}
        await runner.announce(
            *(
                Task(task_id=task_id, description="index", capabilities=(CAPABILITY,), input=name)
                for task_id, name in files.items()
            )
        )
        self.writer.write({"event": "announced", "tasks": len(files)})
        await runner.wait_until_done(timeout=float("inf"))
        failed: dict[str, str] = {}
        done: dict[str, Any] = {}
        for outcome in self._outcomes:
            name = files.get(outcome.task_id)
            if outcome.announcer != self.me or name is None:
                continue  # another's, or of an earlier life with other files
            if outcome.result == TaskResult.SUCCESS and is_index(outcome.output):
                done[name] = outcome.output
            else:
                failed[name] = outcome.error or "its output is no index"
        if self._settings.result:
            await anyio.to_thread.run_sync(write_index, merge(done), Path(self._settings.result))
        self.writer.write({"event": "result", "files": len(done), "failed": failed})

    async def tell(self, log: EventLog) -> None:
        """How many completions are in the log, whenever that changes."""
        told = -1
        while True:
            types = log.statistics()["entries_by_type"]
            count = types.get("task_completed", 0) if isinstance(types, dict) else 0
            if count != told:
                told = count
                self.writer.write({"event": "log", "completed": count})
            await anyio.sleep(TELL_INTERVAL)


def _task_id(name: str) -> str:
    """The path itself, where it is not too long for that."""
    return name if len(name) <= MAX_ID_LENGTH else hashlib.sha256(name.encode()).hexdigest()
