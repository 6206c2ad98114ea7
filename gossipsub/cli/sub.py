"""`gossipsub sub`: the messages of topics, one line each."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from gossipsub.cli.exit_status import DONE, TIMED_OUT
from gossipsub.cli.message_format import FORMAT_HELP, MessageFormat, as_json, parse_format, plain
from gossipsub.cli.node_options import (
    add_node_options,
    open_node,
    parse_with_node,
    tell_where_it_listens,
)
from gossipsub.cli.output import Output
from gossipsub.cli.parsing import Parser, count, once_each, seconds, topic
from gossipsub.cli.running import run, tell

if TYPE_CHECKING:
    from gossipsub.pubsub.message import ReceivedMessage
    from gossipsub.pubsub.subscription import Subscription


def main(arguments: Sequence[str]) -> int:
    """0 after -C messages, after SIGTERM, or when nobody reads any more."""
    return run("sub", partial(subscribe, parse(arguments)), terminated=DONE)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "sub",
        "Write each message of the topics as a line of text; control characters are escaped.",
        f"{FORMAT_HELP}\nexit status: 0 done, SIGTERM, or nobody reads any more; 1 error; "
        "2 wrong call;\n27 -W seconds have passed; 130 Ctrl-C",
    )
    parser.add_argument("topics", nargs="+", type=topic, metavar="TOPIC")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--raw", action="store_true", help="the data exactly as it came")
    shape.add_argument("-F", dest="format", type=_format, metavar="FORMAT", help="see below")
    shape.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("-v", dest="with_topic", action="store_true", help="the topic first")
    parser.add_argument("-N", dest="no_newline", action="store_true", help="no newline behind it")
    parser.add_argument(
        "-C", dest="count", type=count, metavar="COUNT", help="end after so many messages"
    )
    parser.add_argument(
        "-W", dest="seconds", type=seconds, metavar="SECONDS", help="end after this time, with 27"
    )
    _add_filters(parser)
    add_node_options(parser)
    options = parse_with_node(parser, arguments)
    if options.with_topic and (options.json or options.format):
        parser.error("-v goes with plain and --raw output; --json and -F have the topic")
    return options


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-T",
        dest="filter_out",
        action="append",
        default=[],
        metavar="TEXT",
        help="leave out messages that have this text in them; repeatable",
    )
    parser.add_argument(
        "--from",
        dest="senders",
        action="append",
        type=_peer,
        default=[],
        metavar="PEER",
        help="only messages that this peer published; repeatable",
    )


async def subscribe(options: argparse.Namespace, output: Output | None = None) -> int:
    """Write messages until there were enough, time is up or nobody reads any more."""
    output = output or Output()
    async with open_node(options) as host, AsyncExitStack() as stack:
        subscriptions = [
            await stack.enter_async_context(
                (await host.join(name)).subscribe(message_filter=partial(_is_wanted, options))
            )
            for name in once_each(options.topics)
        ]
        tell_where_it_listens(options, host)
        status = await _write_until_the_end(options, subscriptions, output)
        lost = sum(each.statistics().dropped for each in subscriptions)
        if lost:
            tell("sub", f"{lost} messages lost: they were read too slowly")
        return status


async def _write_until_the_end(
    options: argparse.Namespace, subscriptions: Sequence[Subscription], output: Output
) -> int:
    send, receive = anyio.create_memory_object_stream[Any](0)
    failure: OSError | None = None
    with send, receive, anyio.move_on_after(options.seconds) as waiting:
        async with anyio.create_task_group() as tasks:
            for each in subscriptions:
                tasks.start_soon(_collect, each, send)
            tasks.start_soon(_end_with_reader, output, tasks.cancel_scope)
            try:
                await _write_messages(options, receive, output)
            except BrokenPipeError:
                pass  # nobody reads any more: the end, too
            except OSError as error:
                failure = error
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return TIMED_OUT if waiting.cancelled_caught else DONE


async def _collect(messages: Subscription, send: MemoryObjectSendStream[Any]) -> None:
    async for message in messages:
        await send.send(message)


async def _end_with_reader(output: Output, scope: anyio.CancelScope) -> None:
    await output.reader_gone()
    scope.cancel()


async def _write_messages(
    options: argparse.Namespace, messages: MemoryObjectReceiveStream[Any], output: Output
) -> None:
    write = _writer(options)
    end = b"" if options.no_newline else b"\n"
    written = 0
    async for message in messages:
        await output.write(write(message, time.time_ns()) + end)
        written += 1
        if written == options.count:
            return


def _writer(options: argparse.Namespace) -> MessageFormat:
    if options.json:
        return as_json
    if options.format:
        chosen: MessageFormat = options.format
        return chosen
    return plain(with_topic=options.with_topic, raw=options.raw)


def _is_wanted(options: argparse.Namespace, message: ReceivedMessage) -> bool:
    if options.senders and message.sender not in options.senders:
        return False
    return not any(
        text.encode(errors="surrogateescape") in message.data for text in options.filter_out
    )


def _format(text: str) -> MessageFormat:
    try:
        return parse_format(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _peer(text: str) -> bytes:
    from gossipsub.crypto.peer_id import PeerId
    from gossipsub.wire.errors import LocalProtocolError

    try:
        return PeerId.parse(text)
    except LocalProtocolError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
