"""Dialling peers that others named in peer exchange, that were found by discovery, or that are
known from another day: a few at a time, and none that just failed."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import partial

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from gossipsub.config import HostConfig
from gossipsub.crypto.peer_id import PeerId
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.event_loop import loop_clock
from gossipsub.router.effects import Connect
from gossipsub.transport.address import Address, AddressError
from gossipsub.transport.connections import Connections, DialError
from gossipsub.transport.dial_backoff import DialBackoff
from gossipsub.transport.dialer import Dialer
from gossipsub.transport.peerstore import Peerstore, named
from gossipsub.transport.reachability import dialable
from gossipsub.wire.errors import RemoteProtocolError

logger = logging.getLogger("gossipsub.host")

FOUND_ADDRESSES = 16
"""Addresses kept of one peer that discovery found."""


class Dialing:
    """Works in `tasks`, which the host sets before anything is dialled.

    At most `exchange_queue` peers wait, and `exchange_dials` are dialled at one time; a peer named
    beyond is dropped and counted. One that could not be reached, or whose connection did not last,
    is left alone for a while, whoever names it.
    """

    tasks: TaskGroup

    def __init__(
        self,
        dialer: Dialer,
        connections: Connections,
        *,
        peerstore: Peerstore,
        config: HostConfig,
        rng: random.Random,
    ) -> None:
        self.dropped = 0
        """Peers named in exchange, or found, when the queue was full."""
        self._dialer = dialer
        self._connections = connections
        self._peerstore = peerstore
        self._config = config
        self._now = loop_clock()
        self._backoff = DialBackoff(
            delay=config.redial_delay, limit=config.redial_delay_limit, rng=rng
        )
        self._connected: dict[bytes, float] = {}
        """When each connected peer's first connection came to be."""
        self._waiting: dict[bytes, Callable[[], list[Address]]] = {}
        """By peer: what tells its addresses when its turn has come."""
        self._found: dict[bytes, dict[Address, None]] = {}
        """Addresses of those among them that discovery found."""
        self._dialling: dict[bytes, None] = {}
        self._workers = 0

    def connection_opened(self, peer: bytes) -> None:
        """A peer is connected, whoever dialled."""
        self._connected.setdefault(peer, self._now())

    def peer_disconnected(self, peer: bytes) -> None:
        """A peer's last connection ended: for those that hang up at once there is a pause."""
        now = self._now()
        if now - self._connected.pop(peer, now) > self._config.redial_delay_limit:
            self._backoff.forget(peer)
        self._backoff.failed(peer, now=now)

    def connect_wanted(self, wanted: Connect) -> None:
        """The router wants a peer that was named to it in peer exchange. Only a record says where
        it is; without one (rust sends none) it is left."""
        record = wanted.signed_peer_record
        if record is None or wanted.told_by is None:
            return
        source = self._connections.get(wanted.told_by)
        told_over = None if source is None else source.remote_address
        peer = PeerId(wanted.peer)
        self._line_up(peer, partial(self._addresses, peer, record, told_over))

    def connect_known(self, peer: PeerId) -> None:
        """Dial a peer where it was reached before."""
        self._line_up(peer, lambda: self._peerstore.addresses_of(peer, now=time.time()))

    def connect_found(self, address: Address) -> None:
        """Discovery found a peer: dial it, unless it is connected. It waits with those named in
        peer exchange. AddressError where the address does not end in /p2p/PEER."""
        peer = address.peer
        if peer is None:
            raise AddressError(f"an address found ends in /p2p/PEER: {address}")
        if peer in self._found:
            if len(self._found[peer]) < FOUND_ADDRESSES:
                self._found[peer][address] = None
        elif self._line_up(peer, lambda: list(self._found.pop(peer))):
            self._found[peer] = {address: None}

    def _line_up(self, peer: bytes, addresses: Callable[[], list[Address]]) -> bool:
        if peer in self._dialling or peer in self._waiting or self._connections.get(peer):
            return False
        if not self._backoff.allows(peer, now=self._now()):
            return False
        if len(self._waiting) >= self._config.exchange_queue:
            self.dropped += 1
            return False
        self._waiting[peer] = addresses
        if self._workers < self._config.exchange_dials:
            self._workers += 1
            self.tasks.start_soon(self._dial_waiting)
        return True

    async def _dial_waiting(self) -> None:
        """Dial those that wait, one after another, until none is left."""
        try:
            while self._waiting:
                peer = next(iter(self._waiting))
                addresses = self._waiting.pop(peer)()
                self._dialling[peer] = None
                try:
                    await anyio.lowlevel.checkpoint()  # reading a record took its time
                    if addresses:
                        await self._dial(peer, addresses)
                finally:
                    del self._dialling[peer]
        finally:
            self._workers -= 1

    def _addresses(self, peer: PeerId, record: bytes, told_over: Address | None) -> list[Address]:
        """Where to dial a peer named in exchange; nowhere unless it signed the record itself."""
        try:
            opened = PeerRecord.open(record, peer=peer)
        except RemoteProtocolError as error:
            logger.debug("bad peer record in peer exchange error=%s", error)
            return []
        private = self._config.exchange_private_dials
        listed = dialable(opened.addresses, told_over=told_over, private=private)
        now = time.time()
        self._peerstore.certify(opened, listed, now=now)
        # Others too: who repeats an old record must not keep the peer away.
        known = self._peerstore.addresses_of(peer, now=now)
        return [*named(listed, peer), *known]

    async def _dial(self, peer: bytes, addresses: list[Address]) -> None:
        with anyio.move_on_after(self._config.exchange_dial_timeout):
            try:
                await self._dialer.dial(addresses)
            except DialError as error:
                logger.debug("dial failed error=%s", error)
            else:
                return
        self._backoff.failed(peer, now=self._now())
