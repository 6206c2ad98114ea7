"""What a `/dnsaddr` stands for: the multiaddrs in the TXT records of `_dnsaddr.NAME` (libp2p
addressing, "dnsaddr"), and behind those that are a `/dnsaddr` again.

Host names (`/dns`, `/dns4`, `/dns6`) are left to the network that connects to them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import anyio

from gossipsub.transport.address import Address, AddressError

logger = logging.getLogger("gossipsub.resolving")

MOST_LOOKUPS = 16
"""Names looked up for one address; those behind are left out."""
MOST_LEVELS = 4
"""How often a name may lead to another."""
MOST_RECORDS = 64
"""Records read of one name."""
MOST_RESOLVED = 32
"""Addresses that one stands for; those behind are left out."""
_ENTRY = "dnsaddr="


class Resolver(Protocol):
    """Looks up TXT records."""

    async def text_records(self, name: str) -> Sequence[str]:
        """The texts of a name's TXT records, in any order. OSError where there are none, or
        nobody answers."""


class DnsResolver:
    """Asks the name servers of this machine's configuration, or the ones given, by their IP
    addresses. At most `timeout` seconds a name."""

    def __init__(
        self, nameservers: Sequence[str] = (), *, port: int = 53, timeout: float = 5.0
    ) -> None:
        self._nameservers = nameservers
        self._port = port
        self._timeout = timeout

    async def text_records(self, name: str) -> Sequence[str]:
        """The texts of a name's TXT records. OSError where there are none, or nobody answers."""
        # Loaded when a name is to be looked up: most hosts never do.
        from dns.asyncbackend import get_backend, sniff
        from dns.asyncresolver import Resolver as Client
        from dns.exception import DNSException

        try:
            client = Client(configure=not self._nameservers)
            if self._nameservers:
                client.nameservers = list(self._nameservers)
                client.port = self._port
            # By itself it would stay with the first library it met, in another thread say.
            backend = get_backend(sniff())
            answer = await client.resolve(name, "TXT", lifetime=self._timeout, backend=backend)
        except DNSException as error:
            raise OSError(f"no TXT records of {name}: {error}") from error
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]


async def resolve(address: Address, resolver: Resolver) -> list[Address]:
    """The addresses that one stands for, at most `MOST_RESOLVED`; any but a /dnsaddr stands for
    itself. What follows its name (a port, a peer) must follow the addresses as well.

    OSError where the name cannot be looked up, or none of its addresses can be used.
    """
    if address.protocol != "dnsaddr":
        return [address]
    search = _Search(resolver)
    names = [address]
    for _ in range(MOST_LEVELS):
        names = await search.look_up(names)
    if not search.found:
        raise search.failure or OSError(f"no address of TCP is behind {address}")
    return list(search.found)


class _Search:
    """One search: what was found, and which names were looked up on the way."""

    def __init__(self, resolver: Resolver) -> None:
        self.found: dict[Address, None] = {}
        self.failure: OSError | None = None
        """The first name's that could not be looked up."""
        self._resolver = resolver
        self._asked: dict[Address, None] = {}

    async def look_up(self, names: list[Address]) -> list[Address]:
        """Look all of them up at once; the names they lead to."""
        fresh = [name for name in dict.fromkeys(names) if name not in self._asked]
        fresh = fresh[: MOST_LOOKUPS - len(self._asked)]
        self._asked.update(dict.fromkeys(fresh))
        texts: dict[Address, Sequence[str]] = {}
        async with anyio.create_task_group() as tasks:
            for name in fresh:
                tasks.start_soon(self._ask, name, texts)
        behind: list[Address] = []
        for name in fresh:
            for entry in _entries(name, texts.get(name, ())):
                if entry.protocol == "dnsaddr":
                    behind.append(entry)
                elif len(self.found) < MOST_RESOLVED:
                    self.found[entry] = None
        return behind

    async def _ask(self, name: Address, texts: dict[Address, Sequence[str]]) -> None:
        try:
            texts[name] = await self._resolver.text_records(f"_dnsaddr.{name.host}")
        except OSError as error:
            self.failure = self.failure or error


def _entries(name: Address, texts: Sequence[str]) -> list[Address]:
    """The addresses in a name's records that end as the name's own address does."""
    entries = []
    for text in texts[:MOST_RECORDS]:
        if not text.startswith(_ENTRY):
            continue
        try:
            entry = Address.parse(text.removeprefix(_ENTRY))
        except AddressError as error:
            logger.debug("left out of a dnsaddr name=%s error=%s", name, error)
            continue
        is_asked_for = name.peer in (None, entry.peer) and name.port in (0, entry.port)
        if is_asked_for and entry.zone is None:
            entries.append(entry)
    return entries
