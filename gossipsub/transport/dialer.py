"""Dialling a peer that may be at several addresses: the first connection that stands will do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

import anyio

from gossipsub.config import HostConfig
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address
from gossipsub.transport.connections import Connections, DialError
from gossipsub.transport.network import NEXT_ATTEMPT
from gossipsub.transport.race import first_to_succeed
from gossipsub.transport.resolving import Resolver, resolve

MOST_TRIED = 16
"""Addresses of one peer that are tried, and of one name."""


class Dialer:
    """Tries addresses one by one, the next when the one before has failed or is slow to answer,
    and looks up what a /dnsaddr stands for."""

    def __init__(self, connections: Connections, *, resolver: Resolver, config: HostConfig) -> None:
        self._connections = connections
        self._resolver = resolver
        self._config = config

    async def dial(
        self, addresses: Iterable[Address], *, peer: PeerId | None = None, asked: bool = False
    ) -> PeerId:
        """The id of the peer that is at one of these addresses, all of one peer, once a
        connection to it stands; an existing one will do. `asked`: the application wants it now.
        DialError where none leads to it."""
        distinct = list(dict.fromkeys(addresses))
        for named in (peer, *(address.peer for address in distinct)):
            if named is not None and self._connections.get(named) is not None:
                return named
        if not distinct:
            raise DialError(f"no address of {peer} is known")
        return await self._first([partial(self._dial_one, each, asked) for each in distinct])

    async def resolve(self, address: Address) -> list[Address]:
        """What an address stands for. DialError where its name leads nowhere, or not in time."""
        try:
            with anyio.fail_after(self._config.dial_timeout):
                return await resolve(address, self._resolver)
        except TimeoutError as error:
            raise DialError(f"{address}: the name was not resolved in time") from error
        except OSError as error:
            raise DialError(f"{address}: {error}") from error

    async def _dial_one(self, address: Address, asked: bool) -> PeerId:
        dial = partial(self._connections.dial, asked=asked)
        if address.protocol != "dnsaddr":
            return await dial(address)
        return await self._first([partial(dial, each) for each in await self.resolve(address)])

    async def _first(self, attempts: Sequence[Callable[[], Awaitable[PeerId]]]) -> PeerId:
        if len(attempts) == 1:
            return await attempts[0]()
        return await first_to_succeed(
            attempts[:MOST_TRIED], pause=NEXT_ATTEMPT, failure=DialError, discard=_leave_open
        )


async def _leave_open(peer: PeerId) -> None:
    """A second connection to the peer does no harm."""
