"""`gossipsub chorus agent`, with another agent in the same process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from gossipsub.__main__ import main
from gossipsub.chorus import MessageType
from gossipsub.chorus.event_log.event_log import EventLog
from gossipsub.chorus.tasks.runner import TaskRunner
from gossipsub.chorus.tasks.task import Task, TaskOutcome, TaskParams
from gossipsub.cli.chorus.agent import parse, serve
from tests.cli.chorus.agents import PATIENCE, Other, Run, running

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def agent(captured: Any, ada: Other, *words: str) -> AsyncIterator[Run]:
    """An agent called Anna that Ada knows, and that knows Ada."""
    options = parse(["--name", "Anna", *words, "-b", ada.address])
    async with running(partial(serve, options, captured.output)) as run:
        await ada.wait_for("Anna")
        yield run


@asynccontextmanager
async def announcing(ada: Other, task: Task, **params: Any) -> AsyncIterator[list[TaskOutcome]]:
    """The task, and what became of it when the block ends."""
    outcomes: list[TaskOutcome] = []
    async with TaskRunner(
        ada.chorus, on_outcome=outcomes.append, params=TaskParams(**params)
    ) as runner:
        await runner.announce(task)
        yield outcomes
        await runner.wait_until_done(timeout=PATIENCE)


async def test_it_carries_out_the_tasks_that_it_can(captured: Any, ada: Other) -> None:
    words = ("--exec", "sh -c 'cat; exit 0'", "--capability", "count", "--role", "Dev")
    task = Task(task_id="t-1", description="count", capabilities=("count",), input=[1])
    async with agent(captured, ada, *words), announcing(ada, task) as outcomes:
        assert [await captured.line() for _ in range(2)] == [
            "takes t-1 of Ada",
            "done t-1 of Ada",
        ]
    (outcome,) = outcomes
    output: Any = outcome.output
    assert (outcome.result, output["task_id"], output["input"]) == ("success", "t-1", [1])


async def test_json_tells_the_same_and_why_something_failed(captured: Any, ada: Other) -> None:
    words = ("--exec", "sh -c 'echo no >&2; exit 4'", "--json")
    task = Task(task_id="t-1")
    async with agent(captured, ada, *words), announcing(ada, task, max_failures=1) as outcomes:
        told = [json.loads(await captured.line()) for _ in range(2)]
    common = {"task_id": "t-1", "announcer": str(ada.host.peer_id), "attempt": 1}
    assert told == [
        {"event": "takes", **common},
        {"event": "failed", **common, "error": "exit status 4: no"},
    ]
    assert [each.error for each in outcomes] == ["exit status 4: no"]


async def test_a_program_that_takes_too_long_is_stopped(captured: Any, ada: Other) -> None:
    words = ("--exec", "sleep 60", "--task-timeout", "0.3")
    async with (
        agent(captured, ada, *words),
        announcing(ada, Task(task_id="t-1"), max_failures=1) as outcomes,
    ):
        assert [await captured.line() for _ in range(2)] == ["takes t-1 of Ada", "left t-1 of Ada"]
    assert [each.error for each in outcomes] == ["it took longer than 0.3 s"]


async def test_the_log_has_what_was_said_without_secrets(
    captured: Any, ada: Other, tmp_path: Path
) -> None:
    secret = "ghp_" + "a1B2" * 9
    words = ["--key", str(tmp_path / "key"), "--log", str(tmp_path / "log.db")]
    words += ["--exec", f"echo {secret}"]
    async with agent(captured, ada, *words), announcing(ada, Task(task_id="t-1")) as done:
        await captured.line()
        await captured.line()
    (outcome,) = done
    assert secret not in str(outcome.output)
    assert "REDACTED" in str(outcome.output)
    async with EventLog.read(tmp_path / "log.db") as log:
        types = {entry.message_type async for entry in log.entries()}
        assert {"task_announcement", "task_claim", "task_progress"} <= types
        await log.verify()


async def test_secrets_leave_where_that_is_wanted(captured: Any, ada: Other) -> None:
    secret = "ghp_" + "a1B2" * 9
    words = ("--exec", f"echo {secret}", "--no-redact")
    async with agent(captured, ada, *words), announcing(ada, Task(task_id="t-1")) as done:
        await captured.line()
        await captured.line()
    assert [each.output for each in done] == [secret]


async def test_its_page_shows_the_conversation(
    captured: Any, ada: Other, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("h11")
    async with agent(captured, ada, "--status", "127.0.0.1:0", "--role", "Dev"):
        await ada.chorus.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "Hello!"})
        place = capfd.readouterr().err.partition("STATUS http://")[2].split("/")[0]
        with anyio.fail_after(PATIENCE):
            while b"Hello!" not in (said := await fetch(place, "/conversation.json")):
                await anyio.sleep(0.3)
    shown = json.loads(said.partition(b"\r\n\r\n")[2])
    assert [each["name"] for each in shown["agents"]] == ["Anna", "Ada"]


async def fetch(place: str, path: str) -> bytes:
    host, _, port = place.partition(":")
    answer = b""
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        async for chunk in stream:
            answer += chunk
    return answer


@pytest.mark.parametrize("limit", ["access", "rate"])
async def test_access_rules_and_rates_hold_others(
    captured: Any, ada: Other, tmp_path: Path, limit: str
) -> None:
    rules = tmp_path / "access.toml"
    rules.write_text(
        'default = "allow"\n[[rules]]\naccess = "deny"\ntypes = ["task_announcement"]\n'
    )
    words = ("--access", str(rules)) if limit == "access" else ("--rate", "0.001:1")
    runner = TaskRunner(ada.chorus, params=TaskParams(announce_interval=0.1))
    async with agent(captured, ada, *words, "--exec", "true") as run, runner:
        await runner.announce(Task(task_id="t-1"))
        await ada.wait_for("Anna")
        assert not run.ended.is_set()
        run.stop()
        await run.wait()
    assert captured.rest() == b""


async def test_nobody_who_reads_is_the_end(captured: Any, ada: Other) -> None:
    async with agent(captured, ada) as run:
        captured.stop_reading()
        assert await run.wait() == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--exec", "/no/such"], "argument --exec: no such program: '/no/such'"),
        (["--exec", "'"], "argument --exec: No closing quotation"),
        (["--capability", "x"], "--capability needs --exec"),
        (["--rate", "x"], "argument --rate: not a number of seconds above 0: 'x'"),
        (["--rate", "1:0"], "argument --rate: must be 1 or more"),
        (["--log", "x"], "--log needs --key"),
        (["--name", "x" * 129], "argument --name: not a text of 1 to 128 characters"),
    ],
)
def test_a_wrong_call_is_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chorus", "agent", *words])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_access_rules_that_cannot_be_read_are_1(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["chorus", "agent", "--access", "/no/such.toml"]) == 1
    assert "gossipsub chorus agent: access rules '/no/such.toml': " in capfd.readouterr().err
