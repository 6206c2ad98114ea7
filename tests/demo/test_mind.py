"""Minds of agents, talking to each other in virtual time."""

from __future__ import annotations

from typing import Any

import anyio
import trio.testing
from anyio.abc import TaskGroup

from gossipsub.chorus import MessageType
from gossipsub.demo.mind import Mind
from gossipsub.demo.work import Task, choose_tasks


class Room:
    """Agents that hear each other at once; the deaf-mute ones say and hear nothing."""

    def __init__(self, *names: str) -> None:
        self.said: list[tuple[str, MessageType, dict[str, Any]]] = []
        self.silent: set[str] = set()
        self.minds = {name: Mind(name, name, [], self._say_of(name), pace=0.1) for name in names}
        for mind in self.minds.values():
            mind.members = {name: name for name in names}
        self.tasks: TaskGroup | None = None

    def _say_of(self, name: str) -> Any:
        async def say(kind: MessageType, data: dict[str, Any]) -> None:
            if name in self.silent or self.tasks is None:
                return
            self.said.append((name, kind, data))
            for other, mind in self.minds.items():
                if other != name and other not in self.silent:
                    await mind.hear(kind.value, data, name, self.tasks)

        return say

    async def play(self, planner: str, work: list[Task]) -> None:
        async with anyio.create_task_group() as self.tasks:
            for task in work:
                await self.minds[planner].announce([task])
                self.tasks.start_soon(self.minds[planner].consider, task)

    def run(self, planner: str, work: list[Task]) -> None:
        clock = trio.testing.MockClock(autojump_threshold=0)
        anyio.run(self.play, planner, work, backend="trio", backend_options={"clock": clock})

    def by(self, kind: MessageType) -> dict[str, list[str]]:
        """Who said messages of a type, by task."""
        found: dict[str, list[str]] = {}
        for name, said, data in self.said:
            if said is kind:
                found.setdefault(data["task_id"], []).append(name)
        return found


def test_agents_share_the_tasks_evenly_and_no_two_take_the_same() -> None:
    room = Room("a", "b", "c")
    room.run("a", choose_tasks(6))
    claims = room.by(MessageType.TASK_CLAIM)
    assert claims == {
        "task-01": ["a"],
        "task-02": ["b"],
        "task-03": ["c"],
        "task-04": ["a"],
        "task-05": ["b"],
        "task-06": ["c"],
    }
    assert room.by(MessageType.TASK_COMPLETE) == claims


def test_a_task_survives_the_agent_that_should_have_taken_it() -> None:
    room = Room("a", "b", "c")
    room.silent.add("b")
    room.run("a", choose_tasks(2))
    assert room.by(MessageType.TASK_COMPLETE) == {"task-01": ["a"], "task-02": ["c"]}


def test_a_task_that_cannot_be_done_is_reported_as_failed() -> None:
    room = Room("a", "b")
    room.run("a", [Task("task-01", 0, "../secrets")])
    last = room.said[-1]
    assert (last[0], last[1], last[2]["result"]) == ("a", MessageType.TASK_COMPLETE, "failed")


def test_messages_are_numbered_per_agent() -> None:
    room = Room("a", "b")
    room.run("a", choose_tasks(1))
    assert [data["serial"] for name, _, data in room.said if name == "a"] == [1, 2, 3, 4]
