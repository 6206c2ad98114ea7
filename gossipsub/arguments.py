"""What an application gives a host: checked where it is given, so that nothing is half done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from typing import Any

from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address, AddressError
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError


def peer_id_of(peer: PeerId | str) -> PeerId:
    """A peer by its id or the id's text. LocalProtocolError for anything else: taken as it is, it
    would be an id that no peer has, and blocking it, for one, would have no effect."""
    if isinstance(peer, str):
        return PeerId.parse(peer)
    if not isinstance(peer, bytes):
        raise LocalProtocolError(f"a peer is a PeerId or its text: {peer!r}")
    try:
        return PeerId.from_bytes(peer)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"{error}: {bytes(peer)!r}") from error


def listen_addresses(given: str | Sequence[str]) -> list[Address]:
    """Where to listen; AddressError for a bad address."""
    addresses = _parsed(given)
    for address in addresses:
        if address.protocol == "dnsaddr":
            raise AddressError(f"a /dnsaddr is to dial, not to listen on: {address}")
    return addresses


def announced_addresses(given: str | Iterable[str]) -> list[Address]:
    """What to tell peers; AddressError for what they could not dial."""
    addresses = _parsed(given)
    for address in addresses:
        if address.is_wildcard() or address.zone is not None:
            raise AddressError(f"an address to announce is one that peers can dial: {address}")
        if address.port == 0 and address.protocol != "dnsaddr":
            raise AddressError(f"an address to announce has a port: {address}")
    return addresses


def bootstrap_addresses(given: str | Iterable[str]) -> list[Address]:
    """Addresses that say whose they are, and names of bootstrap peers; AddressError for others."""
    addresses = _parsed(given)
    return [
        each if each.protocol == "dnsaddr" else _of_peer("bootstrap", each) for each in addresses
    ]


def mdns_interfaces(given: bool | Sequence[str]) -> list[str] | None:
    """The IPv4 addresses of the interfaces to use, none for all; None where mDNS is off.
    LocalProtocolError for anything else."""
    if isinstance(given, bool):
        return [] if given else None
    try:
        texts = [given] if isinstance(given, str) else list(given)
        addresses = [str(IPv4Address(text)) for text in texts]
    except (ValueError, TypeError) as error:
        raise LocalProtocolError(
            f"mdns is True or IPv4 addresses of interfaces: {error}"
        ) from error
    if not addresses:
        raise LocalProtocolError("mdns is True or IPv4 addresses of interfaces: there are none")
    return addresses


def addresses_of_one(given: object) -> list[Address]:
    """Where to dial one peer; AddressError for a bad address, none, or those of several peers."""
    addresses = _parsed(given)
    peers = {address.peer for address in addresses}
    if not addresses or len(peers) > 1 or (len(addresses) > 1 and None in peers):
        raise AddressError(
            "several addresses to connect to are of one peer, and each ends in its /p2p/PEER: "
            + ", ".join(map(str, addresses))
        )
    return addresses


def peer_alone(given: object) -> PeerId | None:
    """The peer where nothing but its id is given, in any form; None for anything else."""
    if isinstance(given, bytes):
        return peer_id_of(PeerId(given))
    if not isinstance(given, str):
        return None
    try:
        return PeerId.parse(given.removeprefix("/p2p/"))
    except LocalProtocolError:
        return None


def require_own(addresses: Iterable[Address], me: PeerId) -> None:
    """AddressError where one of them says that it is another peer's."""
    for address in addresses:
        if address.peer not in (None, me):
            raise AddressError(f"the address of another peer, this one is {me}: {address}")


def peer_addresses(whose: str, given: str | Iterable[str]) -> list[Address]:
    """Addresses that say whose they are; AddressError for others."""
    return [_of_peer(whose, address) for address in _parsed(given)]


def _parsed(given: object) -> list[Address]:
    texts: Iterable[Any] = (
        given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    )
    return [Address.parse(text) for text in texts]


def _of_peer(whose: str, address: Address) -> Address:
    if address.peer is None:
        raise AddressError(f"a {whose} address ends in /p2p/PEER: {address}")
    return address


def require_kind(name: str, value: object, kind: type) -> None:
    """LocalProtocolError unless `value` is a `kind`, or None."""
    if value is not None and not isinstance(value, kind):
        raise LocalProtocolError(f"{name} is a {kind.__name__}: {value!r}"[:200])
