"""`gossipsub chorus presence`: which agents are there."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from gossipsub.cli.chorus.sayings import cut
from gossipsub.cli.chorus.tail import ONLOOKER
from gossipsub.cli.chorus.taking_part import LATELY, add_agent_options, parse_agent, take_part
from gossipsub.cli.exit_status import DONE, TIMED_OUT
from gossipsub.cli.output import Output
from gossipsub.cli.parsing import Parser, count, seconds
from gossipsub.cli.running import run
from gossipsub.cli.text import printable

if TYPE_CHECKING:
    from gossipsub.chorus.agent_table import Agent
    from gossipsub.cli.chorus.acquaintances import Acquaintances

WAIT = 5.0
"""Seconds."""
_TITLES = ("NAME", "PEER", "ROLES", "EXPERTISE", "STATE", "TASKS", "SEEN")


def main(arguments: Sequence[str]) -> int:
    """0, or 27 when there were fewer than -C agents."""
    return run("chorus presence", partial(look, parse(arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "chorus presence",
        "Write who is there: a table, or with --json an object for each agent.\n"
        "Agents tell of themselves when they come, mostly when others come, and every half\n"
        "minute; those that keep logs are asked who was there lately. -W 35 sees everybody.",
        "exit status: 0 done; 1 error; 2 wrong call; 27 fewer than -C agents; 130 Ctrl-C",
    )
    parser.add_argument(
        "-W",
        dest="seconds",
        type=seconds,
        default=WAIT,
        metavar="SECONDS",
        help=f"for how long to listen (default: {WAIT:g})",
    )
    parser.add_argument(
        "-C", dest="count", type=count, metavar="COUNT", help="no longer than until so many came"
    )
    parser.add_json()
    add_agent_options(parser, name=ONLOOKER, can_log=False)
    options: argparse.Namespace = parse_agent(parser, arguments)
    return options


async def look(options: argparse.Namespace, output: Output | None = None) -> int:
    """Listen, then write."""
    output = output or Output()
    async with take_part(options, catch_up=LATELY) as part:
        with anyio.move_on_after(options.seconds):
            await _gather(part.others, options.count)
        now = anyio.current_time()
        agents = sorted(part.others.agents(), key=lambda agent: (agent.card.name, agent.peer))
        lines = (
            [json.dumps(_fields(agent, now)) for agent in agents]
            if options.json
            else table([_TITLES, *(_row(agent, now) for agent in agents)])
        )
        await output.write("".join(f"{line}\n" for line in lines).encode())
    return TIMED_OUT if options.count is not None and len(agents) < options.count else DONE


async def _gather(others: Acquaintances, wanted: int | None) -> None:
    """Return when so many have told how they are: of others not even the name is known."""
    while wanted is None or len([agent for agent in others.agents() if agent.status]) < wanted:
        await others.changed.wait()


def _fields(agent: Agent, now: float) -> dict[str, Any]:
    card = agent.card
    return {
        "peer": str(agent.peer),
        "name": card.name,
        "roles": card.roles,
        "expertise": card.expertise,
        "capabilities": card.capabilities,
        "status": agent.status,
        "is_available": agent.is_available,
        "current_tasks": agent.current_tasks,
        "max_tasks": card.max_tasks,
        "seen_seconds_ago": round(now - agent.last_seen, 3),
    }


def _row(agent: Agent, now: float) -> tuple[str, ...]:
    from gossipsub.chorus.sentences import shortened

    card = agent.card
    return (
        card.name or "-",
        shortened(str(agent.peer)),
        ", ".join(card.roles) or "-",
        ", ".join(card.expertise) or "-",
        agent.status or "-",
        f"{agent.current_tasks}/{card.max_tasks}" if agent.status else "-",
        f"{now - agent.last_seen:.0f} s ago",
    )


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows in columns, each as wide as its widest cell."""
    cells = [[printable(cut(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
