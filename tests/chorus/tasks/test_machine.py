"""Boards of three agents on a network that loses, doubles and reorders, with crashes anywhere.

What an agent says goes into its log first. A crash takes from the log what was not durable yet,
and may come between the log and the network.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gossipsub.chorus.tasks.board import TaskBoard
from gossipsub.chorus.tasks.effects import Finished, Say, Start, Stop
from gossipsub.chorus.tasks.messages import Allocated, Completed
from gossipsub.chorus.tasks.task import Job, Task, TaskParams

AGENTS = ("ada", "barbara", "chien")
PARAMS = TaskParams(
    lease=2.0, max_failures=3, retry_interval=0.5, announce_interval=1.0, max_retry_interval=4.0
)

agents = st.sampled_from(AGENTS)


@dataclass
class Agent:
    name: str
    board: TaskBoard | None = None
    log: list[tuple[str, str]] = field(default_factory=list)
    durable: int = 0
    to_say: deque[Say] = field(default_factory=deque)
    jobs: list[Job] = field(default_factory=list)
    finished: list[tuple[str, str]] = field(default_factory=list)
    """Since it was started."""


class Fleet(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.agents = {name: Agent(name) for name in AGENTS}
        self.flying: list[tuple[str, str, str, str]] = []
        """Receiver, sender, type and data."""
        self.announced: dict[tuple[str, str], None] = {}
        """Tasks whose announcement is durable."""
        self.decided: list[tuple[str, str]] = []
        """The task of each completion."""
        self.workers: dict[tuple[str, str, int], set[str]] = {}
        """Whom each attempt at a task was allocated to."""
        self.last: dict[tuple[str, str], tuple[int, str]] = {}
        for agent in self.agents.values():
            self.start(agent)

    # -- the world -------------------------------------------------------------------------

    def start(self, agent: Agent) -> None:
        agent.board = TaskBoard(agent.name, capacity=2, params=PARAMS)
        for kind, data in agent.log:
            agent.board.restore(kind, json.loads(data))
        agent.board.begin(now=self.now)
        self.perform(agent)

    def stop(self, agent: Agent) -> None:
        agent.board = None
        del agent.log[agent.durable :]
        agent.to_say.clear()
        agent.jobs.clear()
        agent.finished.clear()

    def perform(self, agent: Agent) -> None:
        assert agent.board is not None
        for effect in agent.board.effects():
            match effect:
                case Say():
                    agent.to_say.append(effect)
                case Start(job):
                    agent.jobs.append(job)
                case Stop(key, attempt):
                    agent.jobs = [
                        job
                        for job in agent.jobs
                        if ((job.announcer, job.task.task_id), job.attempt) != (key, attempt)
                    ]
                case Finished(outcome):
                    agent.finished.append((outcome.announcer, outcome.task_id))
        assert len(agent.jobs) <= 2

    def write(self, agent: Agent, place: int = 0) -> tuple[str, str]:
        """The next thing said goes into the log, for good where that is asked for."""
        say = agent.to_say[place]
        del agent.to_say[place]
        entry = (say.message.message_type.value, json.dumps(say.message.to_data()))
        agent.log.append(entry)
        if say.durable:
            for kind, data in agent.log[agent.durable :]:  # what was said before it, too
                if kind == "task_announcement":
                    self.announced[agent.name, json.loads(data)["task_id"]] = None
            agent.durable = len(agent.log)
            self.note(agent, say)
        return entry

    def note(self, agent: Agent, say: Say) -> None:
        """Others may hear of it from now on: by the network, or from the log after a crash."""
        key = (agent.name, say.message.task_id)
        match say.message:
            case Allocated(attempt=attempt, agent=worker):
                self.workers.setdefault((*key, attempt), set()).add(worker)
                self.last[key] = max(self.last.get(key, (0, "")), (attempt, worker))
            case Completed(attempt=attempt, agent=worker):
                self.decided.append(key)
                assert (attempt, worker) == self.last[key]  # earlier ones are fenced off

    def say(self, agent: Agent, *, is_log_slow: bool = False) -> None:
        """Where the log is slow, what need not be durable overtakes what must be."""
        assert agent.board is not None
        quick = [place for place, say in enumerate(agent.to_say) if not say.durable]
        place = quick[0] if is_log_slow and quick else 0
        say = agent.to_say[place]
        kind, data = self.write(agent, place)
        if not say.durable:
            self.note(agent, say)
        for other in AGENTS:
            if other != agent.name:
                self.flying.append((other, agent.name, kind, data))
        agent.board.hear(kind, json.loads(data), agent.name, now=self.now)
        self.perform(agent)

    def arrive(self, receiver: str, sender: str, kind: str, data: str) -> None:
        agent = self.agents[receiver]
        if agent.board is not None:
            agent.board.hear(kind, json.loads(data), sender, now=self.now)
            self.perform(agent)

    # -- what may happen -------------------------------------------------------------------

    @rule(name=agents, number=st.integers(0, 3))
    def announce(self, name: str, number: int) -> None:
        agent = self.agents[name]
        if agent.board is not None:
            agent.board.announce(Task(task_id=f"task-{number}"), now=self.now)
            self.perform(agent)

    @initialize(counts=st.tuples(*[st.integers(1, 4)] * 3))
    def have_work(self, counts: tuple[int, ...]) -> None:
        for name, count in zip(AGENTS, counts, strict=True):
            for number in range(count):
                self.announce(name, number)

    @rule(
        seed=st.integers(0, 2**32),
        steps=st.integers(20, 100),
        loss=st.sampled_from([0, 0.1, 0.5]),
        crashes=st.sampled_from([0, 0.01, 0.05]),
        slowness=st.sampled_from([0, 0.5, 0.8]),
    )
    def live_on(self, seed: int, steps: int, loss: float, crashes: float, slowness: float) -> None:
        """A while in which agents talk, in any order; some of it is lost or doubled, some crash."""
        random = Random(seed)
        for _ in range(steps):
            name = random.choice(AGENTS)
            agent = self.agents[name]
            if random.random() < crashes:
                random.choice([self.crash, self.crash_between_log_and_network])(name)
            elif agent.board is None and random.random() < 0.1:
                self.start(agent)
            if agent.to_say and random.random() >= slowness:
                self.say(agent, is_log_slow=bool(slowness))
            if agent.jobs and random.random() < 0.3:
                self.conclude(agent, random.random() < 0.7)
            for _ in range(min(3, len(self.flying))):
                place = random.randrange(len(self.flying))
                if random.random() < 0.1:
                    self.arrive(*self.flying[place])
                message = self.flying.pop(place)
                if random.random() >= loss:
                    self.arrive(*message)
            if random.random() < 0.2:
                self.wait(random.choice([0.05, 0.3]))

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.5]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for agent in self.agents.values():
            if agent.board is not None:
                agent.board.handle_timer(now=self.now)
                self.perform(agent)

    def conclude(self, agent: Agent, succeeds: bool) -> None:
        assert agent.board is not None
        job = agent.jobs.pop(0)
        key = (job.announcer, job.task.task_id)
        if succeeds:
            agent.board.finish(key, job.attempt, {"by": agent.name}, now=self.now)
        else:
            agent.board.fail(key, job.attempt, "no luck", now=self.now)
        self.perform(agent)

    @rule(name=agents)
    def crash(self, name: str) -> None:
        self.stop(self.agents[name])

    @rule(name=agents)
    def crash_between_log_and_network(self, name: str) -> None:
        agent = self.agents[name]
        if agent.to_say:
            self.write(agent)
            self.stop(agent)

    @rule(name=agents)
    def restart(self, name: str) -> None:
        agent = self.agents[name]
        if agent.board is None:
            self.start(agent)

    # -- what holds ------------------------------------------------------------------------

    @invariant()
    def no_task_is_completed_twice(self) -> None:
        assert len(self.decided) == len(set(self.decided))

    @invariant()
    def no_attempt_is_allocated_to_two(self) -> None:
        assert all(len(workers) == 1 for workers in self.workers.values())

    @invariant()
    def nobody_is_told_of_a_completion_twice(self) -> None:
        for agent in self.agents.values():
            assert len(agent.finished) == len(set(agent.finished))

    def teardown(self) -> None:
        """When all are up and nothing is lost any more, every task is completed."""
        for agent in self.agents.values():
            if agent.board is None:
                self.start(agent)
        for _ in range(400):
            while self.flying or any(agent.to_say for agent in self.agents.values()):
                for agent in self.agents.values():
                    while agent.to_say:
                        self.say(agent)
                while self.flying:
                    self.arrive(*self.flying.pop(0))
            for agent in self.agents.values():
                while agent.jobs:
                    self.conclude(agent, True)
            if not any(agent.to_say for agent in self.agents.values()):
                if set(self.announced) == set(self.decided):
                    break
                self.now = min(board.next_deadline() for board in self.boards())
                for agent in self.agents.values():
                    assert agent.board is not None
                    agent.board.handle_timer(now=self.now)
                    self.perform(agent)
        assert sorted(self.decided) == sorted(self.announced)
        assert all(board.unfinished() == 0 for board in self.boards())

    def boards(self) -> list[TaskBoard]:
        return [agent.board for agent in self.agents.values() if agent.board is not None]


TestFleet: Any = Fleet.TestCase
TestFleet.settings = settings(
    max_examples=100,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
