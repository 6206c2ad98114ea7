"""One upgraded connection: a reader and a writer task around Noise, yamux and the streams.

The reader runs everything a chunk causes in one synchronous chain: Noise, yamux, the streams'
handlers, the router. The writer gathers what all streams want to say into as few Noise frames
and socket writes as possible.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVarTuple

import anyio
import anyio.lowlevel

from gossipsub.config import HostConfig
from gossipsub.crypto.keys import PublicKey
from gossipsub.crypto.noise import DataReceived, NoiseConnection
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address
from gossipsub.transport.socket import AsyncioSocket
from gossipsub.transport.stream import (
    NegotiatingInbound,
    NegotiatingOutbound,
    Stream,
    StreamHandler,
)
from gossipsub.wake import Wake
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.multistream import ProtocolTable
from gossipsub.wire.yamux import (
    GoneAway,
    PingAnswered,
    StreamData,
    StreamEnded,
    StreamOpened,
    StreamReset,
    StreamWritable,
    YamuxSession,
)

if TYPE_CHECKING:
    from anyio.abc import ByteStream

    from gossipsub.timers import Timer, Timers

logger = logging.getLogger("gossipsub.connection")

READ_BYTES = 65536
WRITE_BYTES = 131072
"""Handed to the kernel under one deadline."""
STREAM_BYTES = 130_000
"""What one stream adds to a write: with it two Noise frames are full, and one write."""
HandlerFactory = Callable[[Stream], StreamHandler]
Arguments = TypeVarTuple("Arguments")


class Connection:
    """A peer's authenticated connection. `run()` serves it until it ends."""

    def __init__(
        self,
        socket: ByteStream,
        noise: NoiseConnection,
        session: YamuxSession,
        *,
        public_key: PublicKey,
        outbound: bool,
        remote_address: Address | None,
        local_address: Address | None,
        protocols: ProtocolTable[HandlerFactory],
        config: HostConfig,
        timers: Timers,
        flush: Callable[[], None],
    ) -> None:
        self.peer: PeerId = public_key.peer_id()
        self.public_key = public_key
        self.outbound = outbound
        self.remote_address = remote_address
        self.local_address = local_address
        self.opened_at = timers.now()
        self.round_trip: float | None = None
        """Seconds, as last measured by a ping; None before the first."""
        self.protocols = protocols
        self.config = config
        self.timers = timers
        self.session = session
        self.streams: dict[int, Stream] = {}
        self.end_reason: str | None = None
        self.ended = anyio.Event()
        self.bytes_in = 0
        """Read from the socket since the handshake, encryption included."""
        self.bytes_out = 0
        self._socket = socket
        self._noise = noise
        self._flush = flush
        self._writable: dict[Stream, None] = {}
        self._wake = Wake()
        self._scope: anyio.CancelScope | None = None
        self._closing = False
        self._aborted = False
        self._goodbye_said = False
        self._receipts: Timer | None = None
        self._receipts_overdue = False
        self._keepalive: Timer | None = None
        self._ping_value = 0
        self._pinged_at = 0.0

    @property
    def is_open(self) -> bool:
        """Neither ended nor about to end."""
        return not self._closing

    # -- streams ---------------------------------------------------------------------------

    def open_stream(
        self,
        protocols: Sequence[str],
        factory: HandlerFactory,
        failed: Callable[[], None],
    ) -> Stream | None:
        """Open a stream and agree on the first protocol the peer has; None where there can be no
        stream now.

        `failed` is called once if that does not come about; otherwise `factory` makes the handler.
        """
        try:
            if self._closing:
                raise LocalProtocolError("the connection is closing")
            stream_id = self.session.open_stream()
        except LocalProtocolError:
            failed()
            return None
        stream = Stream(self, stream_id, opened_by_us=True)
        self.streams[stream_id] = stream
        stream.handler = NegotiatingOutbound(stream, protocols, factory, failed)
        return stream

    def feed(self, stream: Stream, data: bytes) -> None:
        """Hand received bytes to the stream's handler, and credit back where it is automatic."""
        handler = stream.handler
        handler.received(data)
        if not handler.returns_credit_itself:
            stream.consumed(len(data))

    def wake_writer(self, stream: Stream | None = None) -> None:
        if stream is not None:
            self._writable[stream] = None
        self._wake.set()

    def reset_stream(self, stream: Stream, error_code: int = 0) -> None:
        if stream.is_open:
            self.session.reset(stream.stream_id, error_code)
            self._drop_stream(stream)
            self.wake_writer()

    def stream_deadline_passed(self, stream: Stream, reason: str) -> None:
        if stream.is_open:
            logger.debug("stream timed out peer=%s reason=%s", self.peer.short(), reason)
            self.reset_stream(stream)
            self._flush()

    def resume_stream(self, stream: Stream, act: Callable[[Stream], None]) -> None:
        """Work for a stream outside this connection's reader: what goes wrong ends as much."""
        try:
            self._on_stream(stream.stream_id, act)
        except RemoteProtocolError as error:
            self._broken(error)
        except Exception:
            self._failed()
        self._flush()
        self.wake_writer()  # credit may have been granted

    def _drop_stream(self, stream: Stream) -> None:
        self.streams.pop(stream.stream_id, None)
        self._writable.pop(stream, None)
        stream.mark_gone()
        stream.handler.closed()

    # -- life ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read and write until either side ends; never raises for what the peer did."""
        try:
            async with anyio.create_task_group() as tasks:
                self._scope = tasks.cancel_scope
                if self._aborted:
                    tasks.cancel_scope.cancel()
                self._expect_life()
                tasks.start_soon(self._isolated, self._read)
                tasks.start_soon(self._isolated, self._write)
        finally:
            self._tear_down()
            self.ended.set()
            with anyio.move_on_after(self.config.close_timeout, shield=True):
                await anyio.aclose_forcefully(self._socket)

    def close(self, reason: str = "closed by us") -> None:
        """Send what is queued, wait until the peer has read it, say goodbye (GoAway) and end,
        after `close_timeout` at the latest. Returns at once.

        A GoAway is no orderly end: go and rust throw away what their application has not read
        of a stream. But go, rust and we end our side of a pubsub stream when we have read it to
        its end. A peer that does not costs half of `close_timeout`.
        """
        if not self._closing:
            self._closing = True
            self._expect_nothing()
            self.end_reason = self.end_reason or reason
            self.timers.after(self.config.close_timeout, lambda: self.abort(reason))
            for stream in self.streams.values():
                if stream.handler.ends_with_receipt:
                    stream.close_write()
            self.wake_writer()

    def abort(self, reason: str) -> None:
        """End now, without sending what is queued."""
        self.end_reason = self.end_reason or reason
        self._closing = self._aborted = True
        if self._scope is not None:
            self._scope.cancel()

    async def _isolated(self, serve: Callable[[], Awaitable[None]]) -> None:
        """Whatever goes wrong in serving this peer ends this connection and nothing else."""
        try:
            await serve()
        except TimeoutError:
            self.abort("the peer does not take what we write")
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            self.abort("the peer closed the connection")
        except RemoteProtocolError as error:
            self._broken(error)
        except Exception:
            self._failed()
        else:
            self.abort("closed")

    def _broken(self, error: RemoteProtocolError) -> None:
        logger.debug("protocol error peer=%s error=%s", self.peer.short(), error)
        self._goodbye_said = True  # yamux has queued the GoAway that tells the error
        self.close(str(error))

    def _failed(self) -> None:
        """Called while an exception is handled that nobody foresaw."""
        logger.exception("a bug ended the connection peer=%s", self.peer.short())
        self.abort("internal error")

    def _tear_down(self) -> None:
        self._closing = True
        self._expect_nothing()
        for stream in list(self.streams.values()):
            self._drop_stream(stream)

    # -- reading ---------------------------------------------------------------------------

    async def _read(self) -> None:
        self._process()
        if isinstance(self._socket, AsyncioSocket):
            await self._socket.pass_on(self._receive)
        while True:
            self._receive(await self._socket.receive(READ_BYTES))

    def _receive(self, chunk: bytes | memoryview) -> None:
        if not self._aborted:  # else the task that reads is cancelled, and has not run yet
            self.bytes_in += len(chunk)
            self._noise.receive_data(chunk)
            self._process()

    def _process(self) -> None:
        """Everything that what was received causes, down to the router's effects."""
        noise, session = self._noise, self.session
        try:
            while True:
                while (event := session.next_event()) is not None:
                    if isinstance(event, StreamData):
                        self._on_stream(event.stream_id, self.feed, event.data)
                    else:
                        self._handle(event)
                received = noise.next_event()
                if received is None:
                    return
                if isinstance(received, DataReceived):
                    session.receive_data(received.data)
        finally:
            self._flush()
            # A stream with more to say has woken the writer.
            if self._closing or session.has_output:
                self.wake_writer()

    def _handle(self, event: object) -> None:
        match event:
            case StreamOpened(stream_id=stream_id):
                stream = Stream(self, stream_id, opened_by_us=False)
                self.streams[stream_id] = stream
                stream.handler = NegotiatingInbound(stream)
            case StreamEnded(stream_id=stream_id):
                self._on_stream(stream_id, self._stream_ended)
            case StreamReset(stream_id=stream_id):
                if stream_id in self.streams:
                    self._drop_stream(self.streams[stream_id])
            case StreamWritable(stream_id=stream_id):
                if stream_id in self.streams:
                    self.wake_writer(self.streams[stream_id])
            case PingAnswered():
                self.round_trip = self.timers.now() - self._pinged_at
                self._expect_life()
            case GoneAway(code=code):
                self.abort(f"the peer said goodbye: code {code:#x}")

    def _on_stream(
        self, stream_id: int, act: Callable[[Stream, *Arguments], None], *arguments: *Arguments
    ) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        try:
            act(stream, *arguments)
        except RemoteProtocolError as error:
            if error.fatal_to != "stream":
                raise
            logger.debug("stream reset peer=%s error=%s", self.peer.short(), error)
            self.reset_stream(stream)

    def _stream_ended(self, stream: Stream) -> None:
        stream.read_closed = True
        stream.handler.ended()
        self.drop_if_done(stream)

    def drop_if_done(self, stream: Stream) -> None:
        """Both directions are closed: nothing of the stream is left to keep."""
        if stream.is_open and stream.read_closed and stream.write_closed:
            self._drop_stream(stream)
            self._flush()

    def _expect_life(self) -> None:
        """Ping after an interval; the connection ends if nothing answers in time."""
        self._expect_nothing()
        if not self._closing:
            self._keepalive = self.timers.after(self.config.keepalive_interval, self._ping)

    def _expect_nothing(self) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None

    def _ping(self) -> None:
        self._ping_value = (self._ping_value + 1) & 0xFFFFFFFF
        self._pinged_at = self.timers.now()
        self.session.ping(self._ping_value)
        self.wake_writer()
        self._keepalive = self.timers.after(
            self.config.keepalive_timeout, lambda: self.abort("the peer answers no ping")
        )

    # -- writing ---------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            self._gather()
            data = self._noise.data_to_send()
            if data:
                await self._send(data)
                if self._writable:  # others must have their turns, too
                    await anyio.lowlevel.checkpoint()
            elif self._goodbye_said and self._has_said_all():
                await anyio.lowlevel.checkpoint()  # a reset may overtake what was not read yet
                return
            else:
                await self._wake.wait()

    def _has_said_all(self) -> bool:
        """Nothing is left to send, what waits for a stream's credit included. After an error in
        yamux no more credit comes, so that does not count."""
        if self._writable:
            return False
        return self._goodbye_said or not any(s.has_unsent for s in self.streams.values())

    def _has_been_read(self) -> bool:
        """The peer has read what we said before, or took too long to tell."""
        if self._receipts_overdue or not any(s.awaits_receipt for s in self.streams.values()):
            return True
        if self._receipts is None:
            seconds = self.config.close_timeout / 2
            self._receipts = self.timers.after(seconds, self._wait_no_longer)
        return False

    def _wait_no_longer(self) -> None:
        self._receipts_overdue = True
        self.wake_writer()

    async def _send(self, data: bytes) -> None:
        socket = self._socket
        for start in range(0, len(data), WRITE_BYTES):
            piece = data if len(data) <= WRITE_BYTES else data[start : start + WRITE_BYTES]
            if isinstance(socket, AsyncioSocket):
                if not socket.write(piece):
                    with anyio.fail_after(self.config.write_timeout):
                        await socket.written()
            else:
                with anyio.fail_after(self.config.write_timeout):
                    await socket.send(piece)
            self.bytes_out += len(piece)

    def _gather(self) -> None:
        """Pull some from every stream that has something to say, and seal it."""
        streams = list(self._writable)
        self._writable.clear()
        for stream in streams:
            stream.pump(STREAM_BYTES)
        ready = self._closing and not self._goodbye_said and self._has_said_all()
        if ready and self._has_been_read():
            self._goodbye_said = True
            self.session.go_away(0)
        plaintext = self.session.data_to_send()
        if plaintext:
            self._noise.send_data(plaintext)
