"""What a host writes down of itself where it is asked to: its trace, its recording.

What writes is loaded when a host wants it: few do, and it takes a tenth of a host's start.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import anyio.to_thread

from gossipsub.router.params import GossipParams
from gossipsub.router.router import Router
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message

if TYPE_CHECKING:
    from gossipsub.recording.recorder import Recorder
    from gossipsub.tracing.trace_writer import HostTrace, TraceFile, TraceSink

    TraceTarget = str | os.PathLike[str] | TraceSink


class Watching:
    """Opens the files, hands out the router and what it is watched by, and closes the files.

    An asynchronous context manager: files are opened on entering (OSError), and closed on leaving
    within `close_timeout` seconds.
    """

    def __init__(
        self,
        *,
        trace: TraceTarget | None = None,
        record: str | os.PathLike[str] | None = None,
        close_timeout: float = 2.0,
    ) -> None:
        if record is not None and not isinstance(record, (str, os.PathLike)):
            raise LocalProtocolError(f"record is a path: {record!r}")
        if trace is not None and not isinstance(trace, (str, os.PathLike)) and not callable(trace):
            raise LocalProtocolError(f"trace is a path or a function: {trace!r}")
        self._trace = trace
        self._record = record
        self._close_timeout = close_timeout
        self._sink: TraceSink | None = None
        self._files: list[TraceFile | Recorder] = []
        self._recorder: Recorder | None = None

    async def __aenter__(self) -> Self:
        if isinstance(self._trace, (str, os.PathLike)):
            from gossipsub.tracing.trace_writer import TraceFile

            file = TraceFile(self._trace)
            self._files.append(file)
            self._sink = file
        else:
            self._sink = self._trace
        if self._record is not None:
            from gossipsub.recording.recorder import Recorder

            try:
                self._recorder = Recorder(self._record)
            except OSError:
                self._close()
                raise
            self._files.append(self._recorder)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close)

    def _close(self) -> None:
        deadline = time.monotonic() + self._close_timeout
        for file in self._files:
            file.close(max(deadline - time.monotonic(), 0.0))

    def new_router(
        self,
        params: GossipParams,
        *,
        me: bytes,
        rng: random.Random,
        now: float,
        direct_peers: Iterable[bytes] = (),
    ) -> Router:
        """The host's router: as the class `Router`."""
        if self._sink is not None:
            params = replace(params, tracing=True)
        if self._recorder is None:
            return Router(params, me=me, rng=rng, now=now, direct_peers=direct_peers)
        # A recording tells the generator's state once: nobody else may draw from it.
        own = random.Random(rng.getrandbits(64))
        direct_peers = tuple(direct_peers)
        return self._recorder.router(params, me=me, rng=own, now=now, direct_peers=direct_peers)

    def host_trace(self, node: bytes, message_id: Callable[[Message], bytes]) -> HostTrace | None:
        """What the driver tells its events to; None while nobody wants them."""
        if self._sink is None:
            return None
        from gossipsub.tracing.trace_writer import HostTrace

        return HostTrace(self._sink, node=node, clock=time.time_ns, message_id=message_id)
