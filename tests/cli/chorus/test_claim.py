"""`gossipsub chorus claim`: a person, and an announcer in the same process."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest

from gossipsub.__main__ import main
from gossipsub.chorus.tasks.runner import TaskRunner
from gossipsub.chorus.tasks.task import Task, TaskOutcome, TaskParams
from gossipsub.cli.chorus.claim import claim, parse
from tests.cli.chorus.agents import PATIENCE, Other, Run, running

pytestmark = pytest.mark.anyio

TASK = Task(task_id="t-1", description="paint it", capabilities=("Paint",), input={"colour": "red"})
PAINTER = ("t-1", "--capability", "paint")


class Announcer:
    def __init__(self) -> None:
        self.outcomes: list[TaskOutcome] = []
        self.over = anyio.Event()

    def hear(self, outcome: TaskOutcome) -> None:
        self.outcomes.append(outcome)
        self.over.set()


@asynccontextmanager
async def claiming(
    captured: Any, ada: Other, *words: str, max_failures: int = 1
) -> AsyncIterator[tuple[Run, TaskRunner, Announcer]]:
    """A claim that runs and a runner whose task is announced when the person is there."""
    announcer = Announcer()
    params = TaskParams(max_failures=max_failures, announce_interval=0.2, retry_interval=0.2)
    async with TaskRunner(ada.chorus, on_outcome=announcer.hear, params=params) as runner:
        options = parse([*words, "--name", "Paul", "-b", ada.address])
        async with running(partial(claim, options, captured.output)) as run:
            await ada.wait_for("Paul")
            await runner.announce(TASK)
            yield run, runner, announcer


async def test_the_task_is_written_and_the_result_handed_in(captured: Any, ada: Other) -> None:
    words = (*PAINTER, "--result", '{"done": true}', "--json")
    async with claiming(captured, ada, *words) as (run, _, announcer):
        assert await run.wait() == 0
        with anyio.fail_after(PATIENCE):
            await announcer.over.wait()
    task, outcome = (json.loads(line) for line in captured.rest().splitlines())
    del task["attempt"], task["lease"]
    assert task == {
        "task_id": "t-1", "description": "paint it", "input": {"colour": "red"},
        "announcer": str(ada.host.peer_id),
    }  # fmt: skip
    assert (outcome["result"], outcome["output"]) == ("success", {"done": True})
    assert [each.output for each in announcer.outcomes] == [{"done": True}]


async def test_the_result_comes_from_standard_input(
    captured: Any, ada: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        async with claiming(captured, ada, *PAINTER) as (run, _, announcer):
            assert json.loads(await captured.line())["task_id"] == "t-1"
            os.write(write, b"it is red\nall of it\n")
            os.close(write)
            assert await run.wait() == 0
    assert [each.output for each in announcer.outcomes] == ["it is red\nall of it"]


async def test_a_person_can_say_that_it_cannot_be_done(captured: Any, ada: Other) -> None:
    async with claiming(captured, ada, *PAINTER, "--fail", "no red left") as (run, _, announcer):
        assert await run.wait() == 0
    assert [(each.result, each.error) for each in announcer.outcomes] == [("failed", "no red left")]


async def test_a_task_that_others_may_still_do_is_handed_back(captured: Any, ada: Other) -> None:
    words = (*PAINTER, "--fail", "no red left")
    async with claiming(captured, ada, *words, max_failures=3) as (run, runner, announcer):
        assert await run.wait() == 0
        assert (announcer.outcomes, runner.unfinished()) == ([], 1)


async def test_a_task_that_is_withdrawn_while_one_works_is_1(
    captured: Any, ada: Other, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as stdin, os.fdopen(write, "w"):
        monkeypatch.setattr("sys.stdin", stdin)
        async with claiming(captured, ada, *PAINTER) as (run, runner, _):
            await captured.line()
            runner.withdraw("t-1")
            assert await run.wait() == 1
    err = capfd.readouterr().err
    assert "the task is over: withdrawn" in err or "or withdrawn" in err


async def test_a_person_who_cannot_do_it_is_told_what_is_missing(
    captured: Any, ada: Other, capfd: pytest.CaptureFixture[str]
) -> None:
    async with claiming(captured, ada, "t-1", "--capability", "sing") as (run, _, _):
        assert await run.wait() == 1
    assert "gossipsub chorus claim: the task needs --capability paint\n" in capfd.readouterr().err


async def test_a_task_that_is_not_given_in_time_is_27(captured: Any, ada: Other) -> None:
    words = ["nothing", "-W", "0.2", "--result", "1", "-b", ada.address]
    assert await claim(parse(words), captured.output) == 27
    assert captured.rest() == b""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: TASK_ID"),
        (["t", "--result", "{"], "argument --result: no JSON: "),
        (["t", "--result", "1", "--fail", "x"], "argument --fail: not allowed with"),
    ],
)
def test_a_wrong_call_is_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chorus", "claim", *words])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
