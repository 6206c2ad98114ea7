"""`gossipsub chorus tail`: what agents say to each other, as it is said."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from gossipsub.cli.chorus.lines import Lines
from gossipsub.cli.chorus.sayings import saying_line, saying_object
from gossipsub.cli.chorus.taking_part import (
    LATELY,
    Part,
    add_agent_options,
    parse_agent,
    take_part,
)
from gossipsub.cli.exit_status import DONE
from gossipsub.cli.output import Output
from gossipsub.cli.parsing import Parser, count, encodable, once_each, seconds, topic
from gossipsub.cli.running import run, tell

if TYPE_CHECKING:
    from gossipsub.chorus.delivery import Delivery

HEARTBEAT = "availability_broadcast"
ONLOOKER = "onlooker"
"""What others see of who looks on."""


def main(arguments: Sequence[str]) -> int:
    """0 after -C messages, after SIGTERM, or when nobody reads any more."""
    return run("chorus tail", partial(follow, parse(arguments)), terminated=DONE)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "chorus tail",
        "Write each message as a line: when, who, in which role, what, and in which thread.\n"
        "Without TOPIC the three static topics and those of --project. Heartbeats are left out,\n"
        "unless --type asks for them. Control characters are escaped.",
        "Conditions of one kind are alternatives; those of several kinds must all hold.\n\n"
        "exit status: 0 done, SIGTERM, or nobody reads any more; 1 error; 2 wrong call;\n"
        "27 -W seconds have passed; 130 Ctrl-C",
    )
    parser.add_argument("topics", nargs="*", type=topic, metavar="TOPIC", help="only these")
    for name, what in (
        ("type", "of this type, such as task_claim"),
        ("thread", "of this thread: its thread_id, or 'task ID' where it has none"),
        ("agent", "of this agent, by name or peer id"),
    ):
        parser.add_argument(
            f"--{name}",
            action="append",
            type=encodable,
            metavar=name.upper(),
            help=f"only messages {what}; repeatable",
        )
    parser.add_argument(
        "--catch-up", action="store_true", help="first what neighbours have kept of the last day"
    )
    parser.add_argument(
        "-C", dest="count", type=count, metavar="COUNT", help="end after so many messages"
    )
    parser.add_argument(
        "-W", dest="seconds", type=seconds, metavar="SECONDS", help="end after this time, with 27"
    )
    parser.add_json()
    add_agent_options(parser, name=ONLOOKER, can_log=False)
    options: argparse.Namespace = parse_agent(parser, arguments)
    return options


async def follow(options: argparse.Namespace, output: Output | None = None) -> int:
    """Write what is said until there was enough, time is up or nobody reads any more."""
    lines = Lines()
    window = math.inf if options.catch_up else LATELY
    async with take_part(options, catch_up=window) as part:
        static = (part.chorus.coordination_topic, part.chorus.hmmm_topic, part.chorus.context_topic)
        for name in once_each(options.topics):
            if name not in static:
                await part.chorus.join_dynamic_topic(name)
        part.chorus.add_observer(partial(_hear, options, part, lines))
        status = await lines.write(output or Output(), count=options.count, seconds=options.seconds)
    if lines.lost:
        tell("chorus tail", f"{lines.lost} messages lost: they were read too slowly")
    return status


def _hear(options: argparse.Namespace, part: Part, lines: Lines, delivery: Delivery) -> None:
    if delivery.is_own or not is_wanted(options, delivery, part.name_of(str(delivery.sender))):
        return
    write = saying_object if options.json else saying_line
    lines.put(write(delivery, part.name_of))


def is_wanted(options: argparse.Namespace, delivery: Delivery, name: str) -> bool:
    """Whether all conditions hold for the message; `name` is its sender's."""
    from gossipsub.chorus.conversation import thread_name

    envelope = delivery.envelope
    if delivery.is_caught_up and not options.catch_up:
        return False  # asked for only to know who is there
    if options.topics and delivery.topic not in options.topics:
        return False
    if options.type is None and envelope.type == HEARTBEAT:
        return False
    if options.type is not None and envelope.type not in options.type:
        return False
    if options.project and not options.topics and not _is_of_projects(options.project, delivery):
        return False
    if options.thread is not None and thread_name(delivery) not in options.thread:
        return False
    if options.agent is None:
        return True
    agents = [agent.casefold() for agent in options.agent]
    return name.casefold() in agents or str(delivery.sender) in options.agent


def _is_of_projects(projects: Sequence[str], delivery: Delivery) -> bool:
    from gossipsub.chorus.topics import project_topic

    return delivery.envelope.project_id in projects or delivery.topic in map(
        project_topic, projects
    )
