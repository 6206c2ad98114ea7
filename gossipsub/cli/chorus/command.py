"""`gossipsub chorus`: each command of it is a module with a `main(arguments) -> int`."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from gossipsub.cli.parsing import Parser

COMMANDS = {
    "agent": (
        "gossipsub.cli.chorus.agent",
        "run an agent: it takes part, keeps a log, carries out tasks",
    ),
    "announce": (
        "gossipsub.cli.chorus.announce",
        "announce a task, and wait until an agent has done it",
    ),
    "claim": (
        "gossipsub.cli.chorus.claim",
        "do a task as a person: claim it, and hand in the result",
    ),
    "fleet": ("gossipsub.chorus.fleet.command", "an example: agents index the files of a folder"),
    "log": ("gossipsub.cli.chorus.log", "look into an event log, verify it, export it"),
    "presence": ("gossipsub.cli.chorus.presence", "who is there: roles, expertise, state, tasks"),
    "tail": ("gossipsub.cli.chorus.tail", "follow the conversation, a sentence for each message"),
}


def main(arguments: Sequence[str]) -> int:
    """The exit status of the command; SystemExit(2) where there is none of that name."""
    words = list(arguments)
    if words and words[0] in COMMANDS:
        module, _ = COMMANDS[words[0]]
        status: int = import_module(module).main(words[1:])
        return status
    lines = [f"  {name:<12} {what}" for name, (_, what) in COMMANDS.items()]
    parser = Parser(
        "chorus",
        "Agents that speak CHORUS on this network.",
        "\n".join(["commands:", *lines, "", "`gossipsub chorus COMMAND --help` tells more."]),
    )
    parser.add_argument("command", metavar="COMMAND")
    name = parser.parse_args(words[:1]).command
    near = get_close_matches(name, COMMANDS, n=1)
    parser.error(f"no such command: {name}{f' (did you mean {near[0]}?)' if near else ''}")
