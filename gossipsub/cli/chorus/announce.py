"""`gossipsub chorus announce`: a task for the agents."""

from __future__ import annotations

import argparse
import json
import secrets
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from gossipsub.cli.chorus.taking_part import (
    LATELY,
    Part,
    add_agent_options,
    parse_agent,
    take_part,
    word,
)
from gossipsub.cli.exit_status import DONE, FAILED, TIMED_OUT
from gossipsub.cli.output import Output
from gossipsub.cli.parsing import Parser, count, encodable, once_each, seconds
from gossipsub.cli.running import fail, run, tell
from gossipsub.cli.text import printable

if TYPE_CHECKING:
    from gossipsub.chorus.tasks.runner import TaskRunner
    from gossipsub.chorus.tasks.task import TaskOutcome

PEERS_TIMEOUT = 10.0
"""Seconds that the first agent has to come."""
ATTEMPTS = 3
WITHDRAWAL = 5.0
"""Seconds for telling the agents that a task is not wanted any more."""


def main(arguments: Sequence[str]) -> int:
    """0 announced, or with --wait done well; 1 failed, or an error; 27 after -W."""
    return run("chorus announce", partial(announce, parse(arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "chorus announce",
        "Announce a task. With --wait, stay until it is complete and write its result; without,\n"
        "write its id.",
        "Who announces a task decides on it: gives it to one of the agents that claim it, gives\n"
        "it to another when that one is lost, and says when it is complete. So nobody gets a task\n"
        "whose announcer has left. Without --wait give --key and --log: whoever is started with\n"
        "them afterwards, such as `gossipsub chorus agent`, goes on with it.\n\n"
        "exit status: 0 done; 1 the task failed, or an error; 2 wrong call; 27 -W seconds have\n"
        "passed, and the task is withdrawn; 130 Ctrl-C",
    )
    _add_task_options(parser)
    parser.add_argument(
        "--attempts",
        type=count,
        default=ATTEMPTS,
        metavar="N",
        help=f"that may fail before the task is given up (default: {ATTEMPTS})",
    )
    parser.add_argument("--wait", action="store_true", help="until it is complete")
    parser.add_argument(
        "-W", dest="seconds", type=seconds, metavar="SECONDS", help="wait no longer than this"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=PEERS_TIMEOUT,
        metavar="SECONDS",
        help=f"for how long to wait for the first agent (default: {PEERS_TIMEOUT:g})",
    )
    parser.add_json()
    add_agent_options(parser)
    options: argparse.Namespace = parse_agent(parser, arguments)
    if options.seconds is not None and not options.wait:
        parser.error("-W goes with --wait")
    return options


def _add_task_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--description", type=encodable, default="", metavar="TEXT", help="what is to be done"
    )
    parser.add_argument(
        "--capability",
        action="append",
        type=word,
        metavar="WORD",
        help="what an agent must be able to do; repeatable",
    )
    parser.add_argument(
        "--task-id", type=word, metavar="ID", help="names it for ever (default: a new one)"
    )
    parser.add_argument(
        "--data", type=json_value, metavar="JSON", help="what the work needs; everybody reads it"
    )


async def announce(options: argparse.Namespace, output: Output | None = None) -> int:
    """Announce the task and, where that is wanted, see it through."""
    from gossipsub.chorus.tasks.runner import TaskRunner
    from gossipsub.chorus.tasks.task import Task, TaskParams

    output = output or Output()
    task = Task(
        task_id=options.task_id or secrets.token_hex(6),
        description=options.description,
        capabilities=tuple(once_each(options.capability)),
        input=options.data,
    )
    ours = _Ours(task.task_id)
    async with take_part(options, catch_up=LATELY, patience=options.timeout) as part:
        ours.me = str(part.host.peer_id)
        params = TaskParams(max_failures=options.attempts)
        async with TaskRunner(part.chorus, on_outcome=ours.hear, params=params) as runner:
            await runner.announce(task)
            if not options.wait:
                told = {"task_id": task.task_id, "announcer": ours.me}
                line = json.dumps(told) if options.json else printable(task.task_id)
                await output.write(f"{line}\n".encode())
                return DONE
            tell("chorus announce", f"announced {printable(task.task_id)}")
            with anyio.move_on_after(options.seconds):
                await ours.over.wait()
            if ours.outcome is None:
                return await _withdraw(runner, task.task_id)
        return await _report(options, ours.outcome, part, output)


class _Ours:
    """Waits for the outcome of one task."""

    def __init__(self, task_id: str) -> None:
        self.me = ""
        self.outcome: TaskOutcome | None = None
        self.over = anyio.Event()
        self._task_id = task_id

    def hear(self, outcome: TaskOutcome) -> None:
        if (outcome.task_id, outcome.announcer) == (self._task_id, self.me):
            self.outcome = outcome
            self.over.set()


async def _withdraw(runner: TaskRunner, task_id: str) -> int:
    runner.withdraw(task_id)
    with anyio.move_on_after(WITHDRAWAL):
        await runner.wait_until_done(timeout=WITHDRAWAL)
    tell("chorus announce", f"nobody has done {printable(task_id)} in time: it is withdrawn")
    return TIMED_OUT


async def _report(
    options: argparse.Namespace, outcome: TaskOutcome, part: Part, output: Output
) -> int:
    if options.json:
        await output.write(f"{json.dumps(outcome_of(outcome))}\n".encode())
    elif outcome.output is not None:
        said = outcome.output
        text = said if isinstance(said, str) else json.dumps(said)
        lines = [printable(line) for line in text.split("\n")]
        await output.write("".join(f"{line}\n" for line in lines).encode())
    if outcome.result == "success":
        return DONE
    if options.json:
        return FAILED
    by = f" by {part.name_of(outcome.agent)}" if outcome.agent else ""
    why = f": {outcome.error}" if outcome.error else ""
    return fail("chorus announce", printable(f"{outcome.task_id}: {outcome.result}{by}{why}"))


def outcome_of(outcome: TaskOutcome) -> dict[str, Any]:
    """How a task ended, as JSON has it."""
    return {
        "task_id": outcome.task_id,
        "announcer": outcome.announcer,
        "result": str(outcome.result),
        "agent": outcome.agent,
        "attempt": outcome.attempt,
        "output": outcome.output,
        "error": outcome.error,
    }


def json_value(text: str) -> object:
    """What JSON says; other constants than JSON's are refused."""
    try:
        return json.loads(encodable(text), parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"no JSON: {error}") from error


def _no_json(constant: str) -> object:
    raise ValueError(f"{constant} is none")
