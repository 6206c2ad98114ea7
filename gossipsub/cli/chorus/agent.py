"""`gossipsub chorus agent`: an agent that runs until it is told to end."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from gossipsub.cli.chorus.carry_out import Program
from gossipsub.cli.chorus.lines import Lines
from gossipsub.cli.chorus.taking_part import Part, add_agent_options, parse_agent, take_part, word
from gossipsub.cli.exit_status import DONE
from gossipsub.cli.node_options import open_status
from gossipsub.cli.output import Output
from gossipsub.cli.parsing import Parser, count, once_each, seconds
from gossipsub.cli.running import run, tell
from gossipsub.cli.text import printable

if TYPE_CHECKING:
    from gossipsub.chorus.rate_limits import RateLimits
    from gossipsub.chorus.tasks.work import Work

TASK_TIMEOUT = 600.0
"""Seconds that a task may take."""


def main(arguments: Sequence[str]) -> int:
    """0 after SIGTERM and when nobody reads any more, 130 after Ctrl-C; else 1, an error."""
    return run("chorus agent", partial(serve, parse(arguments)), terminated=DONE)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "chorus agent",
        "Run an agent until Ctrl-C or SIGTERM. With --exec it carries out the tasks that it can,\n"
        "a line for each that it takes, has done or has failed at; without, it only takes part.\n"
        "Tasks announced earlier with the same --key and --log go on.",
        "COMMAND is split into words as a shell does it, but no shell runs it. It has the task as\n"
        "JSON on standard input; what it writes to standard output is the result, as JSON if it\n"
        "is that. Another exit status than 0 means failed; standard error says why.\n\n"
        "exit status: 0 SIGTERM, or nobody reads any more; 1 error; 2 wrong call; 130 Ctrl-C",
    )
    _add_task_options(parser)
    parser.add_argument("--access", metavar="FILE", help="access rules, .toml or .json")
    parser.add_argument(
        "--rate",
        type=_rate,
        metavar="N[:BURST]",
        help="ignore what an agent says in a topic beyond N messages a second",
    )
    parser.add_argument(
        "--reports-to",
        action="append",
        type=word,
        metavar="ROLE",
        help="a supervisor, whose topic it joins; repeatable",
    )
    parser.add_json()
    add_agent_options(parser)
    options: argparse.Namespace = parse_agent(parser, arguments)
    if options.exec is None and options.capability:
        parser.error("--capability needs --exec: without it no task is carried out")
    return options


def _add_task_options(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_argument_group("tasks")
    tasks.add_argument("--exec", type=_words, metavar="COMMAND", help="what carries out a task")
    tasks.add_argument(
        "--capability",
        action="append",
        type=word,
        metavar="WORD",
        help="what it can do; it takes tasks that need no more than these; repeatable",
    )
    tasks.add_argument(
        "--capacity", type=count, default=1, metavar="N", help="tasks at once (default: 1)"
    )
    tasks.add_argument(
        "--task-timeout",
        type=seconds,
        default=TASK_TIMEOUT,
        metavar="SECONDS",
        help=f"after which COMMAND is killed, and has failed (default: {TASK_TIMEOUT:g})",
    )


async def serve(options: argparse.Namespace, output: Output | None = None) -> int:
    """Take part until nobody reads any more."""
    from gossipsub.chorus.access import AccessRules
    from gossipsub.chorus.tasks.runner import TaskRunner
    from gossipsub.chorus.tasks.task import TaskParams

    access = None if options.access is None else AccessRules.from_file(options.access)
    capabilities = once_each(options.capability)
    lines = Lines()
    async with AsyncExitStack() as stack:
        part = await stack.enter_async_context(
            take_part(
                options,
                capabilities=capabilities,
                max_tasks=options.capacity if options.exec else 0,
                access=access,
                rates=options.rate and _limits(*options.rate),
                catch_up=math.inf,
                has_status=False,
            )
        )
        await _open_page(options, part, stack)
        worker = None if options.exec is None else Worker(options, part, lines)
        await stack.enter_async_context(
            TaskRunner(
                part.chorus,
                carry_out=None if worker is None else worker.carry_out,
                capabilities=capabilities,
                capacity=options.capacity,
                params=TaskParams(time_limit=options.task_timeout),
            )
        )
        status = await lines.write(output or Output())
    if lines.lost:
        tell("chorus agent", f"{lines.lost} lines lost: they were read too slowly")
    return status


async def _open_page(options: argparse.Namespace, part: Part, stack: AsyncExitStack) -> None:
    if options.status is None:
        return
    from gossipsub.chorus.conversation import Conversation
    from gossipsub.chorus.conversation_view import ConversationView

    conversation = Conversation(name_of=part.name_of)
    part.chorus.add_observer(conversation)
    view = ConversationView(part.chorus, conversation, part.presence)
    await stack.enter_async_context(open_status(options, part.host, view))


class Worker:
    """Carries tasks out with the program, and tells of it."""

    def __init__(self, options: argparse.Namespace, part: Part, lines: Lines) -> None:
        self._program = Program(options.exec)
        self._as_json = options.json
        self._part = part
        self._lines = lines
        self._busy = 0

    async def carry_out(self, work: Work) -> object:
        """What the program made of the task; TaskFailed where it could not."""
        from gossipsub.chorus.tasks.task import TaskFailed

        self._note_busy(1)
        self._report("takes", work)
        told, why = "left", ""
        try:
            result = await self._program.carry_out(work)
            told = "done"
            return result
        except TaskFailed as failure:
            told, why = "failed", str(failure)
            raise
        finally:
            self._note_busy(-1)
            self._report(told, work, why)

    def _note_busy(self, change: int) -> None:
        self._busy += change
        self._part.presence.update(current_tasks=self._busy)

    def _report(self, told: str, work: Work, why: str = "") -> None:
        if self._as_json:
            fields: dict[str, Any] = {
                "event": told,
                "task_id": work.task_id,
                "announcer": work.announcer,
                "attempt": work.attempt,
            }
            self._lines.put(json.dumps(fields | ({"error": why} if why else {})))
        else:
            announcer = printable(self._part.name_of(work.announcer))
            task = printable(work.task_id)
            self._lines.put(f"{told} {task} of {announcer}" + (f": {printable(why)}" * bool(why)))


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}: {text!r}") from error
    if not words or shutil.which(words[0]) is None:
        raise argparse.ArgumentTypeError(f"no such program: {text!r}")
    return words


def _rate(text: str) -> tuple[float, int]:
    rate, _, burst = text.partition(":")
    per_second = seconds(rate)
    return per_second, count(burst) if burst else max(1, round(2 * per_second))


def _limits(per_second: float, burst: int) -> RateLimits:
    from gossipsub.chorus.rate_limits import RateLimit, RateLimits

    return RateLimits(RateLimit(messages_per_second=per_second, burst=burst))
