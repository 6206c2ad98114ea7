"""What an agent of the demo thinks: whom it knows, which task is its own, what it says.

It knows nothing of networks: it hears messages and says messages. So the same mind sits in a
Python host and behind a go peer.

Of each task every agent computes the same order of all agents it knows: the circle of their peer
ids, begun one further for each task. The first claims it at once, each further one only if nobody
has after a while: no election, no two agents at one task, work shared evenly, and a task survives
the agent that should have taken it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from gossipsub.chorus import MessageType
from gossipsub.demo.work import Task, carry_out

Say = Callable[[MessageType, dict[str, Any]], Awaitable[None]]
CLAIM_PATIENCE = 1.5
"""Seconds the next agent in a task's order waits for the one before it."""
INTRODUCTION_INTERVAL = 0.4


class Mind:
    """One agent. `me` and the keys of `members` are peer ids in text."""

    def __init__(
        self, name: str, me: str, addresses: Sequence[str], say: Say, *, pace: float
    ) -> None:
        self.name = name
        self.me = me
        self.members: dict[str, str] = {me: name}
        self.done: set[str] = set()
        self._addresses = list(addresses)
        self._say = say
        self._pace = pace
        self._claimed: set[str] = set()
        self._serial = 0
        self._introducing = True

    async def introduce(self) -> None:
        """Tell who and where we are, again and again until the work begins."""
        while self._introducing:
            await self.say(
                MessageType.CAPABILITY_BCAST,
                {
                    "agent": self.name,
                    "addresses": self._addresses,
                    "capabilities": ["count", "hash"],
                },
            )
            await anyio.sleep(INTRODUCTION_INTERVAL)

    def begin(self) -> None:
        """Everybody knows everybody: stop introducing."""
        self._introducing = False

    async def announce(self, tasks: Sequence[Task]) -> None:
        """The planner's part."""
        for task in tasks:
            data = {
                "task_id": task.task_id,
                "number": task.number,
                "description": "count and hash",
                "file": task.file,
            }
            await self.say(MessageType.TASK_ANNOUNCEMENT, data)
            await anyio.sleep(self._pace)

    async def say(self, kind: MessageType, data: dict[str, Any]) -> None:
        """Publish, numbered, so that everyone can tell what is missing."""
        self._serial += 1
        await self._say(kind, {**data, "agent": self.name, "serial": self._serial})

    async def hear(self, kind: str, data: dict[str, Any], sender: str, tasks: TaskGroup) -> None:
        """Take in what another agent said. `tasks` is where own work runs."""
        task_id = data.get("task_id")
        if kind == MessageType.CAPABILITY_BCAST:
            self.members[sender] = str(data.get("agent", ""))
        elif not isinstance(task_id, str):
            return
        elif kind == MessageType.TASK_ANNOUNCEMENT:
            tasks.start_soon(self.consider, _task_of(task_id, data))
        elif kind == MessageType.TASK_CLAIM:
            self._claimed.add(task_id)
        elif kind == MessageType.TASK_COMPLETE:
            self.done.add(task_id)

    async def consider(self, task: Task) -> None:
        """Claim the task when it is our turn and nobody has; then do it."""
        task_id = task.task_id
        place = sorted(self.members).index(self.me) - task.number
        await anyio.sleep(place % len(self.members) * CLAIM_PATIENCE)
        if task_id in self._claimed or task_id in self.done:
            return
        self._claimed.add(task_id)
        await self.say(MessageType.TASK_CLAIM, {"task_id": task_id, "agent_id": self.me})
        await anyio.sleep(self._pace)
        await self.say(MessageType.TASK_PROGRESS, {"task_id": task_id, "progress": 0.5})
        await anyio.sleep(self._pace)
        try:
            outcome: dict[str, Any] = {"result": "success", "output": carry_out(task.file)}
        except ValueError as error:
            outcome = {"result": "failed", "output": str(error)}
        self.done.add(task_id)
        await self.say(MessageType.TASK_COMPLETE, {"task_id": task_id, **outcome})


def _task_of(task_id: str, data: dict[str, Any]) -> Task:
    number = data.get("number")
    return Task(task_id, number if isinstance(number, int) else 0, str(data.get("file", "")))
