"""Reading trace files of this library and of go-libp2p-pubsub."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from gossipsub.tracing.errors import TraceUnreadable
from gossipsub.tracing.event import TraceEvent
from gossipsub.tracing.trace_codec import decode_event, decode_json_line

MAX_EVENT_BYTES = 1 << 20
"""Largest event as protobuf, ours and that of go's tools."""
MAX_LINE_BYTES = 2 << 20
"""Longest line of JSON."""


def read_trace(path: str | os.PathLike[str]) -> Iterator[TraceEvent]:
    """The events of a file, one by one: JSON lines or length-delimited protobuf, either of them
    compressed with gzip or not, which its first bytes tell.

    TraceUnreadable where the file is damaged or is no trace; what came before is yielded first.
    OSError where it cannot be opened. No more than one event is held in memory.
    """
    with open(path, "rb") as file:
        is_compressed = file.peek(2)[:2] == b"\x1f\x8b"
        source = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_compressed else file
        number = 1
        try:
            for event in _events(source):
                yield event
                number += 1
        except TraceUnreadable as error:
            raise TraceUnreadable(f"{os.fspath(path)}, event {number}: {error}") from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            where = f"{os.fspath(path)}, event {number}"
            raise TraceUnreadable(f"{where}: damaged gzip: {error}") from error


def _events(source: BinaryIO) -> Iterator[TraceEvent]:
    start = source.read(2)
    # No protobuf event begins so: 123 bytes long, and not with its type.
    if start == b'{"':
        yield from _json_events(source, start)
    elif start:
        yield from _protobuf_events(source, start)


def _json_events(source: BinaryIO, start: bytes) -> Iterator[TraceEvent]:
    while line := start + source.readline(MAX_LINE_BYTES):
        start = b""
        if len(line) >= MAX_LINE_BYTES:
            raise TraceUnreadable(f"a line of more than {MAX_LINE_BYTES} bytes")
        if line.strip():
            yield decode_json_line(line)


def _protobuf_events(source: BinaryIO, start: bytes) -> Iterator[TraceEvent]:
    while True:
        size = shift = 0
        while True:
            byte, start = (start[:1], start[1:]) if start else (source.read(1), b"")
            if not byte and not shift:
                return
            if not byte or shift > 28:
                raise TraceUnreadable("no length of an event")
            size |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                break
        if size > MAX_EVENT_BYTES:
            raise TraceUnreadable(f"an event of {size} bytes, the limit is {MAX_EVENT_BYTES}")
        body = start[:size] + source.read(size - len(start[:size]))
        start = start[size:]
        if len(body) < size:
            raise TraceUnreadable("the file ends within an event")
        yield decode_event(body)
