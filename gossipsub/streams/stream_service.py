"""The application's protocols of one host: who serves them, and how many streams they have."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from gossipsub.cancellation import is_task_cancelled
from gossipsub.crypto.peer_id import PeerId
from gossipsub.streams.errors import ProtocolNotSupported, StreamReset
from gossipsub.streams.peer_stream import PeerStream
from gossipsub.streams.stream_buffers import StreamBuffers
from gossipsub.transport.connections import DialError
from gossipsub.transport.stream import NegotiatingOutbound, Stream
from gossipsub.wake import Wake
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.multistream import MultistreamDialer, ProtocolTable

if TYPE_CHECKING:
    from gossipsub.transport.connection import Connection, HandlerFactory

logger = logging.getLogger("gossipsub.streams")

StreamFunction = Callable[[PeerStream], Awaitable[None]]
"""Serves one stream that a peer opened, in a task of its own. The stream is closed when it
returns, and reset when it raises; an exception ends nothing else. It is logged, unless it is the
peer's doing: StreamReset, RemoteProtocolError, TimeoutError."""

_PEERS_DOING = (StreamReset, RemoteProtocolError, TimeoutError)


class StreamService:
    """Opens streams, and has the application's functions serve those of peers."""

    def __init__(self, protocols: ProtocolTable[HandlerFactory]) -> None:
        self.tasks: TaskGroup | None = None
        self._protocols = protocols
        self._served: dict[str, _Served] = {}

    def set_handler(
        self,
        protocol: str,
        handler: StreamFunction | None,
        *,
        max_streams: int,
        max_streams_per_peer: int,
    ) -> None:
        """As `Host.set_stream_handler`."""
        if handler is None:
            if self._served.pop(protocol, None) is None:
                raise LocalProtocolError(f"{protocol!r} has no stream handler")
            self._protocols.remove(protocol)
            return
        if not callable(handler):
            kind = type(handler).__name__
            raise LocalProtocolError(f"a stream handler is a function, not of type {kind}")
        if max_streams < 1 or max_streams_per_peer < 1:
            raise LocalProtocolError(
                f"streams are at least 1: {max_streams}, {max_streams_per_peer} of a peer"
            )
        if protocol in self._served:
            raise LocalProtocolError(f"{protocol!r} has a stream handler already")
        if self._protocols.speaks(protocol):
            raise LocalProtocolError(f"the host itself speaks {protocol!r}")
        served = _Served(protocol, handler, max_streams, max_streams_per_peer)
        self._protocols.add(protocol, lambda stream: self._accept(served, stream))
        self._served[protocol] = served

    async def open(self, connection: Connection, protocols: str | Iterable[str]) -> PeerStream:
        """As `Host.open_stream`, on a connection, without a deadline but that of negotiating."""
        names = (protocols,) if isinstance(protocols, str) else tuple(protocols)
        MultistreamDialer(names)  # raises LocalProtocolError for names that are none
        opening = _Opening()
        stream = connection.open_stream(names, opening.agreed, opening.failed)
        if stream is None:
            raise DialError(f"no room for a stream to {connection.peer}, or it is disconnecting")
        try:
            buffers = await opening.result()
        except BaseException:
            stream.reset()
            raise
        if buffers is not None:
            return PeerStream(buffers, stream.protocol or "")
        if isinstance(stream.handler, NegotiatingOutbound) and stream.handler.is_refused:
            raise ProtocolNotSupported(f"{connection.peer} does not speak {', '.join(names)}")
        if not connection.is_open:
            raise StreamReset(f"the connection ended: {connection.end_reason}")
        raise StreamReset("it ended before a protocol was agreed on")

    def _accept(self, served: _Served, stream: Stream) -> StreamBuffers:
        if self.tasks is None:
            raise RemoteProtocolError("the host is not running", fatal_to="stream")
        served.enter(stream.connection.peer)
        buffers = StreamBuffers(stream)
        self.tasks.start_soon(_serve, served, PeerStream(buffers, stream.protocol or ""))
        return buffers


class _Served:
    """One protocol: its handler, and the streams that it serves now."""

    def __init__(
        self, protocol: str, handler: StreamFunction, max_streams: int, max_streams_per_peer: int
    ) -> None:
        self.protocol = protocol
        self.handler = handler
        self._max_streams = max_streams
        self._max_streams_per_peer = max_streams_per_peer
        self._total = 0
        self._by_peer: dict[PeerId, int] = {}

    def enter(self, peer: PeerId) -> None:
        """RemoteProtocolError, fatal to the stream, where there is no room for it."""
        count = self._by_peer.get(peer, 0)
        if self._total >= self._max_streams or count >= self._max_streams_per_peer:
            raise RemoteProtocolError(f"too many streams of {self.protocol}", fatal_to="stream")
        self._total += 1
        self._by_peer[peer] = count + 1

    def leave(self, peer: PeerId) -> None:
        self._total -= 1
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]


class _Opening:
    """One stream that is being negotiated."""

    def __init__(self) -> None:
        self._wake = Wake()
        self._buffers: StreamBuffers | None = None
        self._is_over = False

    def agreed(self, stream: Stream) -> StreamBuffers:
        self._buffers = StreamBuffers(stream)
        self._wake.set()
        return self._buffers

    def failed(self) -> None:
        self._is_over = True
        self._wake.set()

    async def result(self) -> StreamBuffers | None:
        """None when it failed."""
        while self._buffers is None and not self._is_over:
            await self._wake.wait()
        return self._buffers


async def _serve(served: _Served, stream: PeerStream) -> None:
    """Whatever goes wrong in serving a stream ends this stream and nothing else."""
    peer, protocol = stream.peer, served.protocol
    try:
        async with stream:
            await served.handler(stream)
    except Exception as error:
        if _is_peers_doing(error):
            logger.debug("stream ended peer=%s protocol=%s error=%s", peer.short(), protocol, error)
        else:
            _log_failure(served)
    except anyio.get_cancelled_exc_class():
        if is_task_cancelled():
            raise
        _log_failure(served)
    finally:
        served.leave(peer)


def _log_failure(served: _Served) -> None:
    """Called while the handler's exception is handled."""
    name = getattr(served.handler, "__qualname__", repr(served.handler))
    logger.exception("a stream handler failed name=%s protocol=%s", name, served.protocol)


def _is_peers_doing(error: Exception) -> bool:
    if isinstance(error, ExceptionGroup):
        return error.split(_PEERS_DOING)[1] is None
    return isinstance(error, _PEERS_DOING)
