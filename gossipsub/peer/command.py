"""Runs a test peer: reads commands, answers each once, ends with its input."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup

from gossipsub.host import Host
from gossipsub.peer.fields import Fields
from gossipsub.peer.json_lines import DriverFailed, LineWriter, read_lines
from gossipsub.peer.node import Action, PeerNode
from gossipsub.peer.options import OptionError, PeerOptions, parse_options
from gossipsub.peer_events import PeerEvents
from gossipsub.wire.errors import GossipSubError

STDIN, STDOUT = 0, 1
T = TypeVar("T")


def main(arguments: Sequence[str]) -> int:
    """`gossipsub peer`: 0 when told to end, 1 when the node cannot run, 2 for a wrong flag."""
    try:
        options = parse_options(arguments)
    except OptionError as error:
        return _fail(error, 2)
    try:
        anyio.run(_run, options)
    except GossipSubError as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _fail(error: GossipSubError, status: int) -> int:
    print(f"gossipsub peer: {'; '.join(str(error).split(chr(10)))}", file=sys.stderr)
    return status


async def _run(options: PeerOptions) -> None:
    host = Host(
        listen=options.listen,
        key=options.key,
        params=options.params,
        config=options.config,
        direct_peers=options.direct,
        bootstrap=options.bootstrap,
    )
    writer = LineWriter(STDOUT)
    failure: DriverFailed | None = None
    try:
        async with (
            host,
            host.peer_events() as events,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(writer.run)
            writer.write(_ready(host, options))
            tasks.start_soon(_report_peers, events, writer)
            node = PeerNode(
                host,
                tasks,
                writer,
                quiet=options.quiet,
                app_scores=options.app_scores,
                partial=options.partial,
            )
            try:
                await _obey(node, tasks, writer)
            except DriverFailed as error:
                failure = error
            tasks.cancel_scope.cancel()
    finally:
        await writer.say_goodbye()
    if failure is not None:
        raise failure


async def _report_peers(events: PeerEvents, writer: LineWriter) -> None:
    async for event in events:
        topic = {} if event.topic is None else {"topic": event.topic}
        writer.write({"event": event.kind.value, **topic, "peer": str(event.peer)})
        await writer.room()


def _ready(host: Host, options: PeerOptions) -> dict[str, Any]:
    return {
        "event": "ready",
        "peer_id": str(host.peer_id),
        "addrs": list(host.addresses),
        "impl": "python",
        "versions": {
            "gossipsub": version("gossipsub"),
            "python": sys.version.split()[0],
            "cryptography": version("cryptography"),
        },
        "pid": os.getpid(),
        "unsupported_params": list(options.unsupported),
    }


async def _obey(node: PeerNode, tasks: TaskGroup, writer: LineWriter) -> None:
    """Carry out commands until `exit` or the end of the input."""
    async for line in read_lines(STDIN):
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
