"""Trace files, and where a host's traces go."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from gossipsub.router.effects import Trace, TraceKind
from gossipsub.tracing.background_file import BackgroundFile
from gossipsub.tracing.event import TraceEvent, event_of, rpc_meta
from gossipsub.tracing.trace_codec import encode_delimited, encode_json_line
from gossipsub.tracing.trace_reader import MAX_EVENT_BYTES, MAX_LINE_BYTES
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message, Rpc

logger = logging.getLogger("gossipsub.tracing")

TraceSink = Callable[[TraceEvent], object]
"""Takes the events of a host, in its event loop: it must be quick. What it raises is logged."""


class TraceFile:
    """A sink that writes a file: `.json` or `.jsonl` as JSON lines, `.pb` as length-delimited
    protobuf, each with `.gz` behind it compressed; `gz` is what go's tools want of protobuf.

    Written by a thread; what it cannot keep up with is dropped and counted, and so is an event
    that no reader would take (above 1 MiB). OSError where the file cannot be opened;
    LocalProtocolError for another ending.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        kind = os.path.splitext(os.fspath(path).removesuffix(".gz"))[1]
        if kind not in (".json", ".jsonl", ".pb"):
            raise LocalProtocolError(f"a trace file ends in .json or .pb (or .gz): {path}")
        self._encode = encode_delimited if kind == ".pb" else encode_json_line
        self._limit = MAX_EVENT_BYTES if kind == ".pb" else MAX_LINE_BYTES
        self._file = BackgroundFile(path)
        self.dropped = 0

    def __call__(self, event: TraceEvent) -> None:
        data = self._encode(event)
        if data and (len(data) >= self._limit or not self._file.write(data)):
            self.dropped += 1

    def close(self, timeout: float) -> bool:
        """As `BackgroundFile.close`; says in a WARNING how many events were dropped, if any."""
        is_closed = self._file.close(timeout)
        if self.dropped:
            logger.warning("trace events dropped path=%s count=%d", self._file.path, self.dropped)
        return is_closed


class HostTrace:
    """What a driver tells of its router, made into events of `node` for a sink.

    `clock` gives nanoseconds since 1970. A sink's exception is logged the first time, and the
    event is lost.
    """

    def __init__(
        self,
        sink: TraceSink,
        *,
        node: bytes,
        clock: Callable[[], int],
        message_id: Callable[[Message], bytes],
    ) -> None:
        self._sink = sink
        self._node = node
        self._clock = clock
        self._message_id = message_id
        self.failures = 0

    def happened(self, trace: Trace) -> None:
        """An effect of the router."""
        self._tell(event_of(trace, node=self._node, timestamp=self._clock(), id_of=self._id_of))

    def sent(self, peer: bytes, rpc: Rpc) -> None:
        """An RPC was queued for a peer."""
        self._rpc(TraceKind.SEND_RPC, peer, rpc)

    def dropped(self, peer: bytes, rpc: Rpc) -> None:
        """An RPC could not be queued, or gave way to another."""
        self._rpc(TraceKind.DROP_RPC, peer, rpc)

    def _rpc(self, kind: TraceKind, peer: bytes, rpc: Rpc) -> None:
        meta = rpc_meta(rpc, self._id_of)
        self._tell(
            TraceEvent(kind=kind, node=self._node, timestamp=self._clock(), peer=peer, meta=meta)
        )

    def _id_of(self, message: Message) -> bytes:
        try:
            message_id = self._message_id(message)
        except Exception:  # the application's function; the router says so where it matters
            return b""
        return message_id if isinstance(message_id, bytes) else b""

    def _tell(self, event: TraceEvent) -> None:
        try:
            self._sink(event)
        except Exception:
            self.failures += 1
            if self.failures == 1:
                logger.exception("a trace sink failed; further failures are only counted")
