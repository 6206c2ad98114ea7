"""Runs a test peer."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import anyio
import cryptography

from gossipsub import __version__
from gossipsub.cli.running import keeping_what_is_loaded
from gossipsub.crypto.ed25519 import choose_verify, uses_pynacl
from gossipsub.host import Host
from gossipsub.peer.command_loop import STDIN, STDOUT, obey
from gossipsub.peer.json_lines import DriverFailed, LineWriter
from gossipsub.peer.node import PeerNode
from gossipsub.peer.options import OptionError, PeerOptions, parse_options
from gossipsub.peer_events import PeerEvents
from gossipsub.wire.errors import GossipSubError


def main(arguments: Sequence[str]) -> int:
    """`gossipsub peer`: 0 when told to end, 1 when the node cannot run, 2 for a wrong flag."""
    try:
        options = parse_options(arguments)
    except OptionError as error:
        return _fail(error, 2)
    try:
        uses_uvloop = options.backend == "uvloop"
        with keeping_what_is_loaded():
            anyio.run(
                _run,
                options,
                backend="asyncio" if uses_uvloop else options.backend,
                backend_options={"use_uvloop": True} if uses_uvloop else None,
            )
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
                await obey(node, tasks, writer, STDIN)
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
        "versions": _versions(options),
        "pid": os.getpid(),
        "unsupported_params": list(options.unsupported),
    }


def _versions(options: PeerOptions) -> dict[str, str]:
    # As the packages say themselves: `importlib.metadata` would load a megabyte to look it up.
    versions = {
        "python": sys.version.split()[0],
        "gossipsub": __version__,
        "cryptography": cryptography.__version__,
    }
    if uses_pynacl(choose_verify(options.config.signature_library)):
        versions["pynacl"] = sys.modules["nacl"].__version__
    return versions
