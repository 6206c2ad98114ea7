"""What an application gives a host: checked where it is given, so that nothing is half done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    return [Address.parse(text) for text in ([given] if isinstance(given, str) else given)]


def require_own(addresses: Iterable[Address], me: PeerId) -> None:
    """AddressError where one of them says that it is another peer's."""
    for address in addresses:
        if address.peer not in (None, me):
            raise AddressError(f"the address of another peer, this one is {me}: {address}")


def peer_addresses(whose: str, given: str | Iterable[str]) -> list[Address]:
    """Addresses that say whose they are; AddressError for others."""
    parsed = [Address.parse(text) for text in ([given] if isinstance(given, str) else given)]
    for address in parsed:
        if address.peer is None:
            raise AddressError(f"a {whose} address ends in /p2p/PEER: {address}")
    return parsed


def require_kind(name: str, value: object, kind: type) -> None:
    """LocalProtocolError unless `value` is a `kind`, or None."""
    if value is not None and not isinstance(value, kind):
        raise LocalProtocolError(f"{name} is a {kind.__name__}: {value!r}"[:200])
