"""Dialling without being asked by the application each time: bootstrap peers, and peers that the
router wants to be connected to."""

from __future__ import annotations

import logging
import random

import anyio
from anyio.abc import TaskGroup

from gossipsub.address import Address
from gossipsub.config import HostConfig
from gossipsub.connections import Connections, DialError
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.identify_service import read_address
from gossipsub.router.effects import Connect
from gossipsub.wire.errors import RemoteProtocolError

logger = logging.getLogger("gossipsub.host")


class Dialing:
    """Works in `tasks`, which the host sets before anything is dialled."""

    tasks: TaskGroup

    def __init__(self, connections: Connections, *, config: HostConfig, rng: random.Random) -> None:
        self._connections = connections
        self._config = config
        self._rng = rng

    def connect_wanted(self, wanted: Connect) -> None:
        """The router wants a peer whose addresses it was told."""
        if wanted.signed_peer_record is None:
            return
        try:
            record = PeerRecord.open(wanted.signed_peer_record, peer=wanted.peer)
        except RemoteProtocolError as error:
            logger.debug("bad peer record in peer exchange error=%s", error)
            return
        # Most peers list addresses of transports that this host does not speak among others.
        address = next(filter(None, map(read_address, record.addresses)), None)
        if address is not None:
            self.tasks.start_soon(self._try_to_dial, address.with_peer(record.peer_id))

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

    async def _try_to_dial(self, address: Address) -> None:
        try:
            await self._connections.dial(address)
        except DialError as error:
            logger.debug("dial failed error=%s", error)
