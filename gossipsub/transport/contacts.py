"""Whom this host can reach and does: where peers are, and all that dials them, put together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from anyio.abc import TaskGroup

from gossipsub.crypto.peer_id import PeerId
from gossipsub.router.effects import Connect
from gossipsub.settings import HostSettings
from gossipsub.transport.address import Address
from gossipsub.transport.connection import Connection
from gossipsub.transport.connections import Connections
from gossipsub.transport.dialer import Dialer
from gossipsub.transport.dialing import Dialing
from gossipsub.transport.identify_service import PeerDetails
from gossipsub.transport.keeping import Keeping
from gossipsub.transport.peerstore import Peerstore
from gossipsub.transport.protection import BOOTSTRAP

if TYPE_CHECKING:
    from gossipsub.transport.peerstore_file import PeerstoreFile

MOST_MET_AGAIN = 16
"""Peers known from another day that are dialled at the start."""


class Contacts:
    """Opened before the host's tasks run, started with them."""

    def __init__(self, connections: Connections, settings: HostSettings) -> None:
        config, path = settings.config, settings.peerstore
        self.peerstore = Peerstore(max_peers=config.max_known_peers, lifetime=config.peer_lifetime)
        self.dialer = Dialer(connections, resolver=settings.resolver, config=config)
        self.dialing = Dialing(
            self.dialer, connections, peerstore=self.peerstore, config=config, rng=settings.rng
        )
        self.keeping = Keeping(
            self.dialer,
            connections,
            me=settings.me,
            known_addresses=self.addresses_of,
            protect=partial(connections.admission.protection.protect, tag=BOOTSTRAP),
            config=config,
            rng=settings.rng,
        )
        self.keeping.add_direct(settings.direct)
        self._bootstrap = settings.bootstrap
        self._me = settings.me
        self._config = config
        self._interfaces = settings.mdns
        self._file: PeerstoreFile | None = None
        if path is not None:
            from gossipsub.transport.peerstore_file import PeerstoreFile

            self._file = PeerstoreFile(path, self.peerstore, clock=time.time)

    async def open(self, stack: AsyncExitStack) -> None:
        """Read the peerstore's file; it is written when `stack` is left. LocalProtocolError where
        it is none, OSError where it cannot be read."""
        if self._file is not None:
            await self._file.load()
            stack.push_async_callback(self._file.save)

    def start(self, tasks: TaskGroup, listening: Sequence[Address]) -> None:
        """Dial bootstrap peers and those met another day, and look for others nearby."""
        self.dialing.tasks = self.keeping.tasks = tasks
        if self._file is not None:
            tasks.start_soon(self._file.run)
        self.keeping.keep(self._bootstrap)
        for peer in self.peerstore.recently_reached(MOST_MET_AGAIN, now=time.time()):
            self.dialing.connect_known(peer)
        if self._interfaces is not None:
            from gossipsub.transport.mdns import LocalDiscovery

            nearby = LocalDiscovery(
                self.dialing,
                me=self._me,
                listening=listening,
                interfaces=self._interfaces,
                interval=self._config.discovery_interval,
            )
            tasks.start_soon(nearby.run)

    def addresses_of(self, peer: PeerId) -> list[Address]:
        """Where a peer is, as far as it is known, in the order to try it."""
        return self.peerstore.addresses_of(peer, now=time.time())

    def want(self, wanted: Connect) -> None:
        """The router wants a peer: a direct one, or one named to it in peer exchange."""
        if wanted.told_by is None:
            self.keeping.want(wanted.peer)
        else:
            self.dialing.connect_wanted(wanted)

    # What becomes of connections

    def connection_opened(self, connection: Connection) -> None:
        """To be told of every connection."""
        self.dialing.connection_opened(connection.peer)
        if connection.outbound and connection.remote_address is not None:
            address = connection.remote_address.with_peer(connection.peer)
            self.peerstore.reached(address, now=time.time())

    def identified(self, connection: Connection, details: PeerDetails) -> None:
        """What a peer says of itself. To be told at first, and as it leaves: reading its addresses
        takes 50 µs each, and it may say others over and over."""
        over, private = connection.remote_address, self._config.exchange_private_dials
        self.peerstore.learn(details, told_over=over, private=private, now=time.time())

    def disconnected(self, connection: Connection, details: PeerDetails | None) -> None:
        """The last connection to a peer ended."""
        if details is not None:
            self.identified(connection, details)
        self.dialing.peer_disconnected(connection.peer)
