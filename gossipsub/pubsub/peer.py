"""One peer as pubsub sees it: its connections, its two streams, its outbound queue.

The router learns of a peer when our outbound stream to it stands, since only then is the
protocol known and can the hello be sent; what the peer said before waits in its inbound stream.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gossipsub.pubsub.outbound_queue import OutboundQueue
from gossipsub.pubsub.overhead import OverheadLimit
from gossipsub.pubsub.streams import PubsubInbound, PubsubOutbound
from gossipsub.transport.stream import Stream
from gossipsub.wire.rpc import Rpc

if TYPE_CHECKING:
    from gossipsub.crypto.peer_id import PeerId
    from gossipsub.pubsub.driver import PubSub
    from gossipsub.timers import Timer
    from gossipsub.transport.connection import Connection

logger = logging.getLogger("gossipsub.pubsub")

REOPEN_ATTEMPTS = 4
REOPEN_DELAY = 0.1
REOPEN_DELAY_LIMIT = 10.0
STABLE_AFTER = 60.0
"""A stream that lived so long starts the count of attempts anew."""


class PubsubPeer:
    """Keeps at most one inbound and one outbound pubsub stream with a peer."""

    def __init__(self, pubsub: PubSub, peer: PeerId) -> None:
        self.pubsub = pubsub
        self.peer = peer
        self.connections: list[Connection] = []
        self.queue = OutboundQueue(
            max_rpcs=pubsub.config.outbound_queue_rpcs,
            max_bytes=pubsub.config.outbound_queue_bytes,
        )
        self.outbound: PubsubOutbound | None = None
        self.inbound: PubsubInbound | None = None
        self.is_registered = False
        self._told_ips: list[str] = []
        self.signed_record: bytes | None = None
        """Its addresses, signed by it, to be handed on in peer exchange."""
        self._inbound_protocol: str | None = None
        self._may_be_told_anew = False
        """What it announced came by another connection than that of its next RPC."""
        self._speaks_pubsub = False
        self._opening = False
        self._attempts = 0
        self._opened_at = 0.0
        self._retry: Timer | None = None

    # -- connections -----------------------------------------------------------------------

    def connection_opened(self, connection: Connection) -> None:
        self.connections.append(connection)
        self._tell_addresses()

    def connection_closed(self, connection: Connection) -> None:
        self.connections.remove(connection)
        if not self.connections:
            self._stop_retrying()
            self._unregister()
            return
        self._tell_addresses()
        if self._speaks_pubsub:
            self.speaks_pubsub()

    def is_outbound(self) -> bool:
        """We dialled at least one of the connections to the peer."""
        return any(connection.outbound for connection in self.connections)

    def ips(self) -> list[str]:
        """Those of all connections (SCORE-24)."""
        addresses = [connection.remote_address for connection in self.connections]
        return list(dict.fromkeys(address.host for address in addresses if address is not None))

    def _tell_addresses(self) -> None:
        ips = self.ips()
        if self.is_registered and ips != self._told_ips:
            self._told_ips = ips
            self.pubsub.router.set_peer_addresses(self.peer, ips)

    # -- the outbound stream ---------------------------------------------------------------

    def speaks_pubsub(self) -> None:
        """Identify says so, or the peer opened a pubsub stream: open ours unless it stands."""
        self._speaks_pubsub = True
        if self.outbound is None and not self._opening and self._retry is None:
            self._open_outbound()

    def _open_outbound(self) -> None:
        self._retry = None
        connection = next((each for each in self.connections if each.is_open), None)
        if connection is None or self.outbound is not None:
            return
        self._opening = True
        connection.open_stream(self.pubsub.protocols, self._outbound_opened, self._outbound_failed)

    def _outbound_opened(self, stream: Stream) -> PubsubOutbound:
        self._opening = False
        self._opened_at = self.pubsub.timers.now()
        self.outbound = PubsubOutbound(stream, self)
        self._register(stream.protocol or "")
        return self.outbound

    def _outbound_failed(self) -> None:
        self._opening = False
        if self._attempts:
            self._try_again()
        elif self._inbound_protocol is not None and not self.is_registered:
            # It only sends. What it sends counts; what we queue for it is dropped.
            self._register(self._inbound_protocol)

    def outbound_closed(self, handler: PubsubOutbound) -> None:
        """Our stream ended while the connection may live on: open another, ever more slowly."""
        if self.outbound is not handler:
            return
        self.outbound = None
        self._clear_queue()
        if self.pubsub.timers.now() - self._opened_at > STABLE_AFTER:
            self._attempts = 0
        self._try_again()

    def _clear_queue(self) -> None:
        self.queue.clear()
        self.pubsub.publisher.room_came()

    def _try_again(self) -> None:
        if not any(connection.is_open for connection in self.connections):
            return
        self._attempts += 1
        if self._attempts > REOPEN_ATTEMPTS:
            logger.debug("gave up on the pubsub stream peer=%s", self.peer.short())
            self._unregister()
            if self.inbound is not None:
                self.inbound.reset()  # nothing that comes on it could be processed any more
            return
        pause = 0.0
        if self._attempts > 1:
            pause = min(REOPEN_DELAY * 2 ** (self._attempts - 2), REOPEN_DELAY_LIMIT)
        self._retry = self.pubsub.timers.after(pause, self._open_outbound)

    def _stop_retrying(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    # -- the inbound stream ----------------------------------------------------------------

    def inbound_opened(self, stream: Stream) -> PubsubInbound:
        previous, self.inbound = self.inbound, PubsubInbound(stream, self)
        self._inbound_protocol = stream.protocol
        if previous is not None:
            self._stream_is_over(previous, elsewhere=previous.connection is not stream.connection)
            previous.reset()
        self.speaks_pubsub()
        return self.inbound

    def inbound_closed(self, handler: PubsubInbound) -> None:
        self.pubsub.held.forget(handler)
        if self.inbound is handler:
            self.inbound = None
            self._stream_is_over(handler, elsewhere=not handler.connection.is_open)
            if self.outbound is None and not self._opening and self._retry is None:
                self._unregister()  # it only sent, and has stopped

    def _stream_is_over(self, handler: PubsubInbound, *, elsewhere: bool) -> None:
        """What the peer announced on it holds no more (WIRE-21); but where it may go on elsewhere,
        on another connection, that is left to what it says there.

        A peer that opens a stream for each connection, as rust does after simultaneous dials,
        announces its topics on the first alone: go forgets them for good.
        """
        if elsewhere and any(c.is_open for c in self.connections if c is not handler.connection):
            self._may_be_told_anew = True
        else:
            self._forget_announcements()

    def _heed_hello(self, rpc: Rpc) -> None:
        """Where the first RPC of a stream announces anything, it announces all there is."""
        self._may_be_told_anew = False
        if rpc.subscriptions or (rpc.control is not None and rpc.control.extensions is not None):
            self._forget_announcements()

    def _forget_announcements(self) -> None:
        self._may_be_told_anew = False
        if self.is_registered:
            self.pubsub.router.inbound_stream_closed(self.peer, now=self.pubsub.timers.now())

    def must_wait(self) -> bool:
        """Nothing of the peer may be processed yet: the router does not know it, or so many of its
        messages wait for validation that more would be lost."""
        return not self.is_registered or self.pubsub.held.must_wait(self.peer, self.inbound)

    def receive_rpc(self, rpc: Rpc, size: int) -> None:
        if self._may_be_told_anew:
            self._heed_hello(rpc)
        if self.pubsub.overhead is None or self._may_send(self.pubsub.overhead, rpc, size):
            self.pubsub.receive_rpc(self.peer, rpc)

    def _may_send(self, overhead: OverheadLimit, rpc: Rpc, size: int) -> bool:
        if overhead.admits(self.peer, rpc, size, self.pubsub.timers.now()):
            return True
        logger.debug("too much besides messages peer=%s bytes=%s", self.peer.short(), size)
        if self.pubsub.config.overhead_disconnect:
            self.disconnect("it sends too much besides messages")
        return False

    def disconnect(self, reason: str) -> None:
        for connection in self.connections:
            connection.close(reason)

    # -- the router's view -----------------------------------------------------------------

    def cut_off(self) -> None:
        """The router has forgotten the peer, whose connections are about to end."""
        self._unregister()

    def _register(self, protocol: str) -> None:
        if self.pubsub.is_blocked(self.peer):
            return  # the router would not take it, nor hear of it again once it is unblocked
        router, now = self.pubsub.router, self.pubsub.timers.now()
        if self.is_registered:
            router.outbound_stream_reopened(self.peer, protocol=protocol, now=now)
        else:
            self.is_registered = True
            ip = next(iter(self.ips()), None)
            router.peer_connected(
                self.peer, protocol=protocol, outbound=self.is_outbound(), ip=ip, now=now
            )
            self._told_ips = [] if ip is None else [ip]
            self._tell_addresses()
            router.peer_record(self.peer, self.signed_record)
        if self.inbound is not None and self.inbound.held:
            self.inbound.resume()
        self.pubsub.flush()

    def _unregister(self) -> None:
        self._clear_queue()
        if self.is_registered:
            self.is_registered = False
            self.pubsub.router.peer_disconnected(self.peer, now=self.pubsub.timers.now())
