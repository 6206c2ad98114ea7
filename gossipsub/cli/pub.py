"""`gossipsub pub`: publish, and say what became of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from gossipsub.cli.exit_status import DONE
from gossipsub.cli.message_input import messages_of
from gossipsub.cli.node_options import (
    add_node_options,
    open_node,
    parse_with_node,
    tell_where_it_listens,
)
from gossipsub.cli.output import Output
from gossipsub.cli.parsing import Parser, seconds, topic, whole
from gossipsub.cli.running import fail, run

if TYPE_CHECKING:
    from gossipsub.host import Host
    from gossipsub.pubsub.message import PublishResult
    from gossipsub.pubsub.topic import Topic

PEERS_TIMEOUT = 10.0
"""Seconds that peers have to come."""


def main(arguments: Sequence[str]) -> int:
    """0 when every message is on its way to somebody, or nobody is fine, too."""
    return run("pub", partial(publish, parse(arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "pub",
        "Publish a message: a text, a file, or all of standard input; or a message for each line.",
        "For each message a line: its id and how many peers it went to.\n\n"
        "exit status: 0 done; 1 error, or a message reached nobody; 2 wrong call; 130 Ctrl-C",
    )
    parser.add_argument("topic", type=topic, metavar="TOPIC")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("-m", dest="message", metavar="TEXT", help="publish this text")
    what.add_argument("-f", dest="file", metavar="FILE", help="publish what is in this file")
    what.add_argument(
        "-l", dest="lines", action="store_true", help="a message for each line of standard input"
    )
    parser.add_argument(
        "--wait-for",
        type=whole,
        default=1,
        metavar="N",
        help="peers in the topic that must be there first (default: 1)",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=PEERS_TIMEOUT,
        metavar="SECONDS",
        help=f"for how long to wait for them (default: {PEERS_TIMEOUT:g})",
    )
    parser.add_argument(
        "--allow-nobody", action="store_true", help="publish although too few peers came"
    )
    report = parser.add_mutually_exclusive_group()
    report.add_argument("-q", dest="quiet", action="store_true", help="write only errors")
    report.add_argument("--json", action="store_true", help="one JSON object per line")
    add_node_options(parser)
    return parse_with_node(parser, arguments)


async def publish(options: argparse.Namespace, output: Output | None = None) -> int:
    """Wait for peers, publish, report."""
    output = output or Output()
    published = unheard = 0
    async with open_node(options) as host:
        tell_where_it_listens(options, host)
        topic = await host.join(options.topic)
        await _wait_for_peers(options, host, topic)
        async with aclosing(messages_of(options)) as messages:
            async for data in messages:
                result = await topic.publish(data)
                published += 1
                unheard += not result.queued_to
                if not options.quiet:
                    await output.write(_report(options, result, len(data)))
    if unheard and not options.allow_nobody:
        return fail("pub", f"{unheard} of {published} messages reached nobody")
    return DONE


async def _wait_for_peers(options: argparse.Namespace, host: Host, topic: Topic) -> None:
    try:
        await topic.wait_for_peers(options.wait_for, timeout=options.timeout)
    except TimeoutError as error:
        if not options.allow_nobody:
            raise TimeoutError(f"{error}; connected to {len(host.peers())} peers") from error


def _report(options: argparse.Namespace, result: PublishResult, size: int) -> bytes:
    message_id, peers = result.message_id.hex(), [str(peer) for peer in result.queued_to]
    if not options.json:
        return f"{message_id} {len(peers)}\n".encode()
    told = {
        "topic": options.topic,
        "message_id": message_id,
        "size_bytes": size,
        "peers": peers,
        "dropped_by": [str(peer) for peer in result.dropped_by],
    }
    return json.dumps(told).encode() + b"\n"
