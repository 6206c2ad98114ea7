"""Runs a test peer: reads commands, answers each once, ends with its input."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import anyio

from gossipsub.host import Host
from gossipsub.peer.json_lines import LineWriter, read_lines
from gossipsub.peer.node import PeerNode
from gossipsub.peer.options import OptionError, PeerOptions, parse_options
from gossipsub.wire.errors import GossipSubError

STDIN, STDOUT = 0, 1


def main(arguments: Sequence[str]) -> int:
    """`gossipsub peer`: 0 when told to end, 1 when the node cannot run, 2 for a wrong flag."""
    try:
        options = parse_options(arguments)
    except OptionError as error:
        print(f"gossipsub peer: {error}", file=sys.stderr)
        return 2
    try:
        anyio.run(_run, options)
    except GossipSubError as error:
        print(f"gossipsub peer: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _run(options: PeerOptions) -> None:
    host = Host(
        listen=options.listen,
        key=options.key,
        params=options.params,
        config=options.config,
    )
    writer = LineWriter(STDOUT)
    async with host, anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        node = PeerNode(host, tasks, writer.write, quiet=options.quiet)
        tasks.start_soon(_report_peers, host, writer)
        writer.write(_ready(host, options))
        async for line in read_lines(STDIN):
            command = _parse(line)
            if command.get("cmd") == "credit":
                node.credit(command)
                continue
            if command.get("cmd") == "exit":
                writer.write(_answer("ok", command))
                break
            tasks.start_soon(_serve, node, writer, command)
        tasks.cancel_scope.cancel()
    await writer.flush()


async def _report_peers(host: Host, writer: LineWriter) -> None:
    async with host.peer_events() as events:
        async for event in events:
            topic = {} if event.topic is None else {"topic": event.topic}
            writer.write({"event": event.kind.value, **topic, "peer": str(event.peer)})


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
        **({"unsupported_params": list(options.unsupported)} if options.unsupported else {}),
    }


def _parse(line: bytes) -> dict[str, Any]:
    try:
        command = json.loads(line)
    except ValueError:
        return {"cmd": None}
    return command if isinstance(command, dict) else {"cmd": None}


async def _serve(node: PeerNode, writer: LineWriter, command: dict[str, Any]) -> None:
    name = command.get("cmd")
    action = node.commands.get(name) if isinstance(name, str) else None
    if action is None:
        writer.write(_answer("error", command, error=f"no such command: {name}"))
        return
    try:
        answer = await action(command)
    except KeyError as error:
        writer.write(_answer("error", command, error=f"missing field: {error.args[0]}"))
    except (ValueError, TypeError, GossipSubError) as error:
        writer.write(_answer("error", command, error=str(error)))
    else:
        writer.write({**_answer("ok", command), **answer})


def _answer(event: str, command: dict[str, Any], **more: Any) -> dict[str, Any]:
    identity = {"id": command["id"]} if "id" in command else {}
    return {"event": event, "cmd": command.get("cmd"), **identity, **more}
