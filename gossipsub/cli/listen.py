"""`gossipsub listen`: a node that runs until it is told to end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import anyio

from gossipsub.cli.exit_status import DONE
from gossipsub.cli.node_options import add_node_options, open_node, parse_with_node
from gossipsub.cli.output import Output
from gossipsub.cli.parsing import Parser, once_each, topic
from gossipsub.cli.running import run


def main(arguments: Sequence[str]) -> int:
    """0 after SIGTERM, 130 after Ctrl-C: nothing else ends it but an error, 1."""
    return run("listen", partial(listen, parse(arguments)), terminated=DONE)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "listen",
        "Run a node until Ctrl-C or SIGTERM. It tells where it listens, as LISTEN and a multiaddr.",
        "exit status: 0 SIGTERM, 1 error, 2 wrong call, 130 Ctrl-C",
    )
    parser.add_argument(
        "--relay",
        action="append",
        type=topic,
        metavar="TOPIC",
        help="a topic whose messages are passed on; repeatable",
    )
    parser.add_json()
    add_node_options(parser)
    return parse_with_node(parser, arguments)


async def listen(options: argparse.Namespace, output: Output | None = None) -> int:
    """Never returns."""
    output = output or Output()
    async with open_node(options) as host, AsyncExitStack() as relays:
        for name in once_each(options.relay):
            await relays.enter_async_context((await host.join(name)).relay())
        for address in host.addresses:
            told = {"listen": address, "peer_id": str(host.peer_id)}
            line = json.dumps(told) if options.json else f"LISTEN {address}"
            await output.write(f"{line}\n".encode())
        await anyio.sleep_forever()
    return DONE
