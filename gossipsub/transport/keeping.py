"""Peers to stay connected to: bootstrap peers from the start, direct peers since the router first
asked for them. One task each dials with all addresses known, again whenever the peer is lost,
ever more slowly."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from gossipsub.config import HostConfig
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address
from gossipsub.transport.connections import Connections, DialError
from gossipsub.transport.dial_backoff import SPREAD
from gossipsub.transport.dialer import MOST_TRIED, Dialer

logger = logging.getLogger("gossipsub.host")

NAME_LIFETIME = 600.0
"""Seconds after which a bootstrap name is looked up again."""
MOST_BEHIND_NAMES = 64
"""Peers kept since a name led to them; those behind are left out."""


class _Kept:
    """One peer's task."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.hurry = anyio.Event()


class Keeping:
    """Works in `tasks`, which the host sets before anything is dialled. `known_addresses` tells
    what is known of a peer beside what was given here; `protect` makes room for bootstrap peers.
    """

    tasks: TaskGroup

    def __init__(
        self,
        dialer: Dialer,
        connections: Connections,
        *,
        me: PeerId,
        known_addresses: Callable[[PeerId], Iterable[Address]],
        protect: Callable[[PeerId], None],
        config: HostConfig,
        rng: random.Random,
    ) -> None:
        self._dialer = dialer
        self._connections = connections
        self._me = me
        self._known_addresses = known_addresses
        self._protect = protect
        self._config = config
        self._rng = rng
        self._bootstrap: dict[bytes, None] = {}
        self._addresses: dict[bytes, dict[Address, None]] = {}
        self._kept: dict[bytes, _Kept] = {}

    def keep(self, addresses: Iterable[Address]) -> None:
        """Stay connected to the peers at these addresses from now on; to this host itself there
        is no need. Of a /dnsaddr that names no peer, to all that it leads to."""
        for address in addresses:
            if address.peer is None:
                self.tasks.start_soon(self._keep_name, address)
            elif address.peer != self._me:
                self._bootstrap[address.peer] = None
                self._protect(address.peer)
                self._add(address.peer, address)
                self._start(address.peer)

    def add_direct(self, addresses: Iterable[Address]) -> None:
        """Know where direct peers are; each address names its peer."""
        for address in addresses:
            if address.peer is not None:
                self._add(address.peer, address)

    def remove_direct(self, peer: bytes) -> None:
        """Dial it no more, unless it is a bootstrap peer; connections stay."""
        if peer not in self._bootstrap:
            self._addresses.pop(peer, None)
            kept = self._kept.pop(peer, None)
            if kept is not None:
                kept.scope.cancel()

    def want(self, peer: bytes) -> None:
        """The router misses a direct peer: dial it without further delay."""
        kept = self._kept.get(peer)
        if kept is None:
            self._start(PeerId(peer))
        else:
            kept.hurry.set()

    def _add(self, peer: PeerId, address: Address) -> None:
        known = self._addresses.setdefault(peer, {})
        known[address] = None
        if len(known) > MOST_TRIED:
            del known[next(iter(known))]

    def _start(self, peer: PeerId) -> None:
        if peer not in self._kept:
            self._kept[peer] = kept = _Kept()
            self.tasks.start_soon(self._keep, peer, kept)

    async def _keep(self, peer: PeerId, kept: _Kept) -> None:
        delay = self._config.reconnect_delay
        with kept.scope:
            while True:
                await self._dial(peer)
                connection = self._connections.get(peer)
                if connection is not None:
                    since = anyio.current_time()
                    await connection.ended.wait()
                    # One that accepts and hangs up at once is dialled as slowly as one not there.
                    if anyio.current_time() - since > self._config.reconnect_delay_limit:
                        delay = self._config.reconnect_delay
                kept.hurry = anyio.Event()
                with anyio.move_on_after(delay * self._rng.uniform(*SPREAD)):
                    await kept.hurry.wait()
                delay = min(delay * 2, self._config.reconnect_delay_limit)

    async def _dial(self, peer: PeerId) -> None:
        given = self._addresses.get(peer, ())
        try:
            await self._dialer.dial([*given, *self._known_addresses(peer)], peer=peer)
        except DialError as error:
            logger.debug("dial failed peer=%s error=%s", peer.short(), error)

    async def _keep_name(self, name: Address) -> None:
        delay = self._config.reconnect_delay
        while True:
            try:
                found = await self._dialer.resolve(name)
            except DialError as error:
                logger.debug("bootstrap name not resolved error=%s", error)
                pause, delay = delay, min(delay * 2, self._config.reconnect_delay_limit)
            else:
                pause, delay = NAME_LIFETIME, self._config.reconnect_delay
                self._keep_found(found)
            await anyio.sleep(pause * self._rng.uniform(*SPREAD))

    def _keep_found(self, found: Iterable[Address]) -> None:
        for address in found:
            is_new = address.peer is not None and address.peer not in self._bootstrap
            if not is_new or len(self._bootstrap) < MOST_BEHIND_NAMES:
                self.keep([address] if address.peer is not None else [])
