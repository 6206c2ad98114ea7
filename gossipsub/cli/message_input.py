"""What `gossipsub pub` is given to publish: a text, a file, standard input whole or by lines."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import anyio.lowlevel

from gossipsub.wire.errors import GossipSubError

READ_BYTES = 65536
STDIN = "-"


class InputTooLarge(GossipSubError):
    """More than any message can be; what came before it was published."""


async def messages_of(options: argparse.Namespace) -> AsyncGenerator[bytes, None]:
    """The messages, each when it is there. OSError for a file that cannot be read; InputTooLarge
    for a message above `max_rpc_bytes`."""
    limit: int = options.config.max_rpc_bytes
    if options.message is not None:
        yield options.message.encode(errors="surrogateescape")
    elif options.lines:
        async with aclosing(read_lines(sys.stdin.fileno(), limit)) as lines:
            async for line in lines:
                yield line
    elif options.file in (None, STDIN):
        yield await read_whole(sys.stdin.fileno(), limit)
    else:
        with open(options.file, "rb", opener=_open_at_once) as file:
            yield await read_whole(file.fileno(), limit)


async def read_whole(descriptor: int, limit: int) -> bytes:
    """All there is, up to `limit` bytes."""
    data = bytearray()
    while chunk := await _read(descriptor):
        data += chunk
        _check(len(data), limit)
    return bytes(data)


async def read_lines(descriptor: int, limit: int) -> AsyncGenerator[bytes, None]:
    """Lines without their newline, each as soon as it is there; the last one may lack it."""
    waiting = bytearray()
    while chunk := await _read(descriptor):
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            _check(len(waiting) + len(line), limit)
            yield bytes(waiting) + line
            waiting.clear()
        waiting += rest
        _check(len(waiting), limit)
    if waiting:
        yield bytes(waiting)


def _open_at_once(path: str, flags: int) -> int:
    """A named pipe, too: else the whole node would stand still until somebody writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


async def _read(descriptor: int) -> bytes:
    try:
        await anyio.wait_readable(descriptor)
    except PermissionError:
        await anyio.lowlevel.checkpoint()  # a file or /dev/null: always readable
    return os.read(descriptor, READ_BYTES)


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise InputTooLarge(f"a message of more than {limit} bytes")
