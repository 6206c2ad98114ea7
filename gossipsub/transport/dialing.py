"""Dialling without being asked by the application each time: bootstrap peers, direct peers, and
peers that others named in peer exchange."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable
from functools import partial

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from gossipsub.config import HostConfig
from gossipsub.crypto.peer_id import PeerId
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.router.effects import Connect
from gossipsub.transport.address import Address, AddressError
from gossipsub.transport.connections import Connections, DialError
from gossipsub.transport.reachability import dialable
from gossipsub.wire.errors import RemoteProtocolError

logger = logging.getLogger("gossipsub.host")

FOUND_ADDRESSES = 16
"""Addresses kept of one peer that discovery found."""


class Dialing:
    """Works in `tasks`, which the host sets before anything is dialled.

    At most `exchange_queue` peers out of peer exchange or discovery wait, and `exchange_dials` are
    dialled at one time; a peer named beyond is dropped and counted. Direct peers do not wait with
    them.
    """

    tasks: TaskGroup

    def __init__(self, connections: Connections, *, config: HostConfig, rng: random.Random) -> None:
        self.dropped = 0
        """Peers named in exchange, or found, when the queue was full."""
        self._connections = connections
        self._config = config
        self._rng = rng
        self._direct: dict[bytes, dict[Address, None]] = {}
        self._waiting: dict[bytes, Callable[[], list[Address]]] = {}
        """By peer: what tells its addresses when its turn has come."""
        self._found: dict[bytes, dict[Address, None]] = {}
        """Addresses of those among them that discovery found."""
        self._dialling: dict[bytes, None] = {}
        self._workers = 0

    def add_direct(self, addresses: Iterable[Address]) -> None:
        """Know where direct peers are; each address names its peer."""
        for address in addresses:
            if address.peer is not None:
                self._direct.setdefault(address.peer, {})[address] = None

    def remove_direct(self, peer: bytes) -> None:
        self._direct.pop(peer, None)

    def connect_wanted(self, wanted: Connect) -> None:
        """The router wants a peer: a direct one, or one named to it in peer exchange. Of the
        latter only a record says where they are; without one (rust sends none) they are left."""
        peer, record = wanted.peer, wanted.signed_peer_record
        if peer in self._dialling or peer in self._waiting:
            return
        if wanted.told_by is None:
            self.tasks.start_soon(self._dial_direct, peer)
        elif record is not None:
            source = self._connections.get(wanted.told_by)
            told_over = None if source is None else source.remote_address
            self._line_up(peer, partial(self._addresses, PeerId(peer), record, told_over))

    def connect_found(self, address: Address) -> None:
        """Discovery found a peer: dial it, unless it is connected. It waits with those named in
        peer exchange. AddressError where the address does not end in /p2p/PEER."""
        peer = address.peer
        if peer is None:
            raise AddressError(f"an address found ends in /p2p/PEER: {address}")
        if peer in self._found:
            if len(self._found[peer]) < FOUND_ADDRESSES:
                self._found[peer][address] = None
        elif peer in self._dialling or peer in self._waiting or self._connections.get(peer):
            return
        elif self._line_up(peer, lambda: list(self._found.pop(peer))):
            self._found[peer] = {address: None}

    def _line_up(self, peer: bytes, addresses: Callable[[], list[Address]]) -> bool:
        if len(self._waiting) >= self._config.exchange_queue:
            self.dropped += 1
            return False
        self._waiting[peer] = addresses
        if self._workers < self._config.exchange_dials:
            self._workers += 1
            self.tasks.start_soon(self._dial_waiting)
        return True

    async def keep_connected(self, address: Address) -> None:
        """Dial a peer, and again whenever it is lost, ever more slowly. Runs until cancelled."""
        delay = self._config.reconnect_delay
        while True:
            await self._try_to_dial(address)
            connection = self._connections.get(address.peer or b"")
            if connection is not None:
                since = anyio.current_time()
                await connection.ended.wait()
                # A peer that accepts and hangs up at once is dialled as slowly as one not there.
                if anyio.current_time() - since > self._config.reconnect_delay_limit:
                    delay = self._config.reconnect_delay
            await anyio.sleep(delay * self._rng.uniform(0.8, 1.2))
            delay = min(delay * 2, self._config.reconnect_delay_limit)

    async def _dial_direct(self, peer: bytes) -> None:
        if peer in self._dialling:
            return
        self._dialling[peer] = None
        try:
            await self._try_each(tuple(self._direct.get(peer, ())))
        finally:
            del self._dialling[peer]

    async def _dial_waiting(self) -> None:
        """Dial those that wait, one after another, until none is left."""
        try:
            while self._waiting:
                peer = next(iter(self._waiting))
                addresses = self._waiting.pop(peer)()
                self._dialling[peer] = None
                try:
                    with anyio.move_on_after(self._config.exchange_dial_timeout):
                        await self._try_each(addresses)
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
        found = dialable(opened.addresses, told_over=told_over, private=private)
        return [each.with_peer(opened.peer_id) for each in found if each.peer in (None, peer)]

    async def _try_each(self, addresses: Iterable[Address]) -> None:
        await anyio.lowlevel.checkpoint()  # others have their turn, whatever came in the records
        for address in addresses:
            if await self._try_to_dial(address):
                return

    async def _try_to_dial(self, address: Address) -> bool:
        try:
            await self._connections.dial(address)
        except DialError as error:
            logger.debug("dial failed error=%s", error)
            return False
        return True
