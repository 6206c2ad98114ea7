"""`python -m gossipsub.conformance.interop_node --params FILE`: a node of the public experiments.

Its number is that of the host name, `node%d`. Standard output has JSON lines, standard error is for
people. The exit status is 0 at the end of the script, 1 when an instruction failed, and 2 when the
command or the script is wrong.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from gossipsub.conformance.interop.instructions import (
    Instruction,
    ScriptError,
    read_params,
    read_script,
)
from gossipsub.conformance.interop.node_log import NodeLog
from gossipsub.conformance.interop.scripted_node import (
    InstructionFailed,
    ScriptedNode,
    announce,
    node_key,
)
from gossipsub.peer.json_lines import DriverFailed, LineWriter

PORT = 9000
STDOUT = 1
RESOLVE_SECONDS = 30.0
_NAME = re.compile(r"node([0-9]{1,9})(\..*)?")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a script; the exit status."""
    started = time.monotonic()  # as asyncio's clock
    parser = argparse.ArgumentParser(
        prog="python -m gossipsub.conformance.interop_node",
        description="Take part in an experiment of libp2p's gossipsub-interop.",
        allow_abbrev=False,
    )
    parser.add_argument("--params", type=Path, required=True, help="the script, params.json")
    parser.add_argument(
        "--await-start",
        action="store_true",
        help="begin when a line comes on standard input; ends where none comes",
    )
    options = parser.parse_args(arguments)
    try:
        node = node_number(socket.gethostname())
        script = read_script(read_params(options.params.read_bytes()), node=node)
    except (OSError, ScriptError) as error:
        print(f"interop_node: {options.params}: {error}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"interop_node: {error}", file=sys.stderr)
        return 2
    try:
        return anyio.run(_run, node, script, None if options.await_start else started)
    except KeyboardInterrupt:
        return 130


def node_number(host_name: str) -> int:
    """The number in a host name, `node17` say. ValueError for any other name."""
    match = _NAME.fullmatch(host_name)
    if match is None:
        raise ValueError(f"the host name must be node and a number: {host_name!r}")
    return int(match[1])


async def _run(node: int, script: list[Instruction], started: float | None) -> int:
    writer = LineWriter(STDOUT)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.run)
            try:
                status = await _carry_out(node, script, NodeLog(writer.write), started)
            except (InstructionFailed, DriverFailed) as error:
                status = _fail(str(error))
            tasks.cancel_scope.cancel()
    finally:
        await writer.say_goodbye()
    return status


async def _carry_out(
    node: int, script: list[Instruction], log: NodeLog, started: float | None
) -> int:
    scripted = ScriptedNode(node, script, log, address_of=resolved_address, warn=_say)
    async with scripted:
        announce(log, node)
        if started is None:
            if not await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
                return _fail("the start was called off")
            started = anyio.current_time()
        await scripted.run(started=started)
    return 0


def _fail(text: str) -> int:
    _say(text)
    return 1


def _say(text: str) -> None:
    print(f"interop_node: {text}", file=sys.stderr, flush=True)


async def resolved_address(node: int) -> str:
    """Where a node is dialled, by its host name. OSError where that is not known."""
    with anyio.fail_after(RESOLVE_SECONDS):
        found = await anyio.getaddrinfo(f"node{node}", PORT, family=socket.AF_INET)
    return f"/ip4/{found[0][4][0]}/tcp/{PORT}/p2p/{node_key(node).peer_id()}"


if __name__ == "__main__":
    sys.exit(main())
