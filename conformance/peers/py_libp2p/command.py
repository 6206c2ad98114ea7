"""Runs the peer: flags, host, pubsub, commands; ends with its input."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from importlib.metadata import version
from typing import Any

import anyio
from libp2p.tools.anyio_service import Service, background_trio_service

from gossipsub.conformance.peers.py_libp2p.connections import ConnectionReports
from gossipsub.conformance.peers.py_libp2p.node import LibraryNode
from gossipsub.conformance.peers.py_libp2p.options import Options, parse_options
from gossipsub.conformance.peers.py_libp2p.watched import assemble
from gossipsub.peer.command_loop import STDIN, STDOUT, obey
from gossipsub.peer.json_lines import DriverFailed, LineWriter
from gossipsub.peer.options import OptionError


def main(arguments: Sequence[str]) -> int:
    try:
        options = parse_options(arguments)
    except OptionError as error:
        print(f"py-libp2p peer: {'; '.join(str(error).split(chr(10)))}", file=sys.stderr)
        return 2
    try:
        anyio.run(_run, options, backend="trio")
    except DriverFailed as error:
        print(f"py-libp2p peer: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(options: Options) -> None:
    writer = LineWriter(STDOUT)
    failure: DriverFailed | None = None
    parts = assemble(options, writer)
    try:
        parts.host.get_network().register_notifee(ConnectionReports(writer))
        async with (
            parts.host.run(listen_addrs=[options.listen]),
            background_trio_service(parts.pubsub),
            _running(parts.router),
            anyio.create_task_group() as tasks,
        ):
            # It would dial whomever it knows, and those again that it was told to disconnect from.
            await parts.host.get_network().auto_connector.stop()
            await parts.pubsub.wait_until_ready()
            tasks.start_soon(writer.run)
            writer.write(_ready(parts.host, options))
            node = LibraryNode(parts, tasks, writer, options)
            tasks.start_soon(node.count_rpcs)
            try:
                await obey(node, tasks, writer, STDIN)
            except DriverFailed as error:
                failure = error
            tasks.cancel_scope.cancel()
    finally:
        await writer.say_goodbye()
    if failure is not None:
        raise failure


def _running(router: Any) -> AbstractAsyncContextManager[object]:
    """Only the router of gossipsub does something by itself."""
    return background_trio_service(router) if isinstance(router, Service) else nullcontext()


def _ready(host: Any, options: Options) -> dict[str, Any]:
    return {
        "event": "ready",
        "peer_id": str(host.get_id()),
        "addrs": [str(address) for address in host.get_addrs()],
        "impl": "py-libp2p",
        "versions": {"py-libp2p": version("libp2p"), "python": sys.version.split()[0]},
        "pid": os.getpid(),
        "unsupported_params": list(options.unsupported),
    }
