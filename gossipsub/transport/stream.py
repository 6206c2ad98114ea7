"""One yamux stream as a protocol's handler sees it.

Everything here is synchronous: the connection's reader feeds handlers, its writer pulls what
they have to say into the stream's window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.multistream import MultistreamDialer, MultistreamListener

if TYPE_CHECKING:
    from gossipsub.timers import Timer
    from gossipsub.transport.connection import Connection


class StreamHandler:
    """What a protocol does with its stream. No method may block; RemoteProtocolError may be
    raised by `received` and `ended`, and ends the stream, or what the error names."""

    returns_credit_itself = False
    """True: the handler calls `stream.consumed` when it has worked bytes off, not on arrival."""
    ends_with_receipt = False
    """True: when the connection closes, the stream ends first, and the goodbye waits until the
    peer ends its side too, as it does when it has read all."""
    waits_patiently = False
    """True: the stream may wait for ever for the peer's credit, and for the peer's end after ours;
    whoever holds it has deadlines."""

    def received(self, data: bytes) -> None: ...

    def ended(self) -> None:
        """The peer will send no more (FIN)."""

    def closed(self) -> None:
        """The stream is gone, in whatever way. Called exactly once."""

    def produce(self, room: int) -> bytes:
        """More to send, about `room` bytes, or nothing. Called when all earlier bytes left."""
        return b""


class Stream:
    """A stream of one connection: bytes waiting to leave, and the handler of those that arrive."""

    __slots__ = (
        "_close_wanted",
        "_deadline",
        "_offset",
        "_pending",
        "_stall",
        "connection",
        "handler",
        "is_open",
        "opened_by_us",
        "protocol",
        "read_closed",
        "stream_id",
        "write_closed",
    )

    def __init__(self, connection: Connection, stream_id: int, *, opened_by_us: bool) -> None:
        self.connection = connection
        self.stream_id = stream_id
        self.opened_by_us = opened_by_us
        self.protocol: str | None = None
        self.handler: StreamHandler = StreamHandler()
        self.is_open = True
        self.read_closed = False
        self.write_closed = False
        self._close_wanted = False
        self._pending: bytes = b""
        self._offset = 0
        self._deadline: Timer | None = None
        self._stall: Timer | None = None

    def write(self, data: bytes) -> None:
        """Queue bytes; meant for small exchanges. Bulk goes through `StreamHandler.produce`."""
        if not self.is_open or self._close_wanted:
            return
        self._pending = self._pending[self._offset :] + data
        self._offset = 0
        self.connection.wake_writer(self)

    def close_write(self) -> None:
        """Send FIN after what is queued."""
        self._close_wanted = True
        self.connection.wake_writer(self)

    def reset(self, error_code: int = 0) -> None:
        """End both directions now. The handler's `closed` is called."""
        self.connection.reset_stream(self, error_code)

    def consumed(self, size: int) -> None:
        """The handler has worked off so many bytes: the peer may send as many more."""
        if self.is_open:
            self.connection.session.consumed(self.stream_id, size)

    def set_deadline(self, seconds: float, reason: str) -> None:
        """Reset the stream unless `clear_deadline` comes first."""
        self.clear_deadline()
        self._deadline = self._reset_after(seconds, reason)

    def clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _reset_after(self, seconds: float, reason: str) -> Timer:
        return self.connection.timers.after(
            seconds, lambda: self.connection.stream_deadline_passed(self, reason)
        )

    def mark_gone(self) -> None:
        """The connection has dropped the stream: nothing of it may act any more."""
        self.is_open = False
        self.clear_deadline()
        self._credit_came()

    def pump(self, room: int) -> None:
        """Move what waits into the yamux window, at most `room` bytes: what is there can neither
        be overtaken nor dropped any more. Called by the connection's writer, again if more waits.
        """
        session = self.connection.session
        while self.is_open and not self.write_closed:
            if room <= 0:
                self.connection.wake_writer(self)
                return
            window = min(session.send_window(self.stream_id), room)
            if self._offset >= len(self._pending):
                self._pending = self.handler.produce(max(window, 1))
                self._offset = 0
                if not self._pending:
                    break
            if window <= 0:
                self._wait_for_credit()
                return
            piece = self._pending[self._offset : self._offset + window]
            session.send_data(self.stream_id, piece)
            self._offset += len(piece)
            room -= len(piece)
            self._credit_came()
        if self._close_wanted and self.is_open and not self.write_closed:
            self.write_closed = True
            session.close_write(self.stream_id)
            self._expect_end()

    @property
    def has_unsent(self) -> bool:
        """Whether bytes wait for the peer's credit."""
        return self.is_open and self._offset < len(self._pending)

    @property
    def awaits_receipt(self) -> bool:
        """Whether the peer may still be reading what we sent before our FIN, and will tell."""
        return self.handler.ends_with_receipt and self.write_closed and not self.read_closed

    def _wait_for_credit(self) -> None:
        if self._stall is None and not self.handler.waits_patiently:
            seconds = self.connection.config.stalled_stream_timeout
            self._stall = self._reset_after(seconds, "the peer grants no credit")

    def _expect_end(self) -> None:
        """We are done; a peer that never closes its side must not keep the stream."""
        if self.read_closed:
            self.connection.drop_if_done(self)
        elif self._stall is None and not self.handler.waits_patiently:
            seconds = self.connection.config.stalled_stream_timeout
            self._stall = self._reset_after(seconds, "the peer does not close its side")

    def _credit_came(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


class NegotiatingInbound(StreamHandler):
    """The first handler of a stream a peer opened: agrees on a protocol, then steps aside."""

    returns_credit_itself = True

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._listener = MultistreamListener(stream.connection.protocols.speaks)
        stream.write(self._listener.data_to_send())
        stream.set_deadline(stream.connection.config.negotiation_timeout, "negotiation")

    def received(self, data: bytes) -> None:
        stream = self._stream
        self._listener.receive_data(data)
        try:
            event = self._listener.next_event()
        finally:
            stream.write(self._listener.data_to_send())
        if event is None:
            stream.consumed(len(data))
            return
        factory = stream.connection.protocols.find(event.protocol)
        if factory is None:
            raise RemoteProtocolError(f"no longer served: {event.protocol}", fatal_to="stream")
        _hand_over(stream, event.protocol, factory, data, self._listener.surplus())

    def ended(self) -> None:
        raise RemoteProtocolError("stream ended during negotiation", fatal_to="stream")


class NegotiatingOutbound(StreamHandler):
    """The first handler of a stream we opened: proposes our protocols, then steps aside."""

    returns_credit_itself = True

    def __init__(
        self,
        stream: Stream,
        protocols: Sequence[str],
        factory: Callable[[Stream], StreamHandler],
        failed: Callable[[], None],
    ) -> None:
        if not protocols:
            raise LocalProtocolError("no protocol to propose")
        self._stream = stream
        self._factory = factory
        self._failed = failed
        self._dialer = MultistreamDialer(protocols)
        stream.write(self._dialer.data_to_send())
        stream.set_deadline(stream.connection.config.negotiation_timeout, "negotiation")

    @property
    def is_refused(self) -> bool:
        """Whether the peer speaks none of the protocols, and said so."""
        return self._dialer.is_refused

    def received(self, data: bytes) -> None:
        stream = self._stream
        self._dialer.receive_data(data)
        event = self._dialer.next_event()
        stream.write(self._dialer.data_to_send())
        if event is None:
            stream.consumed(len(data))
            return
        _hand_over(stream, event.protocol, self._factory, data, self._dialer.surplus())
        stream.connection.wake_writer(stream)

    def ended(self) -> None:
        raise RemoteProtocolError("stream ended during negotiation", fatal_to="stream")

    def closed(self) -> None:
        self._failed()


def _hand_over(
    stream: Stream,
    protocol: str,
    factory: Callable[[Stream], StreamHandler],
    data: bytes,
    surplus: bytes,
) -> None:
    """The protocol is agreed on. Of `data`, the last received, the negotiation's own bytes are
    worked off; the surplus belongs to the protocol's handler."""
    stream.clear_deadline()
    stream.protocol = protocol
    stream.handler = factory(stream)
    stream.consumed(len(data) - len(surplus))
    if surplus:
        stream.connection.feed(stream, surplus)
