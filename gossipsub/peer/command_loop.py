"""Reads commands, has a node carry them out, answers each once, ends with the input.

The same for every node that is written in Python, whatever library it is made of.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from anyio.abc import TaskGroup

from gossipsub.peer.fields import Fields
from gossipsub.peer.json_lines import LineWriter, read_lines
from gossipsub.wire.errors import GossipSubError

STDIN, STDOUT = 0, 1
Answer = dict[str, Any]
Action = Callable[[Fields], Awaitable[Answer]]
T = TypeVar("T")


class SteeredNode(Protocol):
    """What commands are carried out by. GossipSubError becomes an `error` answer."""

    @property
    def commands(self) -> Mapping[str, Action]:
        """Those that are done one after the other, in the order given."""

    def credit(self, fields: Fields) -> None:
        """The one command without an answer, a wrong one included."""

    async def connect(self, fields: Fields) -> Answer:
        """May take long, so others are answered before it."""

    async def begin_publish_many(self, fields: Fields) -> Action:
        """The rest of the command, which may take long."""


async def obey(node: SteeredNode, tasks: TaskGroup, writer: LineWriter, descriptor: int) -> None:
    """Carry out commands until `exit` or the end of the input."""
    async for line in read_lines(descriptor):
        command = _parse(line)
        if command is None:
            no_command = {"cmd": "", "error": "not a command: no JSON object with a text in `cmd`"}
            writer.write({"event": "error", **no_command})
            continue
        fields, answer = Fields(command), Answering(writer, command)
        match command["cmd"]:
            case "exit":
                answer.ok({})
                return
            case "credit":
                node.credit(fields)
            case "connect":
                tasks.start_soon(answer.to, node.connect, fields)
            case "publish_many":
                run = await answer.unless_wrong(node.begin_publish_many, fields)
                if run is not None:
                    tasks.start_soon(answer.to, run, fields)
            case name if name in node.commands:
                await answer.to(node.commands[name], fields)
            case name:
                answer.error(f"unknown command {name!r}")
        writer.check()  # not `room`: the end of the input must be noticed


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        command = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_command = isinstance(command, dict) and isinstance(command.get("cmd"), str)
    return command if is_command else None


class Answering:
    """The one answer of a command."""

    def __init__(self, writer: LineWriter, command: dict[str, Any]) -> None:
        self._writer = writer
        about = ("cmd", "id")
        self._about: dict[str, Any] = {name: command[name] for name in about if name in command}

    def ok(self, fields: dict[str, Any]) -> None:
        self._writer.write({"event": "ok", **self._about, **fields})

    def error(self, why: str) -> None:
        self._writer.write({"event": "error", **self._about, "error": why})

    async def to(self, action: Action, fields: Fields) -> None:
        """Carry it out and tell what came of it."""
        answer = await self.unless_wrong(action, fields)
        if answer is not None:
            self.ok(answer)

    async def unless_wrong(
        self, action: Callable[[Fields], Awaitable[T]], fields: Fields
    ) -> T | None:
        """Carry it out; what goes wrong is the answer, and None the result."""
        try:
            return await action(fields)
        except GossipSubError as error:
            self.error(str(error))
            return None
