from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest

from gossipsub import Host
from gossipsub.chorus import ChorusPubSub, EventLogFailed, MemoryEventLog, TaskAnnouncement
from gossipsub.chorus.tasks.runner import TaskRunner
from gossipsub.chorus.tasks.task import Task, TaskFailed, TaskOutcome, TaskParams, TaskResult
from gossipsub.chorus.tasks.work import Work
from gossipsub.testing.mesh import Mesh
from gossipsub.testing.virtual_time import virtual_backend
from gossipsub.wire.errors import LocalProtocolError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

MakeMesh = Callable[..., Awaitable[Mesh]]
PARAMS = TaskParams(lease=5.0)


async def double(work: Work) -> object:
    assert isinstance(work.input, int)
    await anyio.sleep(0.1)
    return work.input * 2


class Agent:
    """CHORUS with a log and a runner, on a host; opened again it is its next life."""

    def __init__(self, host: Host, **options: Any) -> None:
        self.host = host
        self.name = str(host.peer_id)
        self.log = MemoryEventLog(node=self.name)
        self.options = {"params": PARAMS, **options}
        self.outcomes: list[TaskOutcome] = []

    @asynccontextmanager
    async def living(self, **changes: Any) -> AsyncIterator[TaskRunner]:
        options = {"on_outcome": self.outcomes.append, **self.options, **changes}
        async with (
            ChorusPubSub(self.host, logger=self.log) as chorus,
            TaskRunner(chorus, **options) as runner,
        ):
            self.chorus = chorus
            yield runner

    async def completions(self) -> Counter[tuple[str, str]]:
        """Of each task, by announcer and id, as this agent's log has them."""
        return Counter(
            [
                (entry.author, str(entry.data["data"]["task_id"]))  # type: ignore[index]
                async for entry in self.log.entries(message_type="task_complete")
            ]
        )


def some_tasks(count: int, **options: Any) -> list[Task]:
    return [Task(task_id=f"task-{n}", input=n, **options) for n in range(count)]


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(600):
        while not holds():
            await anyio.sleep(0.1)


async def test_each_task_is_carried_out_and_completed_once_in_the_logs_of_all(
    gossipsub_mesh: MakeMesh,
) -> None:
    mesh = await gossipsub_mesh(4)
    done: Counter[object] = Counter()

    async def work(work: Work) -> object:
        done[work.input] += 1
        return await double(work)

    agents = [Agent(host, carry_out=work, capacity=2) for host in mesh]
    async with AsyncExitStack() as stack:
        runners = [await stack.enter_async_context(agent.living()) for agent in agents]
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        await runners[0].announce(*some_tasks(12))
        await runners[0].wait_until_done(timeout=60)
        await until(lambda: all(len(agent.outcomes) == 12 for agent in agents))
        assert runners[0].unfinished() == 0
    assert done == Counter(range(12))
    expected = Counter({(agents[0].name, f"task-{n}"): 1 for n in range(12)})
    for agent in agents:
        assert await agent.completions() == expected
        assert sorted((o.task_id, o.result, o.output, o.attempt) for o in agent.outcomes) == sorted(
            (f"task-{n}", TaskResult.SUCCESS, 2 * n, 1) for n in range(12)
        )
    assert len({outcome.agent for outcome in agents[0].outcomes}) > 1  # the work was shared


async def test_a_task_goes_to_an_agent_that_can_do_it(gossipsub_mesh: MakeMesh) -> None:
    mesh = await gossipsub_mesh(3)
    announcer = Agent(mesh[0])
    other = Agent(mesh[1], carry_out=double, capabilities=("golang",))
    able = Agent(mesh[2], carry_out=double, capabilities=("Python", "golang"))
    async with announcer.living() as runner, other.living(), able.living():
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        await runner.announce(*some_tasks(4, capabilities=("python", "GoLang")))
        await runner.wait_until_done(timeout=60)
    assert {outcome.agent for outcome in announcer.outcomes} == {able.name}


async def test_a_task_that_accept_turns_down_goes_to_another(gossipsub_mesh: MakeMesh) -> None:
    mesh = await gossipsub_mesh(3)

    def odd_ones(task: Task, announcer: str) -> bool:
        assert announcer == agents[0].name
        return task.input != 2

    def all_but_one(task: Task, announcer: str) -> bool:
        if task.input == 2:
            return True
        raise RuntimeError("a bug in accept")

    agents = [
        Agent(mesh[0]),
        Agent(mesh[1], carry_out=double, accept=odd_ones),
        Agent(mesh[2], carry_out=double, accept=all_but_one),
    ]
    async with agents[0].living() as runner, agents[1].living(), agents[2].living():
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        await runner.announce(*some_tasks(4))
        await runner.wait_until_done(timeout=60)
    who = {outcome.task_id: outcome.agent for outcome in agents[0].outcomes}
    assert who == {f"task-{n}": agents[2 if n == 2 else 1].name for n in range(4)}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (lambda: TaskFailed("no such file"), "no such file"),
        (lambda: KeyError("x"), "KeyError: 'x'"),
    ],
)
async def test_a_task_that_fails_is_tried_again_and_then_given_up(
    gossipsub_mesh: MakeMesh, error: Callable[[], Exception], told: str
) -> None:
    mesh = await gossipsub_mesh(2)
    attempts: list[int] = []

    async def fail(work: Work) -> object:
        attempts.append(work.attempt)
        raise error()

    announcer, worker = Agent(mesh[0]), Agent(mesh[1], carry_out=fail)
    async with announcer.living() as runner, worker.living():
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        await runner.announce(Task(task_id="hopeless"))
        await runner.wait_until_done(timeout=120)
    assert attempts == [1, 2, 3]
    assert announcer.outcomes == [
        TaskOutcome("hopeless", announcer.name, TaskResult.FAILED, None, worker.name, 3, told)
    ]


# asyncio's futures can be cancelled alone.
@pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio")])
async def test_work_whose_awaited_future_is_cancelled_has_failed_and_ends_nothing(
    gossipsub_mesh: MakeMesh,
) -> None:
    async def waiting(work: Work) -> object:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        return await future

    mesh = await gossipsub_mesh(2)
    announcer, worker = (Agent(host) for host in mesh)
    async with announcer.living() as board, worker.living(carry_out=waiting):
        await board.announce(Task(task_id="t", input=1))
        await board.wait_until_done(timeout=300)
    (outcome,) = announcer.outcomes
    assert (outcome.result, outcome.error) == (
        TaskResult.FAILED, "something it waited for was cancelled"
    )  # fmt: skip


async def test_work_that_takes_too_long_counts_as_failed(gossipsub_mesh: MakeMesh) -> None:
    mesh = await gossipsub_mesh(2)
    params = TaskParams(time_limit=30, max_failures=1)

    async def hang(work: Work) -> object:
        work.report(0.5, "half way")
        await anyio.sleep_forever()

    announcer = Agent(mesh[0], params=params)
    worker = Agent(mesh[1], carry_out=hang, params=params)
    async with announcer.living() as runner, worker.living():
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        await runner.announce(Task(task_id="long"))
        await runner.wait_until_done(timeout=120)
    assert [outcome.error for outcome in announcer.outcomes] == ["it took longer than 30 s"]


async def test_a_worker_cut_off_loses_its_task_and_its_late_result_is_ignored(
    gossipsub_mesh: MakeMesh,
) -> None:
    mesh = await gossipsub_mesh(3)
    started: list[tuple[str, int]] = []

    def worker(number: int, seconds: float) -> Agent:
        async def work(work: Work) -> object:
            started.append((agent.name, work.attempt))
            await anyio.sleep(seconds)
            return number

        agent = Agent(mesh[number], carry_out=work)
        return agent

    announcer, slow, quick = Agent(mesh[0]), worker(1, 20), worker(2, 1)
    async with announcer.living() as runner, slow.living():
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        await runner.announce(Task(task_id="one"))
        await until(lambda: len(started) == 1)
        mesh.partition([mesh[1]])
        async with quick.living():
            await runner.wait_until_done(timeout=120)
            mesh.heal()
            await anyio.sleep(120)
    assert started == [(slow.name, 1), (quick.name, 2)]
    assert [(o.agent, o.output, o.attempt) for o in announcer.outcomes] == [(quick.name, 2, 2)]
    assert await announcer.completions() == {(announcer.name, "one"): 1}


async def test_work_handed_back_on_leaving_is_taken_up_at_once(gossipsub_mesh: MakeMesh) -> None:
    mesh = await gossipsub_mesh(3)
    started = anyio.Event()

    async def hang(work: Work) -> object:
        started.set()
        await anyio.sleep_forever()

    params = TaskParams(lease=1000)
    announcer = Agent(mesh[0], params=params)
    leaving, staying = Agent(mesh[1], carry_out=hang), Agent(mesh[2], carry_out=double)
    async with announcer.living() as runner:
        async with leaving.living():
            await mesh.wait_until_grafted("CHORUS/coordination/v1")
            await runner.announce(*some_tasks(1))
            await started.wait()
        async with staying.living():
            await runner.wait_until_done(timeout=100)
    assert [(o.agent, o.attempt) for o in announcer.outcomes] == [(staying.name, 2)]


async def test_work_that_takes_its_time_to_stop_keeps_its_place(gossipsub_mesh: MakeMesh) -> None:
    mesh = await gossipsub_mesh(2)
    at_once = most = 0
    started: list[str] = []

    async def stubborn(work: Work) -> object:
        nonlocal at_once, most
        started.append(work.task_id)
        at_once += 1
        most = max(most, at_once)
        with anyio.CancelScope(shield=True):
            await anyio.sleep(30)
        at_once -= 1
        return None

    announcer, worker = Agent(mesh[0]), Agent(mesh[1], carry_out=stubborn)
    async with announcer.living() as runner, worker.living() as at_work:
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        await runner.announce(*some_tasks(2))
        await until(lambda: at_once == 1)
        assert runner.withdraw(started[0])
        await runner.wait_until_done(timeout=200)
        await until(lambda: at_work.busy == 0)
    assert (most, sorted(started)) == (1, ["task-0", "task-1"])


async def test_leases_do_not_wait_until_thousands_of_tasks_are_announced(
    gossipsub_mesh: MakeMesh,
) -> None:
    class SlowLog(MemoryEventLog):
        async def flush(self) -> None:
            await anyio.sleep(1)

    mesh = await gossipsub_mesh(2)
    attempts: list[int] = []

    async def work(work: Work) -> object:
        attempts.append(work.attempt)
        await anyio.sleep(20)
        return None

    one = Agent(mesh[0])
    busy = Agent(mesh[1], carry_out=work, accept=lambda task, announcer: announcer == one.name)
    busy.log = SlowLog(node=busy.name)
    async with one.living() as runner, busy.living() as announcing:
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        await runner.announce(Task(task_id="long"))
        await until(lambda: attempts == [1])
        await announcing.announce(*some_tasks(900))
        await runner.wait_until_done(timeout=60)
    said = [entry.data["data"] async for entry in one.log.entries(author=one.name)]
    assert {data["attempt"] for data in said} == {1}  # type: ignore[index]


async def test_what_is_said_in_other_topics_counts_for_no_board(gossipsub_mesh: MakeMesh) -> None:
    """Whoever may speak there need not be one who may give work."""
    mesh = await gossipsub_mesh(2)
    seen: list[str] = []
    worker = Agent(
        mesh[1], carry_out=double, accept=lambda task, announcer: not seen.append(task.task_id)
    )
    async with ChorusPubSub(mesh[0]) as chorus, worker.living() as at_work:
        for agent in (chorus, worker.chorus):
            await agent.join_dynamic_topic("elsewhere")
        for topic in ("CHORUS/coordination/v1", "elsewhere"):
            await mesh.wait_until_grafted(topic)
        for topic in ("elsewhere", chorus.coordination_topic):
            await chorus.publish(TaskAnnouncement(task_id=topic, attempt=1), topic=topic)
        await until(lambda: at_work.busy == 1)
        await anyio.sleep(5)
    assert seen == ["CHORUS/coordination/v1"]


async def test_what_a_worker_says_too_much_of_is_cut_and_what_is_no_text_is_its_error(
    gossipsub_mesh: MakeMesh,
) -> None:
    mesh = await gossipsub_mesh(2)

    async def fail(work: Work) -> object:
        for wrong in (2, -1, True, float("nan"), "1"):
            with pytest.raises(LocalProtocolError, match="from 0 to 1"):
                work.report(wrong)  # type: ignore[arg-type]
        with pytest.raises(LocalProtocolError, match="a message is text, not of type int"):
            work.report(0.5, 1)  # type: ignore[arg-type]
        work.report(1, "x" * 300_000)
        await anyio.sleep(20)
        raise TaskFailed("y" * 300_000)

    announcer = Agent(mesh[0], params=TaskParams(max_failures=1))
    worker = Agent(mesh[1], carry_out=fail)
    async with announcer.living() as runner, worker.living():
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        await runner.announce(Task(task_id="one"))
        await runner.wait_until_done(timeout=60)
    assert [(o.attempt, o.error) for o in announcer.outcomes] == [(1, "y" * 2000)]


async def test_a_function_that_is_not_async_is_told_as_such(gossipsub_mesh: MakeMesh) -> None:
    mesh = await gossipsub_mesh(1)
    agent = Agent(mesh[0], carry_out=lambda work: {}, params=TaskParams(max_failures=1))
    async with agent.living() as runner:
        await runner.announce(Task(task_id="one"))
        await runner.wait_until_done(timeout=60)
    assert [o.error for o in agent.outcomes] == [
        "its agent cannot carry out anything: carry_out is not async"
    ]


# The announcer's earlier lives


async def test_a_life_that_begins_at_once_knows_what_the_one_before_has_just_decided(
    gossipsub_mesh: MakeMesh,
) -> None:
    class LateLog(MemoryEventLog):
        """Shows what is durable."""

        durable = 0

        async def flush(self) -> None:
            await anyio.sleep(1)
            self.durable = self.statistics()["last_index"]

        async def entries(self, **criteria: Any) -> Any:
            async for entry in super().entries(**criteria):
                if entry.index <= self.durable:
                    yield entry

    mesh = await gossipsub_mesh(1)
    agent = Agent(mesh[0])
    agent.log = LateLog(node=agent.name)
    async with agent.living() as runner:
        await runner.announce(Task(task_id="one"))
        assert runner.withdraw("one")
        await anyio.sleep(0.5)
    async with agent.living() as runner:
        assert runner.unfinished() == 0
    assert await agent.completions() == {(agent.name, "one"): 1}


async def test_what_others_logs_have_of_an_announcer_that_lost_its_own_is_not_decided_again(
    gossipsub_mesh: MakeMesh,
) -> None:
    mesh = await gossipsub_mesh(2)
    announcer, worker = Agent(mesh[0]), Agent(mesh[1], carry_out=double)
    async with worker.living():
        async with announcer.living() as runner:
            await mesh.wait_until_grafted("CHORUS/coordination/v1")
            await runner.announce(*some_tasks(1))
            await runner.wait_until_done(timeout=60)
            await until(lambda: len(worker.outcomes) == 1)
        entries = worker.log.entries(message_type="task_complete")
        told = [entry.signed_message async for entry in entries]
        announcer.log = MemoryEventLog(node=announcer.name)
        async with announcer.living() as runner:
            assert [announcer.chorus.catch_up(signed) for signed in told] == [True]
            await runner.announce(*some_tasks(1))
            assert runner.unfinished() == 0
    assert await announcer.completions() == {(announcer.name, "task-0"): 1}


async def test_an_announcer_goes_on_after_a_restart_and_completes_nothing_twice(
    gossipsub_mesh: MakeMesh,
) -> None:
    mesh = await gossipsub_mesh(2)
    announcer = Agent(mesh[0])
    worker = Agent(mesh[1], carry_out=double, capacity=1)
    async with worker.living():
        for life in range(4):
            async with announcer.living() as runner:
                await mesh.wait_until_grafted("CHORUS/coordination/v1")
                await runner.announce(*some_tasks(5))  # again and again: known ones are left alone
                before = len(announcer.outcomes)
                if life < 3:
                    await until(lambda before=before: len(announcer.outcomes) > before)  # type: ignore[misc]
                else:
                    await runner.wait_until_done(timeout=120)
        await until(lambda: len(worker.outcomes) == 5)
    expected = {(announcer.name, f"task-{n}"): 1 for n in range(5)}
    assert await announcer.completions() == expected
    assert await worker.completions() == expected


async def test_what_was_completed_in_an_earlier_life_is_told_again_and_not_done_again(
    gossipsub_mesh: MakeMesh,
) -> None:
    mesh = await gossipsub_mesh(2)
    announcer, worker = Agent(mesh[0]), Agent(mesh[1], carry_out=double)
    async with worker.living():
        async with announcer.living() as runner:
            await mesh.wait_until_grafted("CHORUS/coordination/v1")
            await runner.announce(*some_tasks(2))
            await runner.wait_until_done(timeout=60)
        told = list(announcer.outcomes)
        announcer.outcomes.clear()
        async with announcer.living() as runner:
            assert (announcer.outcomes, runner.unfinished()) == (told, 0)
            await runner.announce(*some_tasks(2))
            assert runner.unfinished() == 0
            assert not runner.withdraw("task-0")


async def test_a_result_that_came_while_the_announcer_was_away_is_taken(
    gossipsub_mesh: MakeMesh,
) -> None:
    mesh = await gossipsub_mesh(2)
    attempts: list[int] = []

    async def work(work: Work) -> object:
        attempts.append(work.attempt)
        return await double(work)

    announcer, worker = Agent(mesh[0]), Agent(mesh[1], carry_out=work)
    async with worker.living():
        async with announcer.living() as runner:
            await mesh.wait_until_grafted("CHORUS/coordination/v1")
            await runner.announce(*some_tasks(1))
            await until(lambda: attempts == [1])
        await anyio.sleep(10)
        async with announcer.living() as runner:
            await runner.wait_until_done(timeout=60)
    assert attempts == [1]
    assert await announcer.completions() == {(announcer.name, "task-0"): 1}


# What goes wrong on our own side


async def test_an_output_that_cannot_be_published_fails_the_task(gossipsub_mesh: MakeMesh) -> None:
    mesh = await gossipsub_mesh(2)

    async def too_much(work: Work) -> object:
        return "x" * 300_000

    params = TaskParams(max_failures=1)
    announcer = Agent(mesh[0], params=params)
    worker = Agent(mesh[1], carry_out=too_much, params=params)
    async with announcer.living() as runner, worker.living():
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        await runner.announce(Task(task_id="large"))
        await runner.wait_until_done(timeout=60)
    (outcome,) = announcer.outcomes
    assert outcome.result is TaskResult.FAILED
    assert outcome.error.startswith("the envelope takes 300")


async def test_a_task_that_cannot_be_published_is_an_error_and_is_forgotten(
    gossipsub_mesh: MakeMesh,
) -> None:
    mesh = await gossipsub_mesh(2)
    announcer, worker = Agent(mesh[0]), Agent(mesh[1], carry_out=double)
    async with announcer.living() as runner, worker.living():
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        with pytest.raises(LocalProtocolError, match="the envelope takes"):
            await runner.announce(
                Task(task_id="task-0", input="x" * 300_000), Task(task_id="task-1", input=1)
            )
        assert runner.unfinished() == 1
        await runner.announce(Task(task_id="task-0", input=0))
        await runner.wait_until_done(timeout=60)
    assert {outcome.output for outcome in announcer.outcomes} == {0, 2}


async def test_a_log_that_fails_ends_the_runner_with_its_error(gossipsub_mesh: MakeMesh) -> None:
    class FullDisk(MemoryEventLog):
        async def flush(self) -> None:
            raise OSError("no space left on device")

    mesh = await gossipsub_mesh(1)
    agent = Agent(mesh[0])
    agent.log = FullDisk()

    async def live() -> None:
        async with agent.living() as runner:
            await runner.announce(Task(task_id="one"))
            pytest.fail("it was announced")

    with pytest.raises(EventLogFailed, match="no space left on device"):
        await live()


async def test_the_applications_own_error_leaves_as_it_is(gossipsub_mesh: MakeMesh) -> None:
    mesh = await gossipsub_mesh(1)
    with pytest.raises(ZeroDivisionError):
        async with Agent(mesh[0]).living():
            raise ZeroDivisionError


async def test_without_an_event_log_tasks_are_carried_out_all_the_same(
    gossipsub_mesh: MakeMesh,
) -> None:
    mesh = await gossipsub_mesh(1)
    told: list[TaskOutcome] = []

    def note(outcome: TaskOutcome) -> None:
        told.append(outcome)
        raise RuntimeError("a bug in on_outcome")

    async with (
        ChorusPubSub(mesh[0]) as chorus,
        TaskRunner(chorus, carry_out=double, on_outcome=note) as runner,
    ):
        await runner.announce(Task(task_id="mine", input=4))
        await runner.wait_until_done(timeout=60)
        assert (runner.withdraw("mine"), runner.busy) == (False, 0)
    assert [(outcome.output, outcome.agent) for outcome in told] == [(8, str(mesh[0].peer_id))]


async def test_a_withdrawn_task_is_completed_as_such(gossipsub_mesh: MakeMesh) -> None:
    mesh = await gossipsub_mesh(2)
    cancelled = anyio.Event()

    async def hang(work: Work) -> object:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    announcer, worker = Agent(mesh[0]), Agent(mesh[1], carry_out=hang)
    async with announcer.living() as runner, worker.living() as at_work:
        await mesh.wait_until_grafted("CHORUS/coordination/v1")
        await runner.announce(Task(task_id="one"))
        await until(lambda: at_work.busy == 1)
        await anyio.sleep(2)
        assert runner.withdraw("one")
        await runner.wait_until_done(timeout=60)
        await cancelled.wait()
        await until(lambda: at_work.busy == 0)
    assert [outcome.result for outcome in worker.outcomes] == [TaskResult.WITHDRAWN]


async def test_what_cannot_be_is_told_at_once(gossipsub_mesh: MakeMesh) -> None:
    mesh = await gossipsub_mesh(1)
    chorus = ChorusPubSub(mesh[0])
    with pytest.raises(LocalProtocolError, match="capacity is at least 1: 0"):
        TaskRunner(chorus, carry_out=double, capacity=0)
    with pytest.raises(LocalProtocolError, match="not a function: int"):
        TaskRunner(chorus, accept=1)  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="capabilities are at most 64"):
        TaskRunner(chorus, capabilities=[""])
    with pytest.raises(LocalProtocolError, match="open it first"):
        await TaskRunner(chorus).announce(Task(task_id="one"))
