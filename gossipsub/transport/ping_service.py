"""Ping over a host's connections: echo those of peers, measure our own (libp2p ping)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio

from gossipsub.event_loop import exact_clock
from gossipsub.transport.stream import Stream, StreamHandler
from gossipsub.wake import Wake
from gossipsub.wire.errors import GossipSubError, LocalProtocolError, RemoteProtocolError
from gossipsub.wire.ping import PAYLOAD_BYTES, PROTOCOL, Pinger, PingResponder

if TYPE_CHECKING:
    from gossipsub.transport.connection import Connection, HandlerFactory
    from gossipsub.wire.multistream import ProtocolTable

IDLE_TIMEOUT = 60.0
"""Seconds without a ping after which an inbound ping stream is reset."""
MAX_INBOUND = 2
"""Inbound ping streams per connection (ping specification: "SHOULD … accept")."""


class PingFailed(GossipSubError):
    """The peer did not echo: says why."""


class PingService:
    """One outbound ping stream per connection at most, two inbound."""

    def __init__(self) -> None:
        self._outbound: dict[Connection, _Ask] = {}
        self._inbound: dict[Connection, int] = {}

    def serve(self, protocols: ProtocolTable[HandlerFactory]) -> None:
        protocols.add(PROTOCOL, self._accept)

    async def ping(self, connection: Connection, *, timeout: float) -> float:
        """One round trip in seconds. PingFailed when the peer does not echo in time;
        LocalProtocolError while another ping to it is under way."""
        if connection in self._outbound:
            raise LocalProtocolError("a ping to this peer is under way")
        ask = self._outbound[connection] = _Ask()
        try:
            with anyio.fail_after(timeout):
                connection.open_stream([PROTOCOL], ask.start, ask.fail)
                connection.round_trip = await ask.result()
                return connection.round_trip
        except TimeoutError as error:
            raise PingFailed(f"no answer within {timeout} s") from error
        finally:
            ask.finish()
            del self._outbound[connection]

    def _accept(self, stream: Stream) -> StreamHandler:
        open_now = self._inbound.get(stream.connection, 0)
        if open_now >= MAX_INBOUND:
            raise RemoteProtocolError("too many ping streams", fatal_to="stream")
        self._inbound[stream.connection] = open_now + 1
        return _Echo(stream, self)

    def echo_ended(self, connection: Connection) -> None:
        left = self._inbound.get(connection, 0) - 1
        if left > 0:
            self._inbound[connection] = left
        else:
            self._inbound.pop(connection, None)


class _Echo(StreamHandler):
    """Credit returns only for what was echoed: a peer that never reads costs one window."""

    returns_credit_itself = True

    def __init__(self, stream: Stream, service: PingService) -> None:
        self._stream = stream
        self._service = service
        self._responder = PingResponder()
        self._counts = True
        stream.set_deadline(IDLE_TIMEOUT, "idle ping stream")

    def received(self, data: bytes) -> None:
        self._stream.set_deadline(IDLE_TIMEOUT, "idle ping stream")
        self._responder.receive_data(data)
        self._stream.connection.wake_writer(self._stream)

    def ended(self) -> None:
        self._responder.receive_eof()
        self._stream.close_write()
        self._make_room()

    def produce(self, room: int) -> bytes:
        echo = self._responder.data_to_send()
        if echo:
            self._stream.consumed(len(echo))
        return echo

    def closed(self) -> None:
        self._make_room()

    def _make_room(self) -> None:
        """The peer has closed this stream, or it is gone: another may take its place."""
        if self._counts:
            self._counts = False
            self._service.echo_ended(self._stream.connection)


class _Ask(StreamHandler):
    """One ping of ours."""

    def __init__(self) -> None:
        self._pinger = Pinger()
        self._wake = Wake()
        self._stream: Stream | None = None
        self._now = exact_clock()
        self._sent_at = 0.0
        self._seconds: float | None = None
        self._failure: str | None = None
        self._is_over = False

    def start(self, stream: Stream) -> StreamHandler:
        if self._is_over:
            raise RemoteProtocolError("ping: agreed on too late", fatal_to="stream")
        self._stream = stream
        self._pinger.start(os.urandom(PAYLOAD_BYTES))
        self._sent_at = self._now()
        stream.write(self._pinger.data_to_send())
        return self

    def fail(self, reason: str = "the peer does not serve ping") -> None:
        self._failure = self._failure or reason
        self._wake.set()

    async def result(self) -> float:
        while self._seconds is None:
            if self._failure is not None:
                raise PingFailed(self._failure)
            await self._wake.wait()
        return self._seconds

    def finish(self) -> None:
        self._is_over = True
        if self._stream is not None and self._stream.is_open:
            self._stream.close_write()

    def received(self, data: bytes) -> None:
        self._pinger.receive_data(data)
        try:
            echoed = self._pinger.next_event()
        except RemoteProtocolError as error:
            self.fail(str(error))
            raise
        if echoed is not None:
            self._seconds = self._now() - self._sent_at
            self._wake.set()

    def ended(self) -> None:
        if self._stream is not None:
            self._stream.close_write()
        self.fail("the peer closed the stream")

    def closed(self) -> None:
        self.fail("the stream ended")
