"""`gossipsub chorus claim`: a task that a person does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import anyio

from gossipsub.cli.chorus.announce import json_value, outcome_of
from gossipsub.cli.chorus.carry_out import MAX_OUTPUT_BYTES, read_result, task_of
from gossipsub.cli.chorus.taking_part import add_agent_options, parse_agent, take_part, word
from gossipsub.cli.exit_status import DONE, TIMED_OUT
from gossipsub.cli.message_input import read_whole
from gossipsub.cli.output import Output
from gossipsub.cli.parsing import Parser, encodable, once_each, seconds
from gossipsub.cli.running import fail, run, tell
from gossipsub.cli.text import printable

if TYPE_CHECKING:
    from gossipsub.chorus.delivery import Delivery
    from gossipsub.chorus.tasks.task import Task, TaskOutcome
    from gossipsub.chorus.tasks.work import Work


def main(arguments: Sequence[str]) -> int:
    """0 when the result was taken; 1 when it was not, or an error; 27 after -W."""
    return run("chorus claim", partial(claim, parse(arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "chorus claim",
        "Do a task yourself: claim it, wait until it is given to you, write it as JSON, take the\n"
        "result from --result or else from standard input until its end, and hand it in.",
        "While you work the claim is renewed. Interrupted, the task goes to somebody else.\n\n"
        "exit status: 0 the result was taken; 1 the task was lost, or an error; 2 wrong call;\n"
        "27 it was not given to you within -W seconds; 130 Ctrl-C",
    )
    parser.add_argument("task_id", type=word, metavar="TASK_ID")
    result = parser.add_mutually_exclusive_group()
    result.add_argument("--result", type=json_value, metavar="JSON", help="the result")
    result.add_argument("--fail", type=encodable, metavar="WHY", help="say that it cannot be done")
    parser.add_argument(
        "--capability",
        action="append",
        type=word,
        metavar="WORD",
        help="what you can do; all that the task needs; repeatable",
    )
    parser.add_argument(
        "-W",
        dest="seconds",
        type=seconds,
        metavar="SECONDS",
        help="wait no longer than this for the task",
    )
    parser.add_json()
    add_agent_options(parser)
    options: argparse.Namespace = parse_agent(parser, arguments)
    return options


async def claim(options: argparse.Namespace, output: Output | None = None) -> int:
    """See one task through."""
    from gossipsub.chorus.tasks.runner import TaskRunner

    output = output or Output()
    capabilities = once_each(options.capability)
    async with take_part(options, capabilities=capabilities, max_tasks=1) as part:
        person = _Person(options.task_id, capabilities, str(part.host.peer_id))
        part.chorus.add_observer(person.observe)
        async with TaskRunner(
            part.chorus,
            carry_out=person.carry_out,
            capabilities=capabilities,
            accept=person.accept,
            on_outcome=person.hear,
        ):
            with anyio.move_on_after(options.seconds):
                await person.changed.wait()
            if person.work is None:
                if person.why_not:
                    return fail("chorus claim", person.why_not)
                tell("chorus claim", f"{printable(options.task_id)} was not given to you in time")
                return TIMED_OUT
            part.presence.update(current_tasks=1)
            await output.write(f"{json.dumps(task_of(person.work))}\n".encode())
            await _work(options, person)
        if options.json and person.outcome is not None:
            await output.write(f"{json.dumps(outcome_of(person.outcome))}\n".encode())
        return DONE if person.is_taken else fail("chorus claim", person.why_not)


async def _work(options: argparse.Namespace, person: _Person) -> None:
    """Have the person hand something in, unless the task is lost before."""
    async with anyio.create_task_group() as tasks:

        async def end() -> None:
            await person.ended.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(end)
        if options.fail is not None:
            person.give_up(options.fail)
        elif options.result is not None:
            person.hand_in(options.result)
        else:
            person.hand_in(read_result(await read_whole(sys.stdin.fileno(), MAX_OUTPUT_BYTES)))


class _Person:
    """One task, from its announcement to what became of it."""

    def __init__(self, task_id: str, capabilities: Sequence[str], me: str) -> None:
        self.work: Work | None = None
        self.outcome: TaskOutcome | None = None
        self.is_taken = False
        self.why_not = ""
        self.changed = anyio.Event()
        """It was given to us, or never will be."""
        self.ended = anyio.Event()
        self._task_id = task_id
        self._capabilities = {each.lower() for each in capabilities}
        self._me = me
        self._handed_in = anyio.Event()
        self._result: object = None
        self._failure: str | None = None

    # -- what is said -----------------------------------------------------------------------

    def observe(self, delivery: Delivery) -> None:
        """Notice when more is needed than we can do, and the task would never be claimed; and when
        it is announced anew."""
        data = delivery.envelope.data or {}
        if delivery.envelope.type != "task_announcement" or data.get("task_id") != self._task_id:
            return
        if self._failure is not None:
            self._end("")  # it is for others now
            return
        needed = data.get("capabilities")
        if not isinstance(needed, (list, tuple)):
            return
        texts = (each for each in needed if isinstance(each, str))
        missing = [each for each in texts if each.lower() not in self._capabilities]
        if missing and self.work is None:
            options = " ".join(f"--capability {each}" for each in missing)
            self._end(f"the task needs {printable(options)}")

    def accept(self, task: Task, announcer: str) -> bool:
        return task.task_id == self._task_id and self.work is None

    def hear(self, outcome: TaskOutcome) -> None:
        if outcome.task_id != self._task_id:
            return
        self.outcome = outcome
        is_ours = outcome.agent == self._me
        self.is_taken = is_ours and (outcome.result == "success") == (self._failure is None)
        self._end("" if self.is_taken else f"the task is over: {printable(str(outcome.result))}")

    # -- what the person does ----------------------------------------------------------------

    async def carry_out(self, work: Work) -> object:
        from gossipsub.chorus.tasks.task import TaskFailed

        self.work = work
        self.changed.set()
        try:
            await self._handed_in.wait()
        except anyio.get_cancelled_exc_class():
            self._end("the task was given to somebody else, or withdrawn")
            raise
        if self._failure is not None:
            self.is_taken = True
            raise TaskFailed(self._failure)
        return self._result

    def hand_in(self, result: object) -> None:
        self._result = result
        self._handed_in.set()

    def give_up(self, why: str) -> None:
        self._failure = why or "it cannot be done"
        self._handed_in.set()

    def _end(self, why: str) -> None:
        self.why_not = why
        self.changed.set()
        self.ended.set()
