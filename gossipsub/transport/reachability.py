"""Which addresses out of peer exchange to dial: they are what one stranger says of another.

Whoever can name addresses can make this host connect to them: to services on its own machine or
in its network, say. So an address is dialled only where the peer that named it could be expected
to know it: loopback addresses if that peer is on this machine, private ones if it is in a private
network itself, public ones always. Names are not dialled, since they can stand for any address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from gossipsub.transport.address import Address
from gossipsub.transport.identify_service import read_address

MAX_READ = 32
"""Addresses of one record that are decoded; one takes 50 µs."""
MAX_DIALLED = 8
"""Addresses of one record that are tried."""
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv6 addresses that stand for IPv4 addresses (RFC 6052)."""


class Scope(IntEnum):
    """From where an address can be reached; who is in one scope knows those above as well."""

    LOOPBACK = 0
    PRIVATE = 1
    PUBLIC = 2


def scope_of(address: Address) -> Scope | None:
    """None where it leads nowhere, or cannot be judged: a name; port 0; unspecified, multicast,
    link-local and reserved addresses."""
    try:
        ip = _plain(ip_address(address.host))
    except ValueError:
        return None
    if ip.is_unspecified or ip.is_multicast or ip.is_link_local or address.port == 0:
        return None
    if ip.is_loopback:
        return Scope.LOOPBACK
    if isinstance(ip, IPv4Address) and ip.is_reserved:
        return None
    return Scope.PUBLIC if ip.is_global else Scope.PRIVATE


def dialable(
    encoded: Sequence[bytes], *, told_over: Address | None, private: bool = False
) -> list[Address]:
    """The addresses to dial of those a record lists, in the order to try them. `told_over` is the
    address of the peer that named them; None: it is not known, and counts as public. With
    `private`, private addresses are dialled whoever named them."""
    told = None if told_over is None else scope_of(told_over)
    if told is None:
        told = Scope.PUBLIC
    if private:
        told = min(told, Scope.PRIVATE)
    found = [(scope, address) for scope, address in _judged(encoded) if scope >= told]
    # What is as near as the one who named it is most likely to answer.
    found.sort(key=lambda entry: entry[0])
    return list(dict.fromkeys(address for _, address in found))[:MAX_DIALLED]


def has_public_address(encoded: Iterable[bytes]) -> bool:
    """Whether anybody in the world might reach one of the addresses a record lists."""
    return any(scope is Scope.PUBLIC for scope, _ in _judged(encoded))


def _judged(encoded: Iterable[bytes]) -> Iterator[tuple[Scope, Address]]:
    # Most records list addresses of transports that this host does not speak among others.
    candidates = [each for each in encoded if _looks_like_tcp(each)]
    for address in map(read_address, candidates[:MAX_READ]):
        scope = None if address is None else scope_of(address)
        if address is not None and scope is not None:
            yield scope, address


def _looks_like_tcp(encoded: bytes) -> bool:
    """Begins with /ip4/…/tcp or /ip6/…/tcp, by the multiaddr codes 4, 41 and 6."""
    return (encoded[:1] == b"\x04" and encoded[5:6] == b"\x06") or (
        encoded[:1] == b"\x29" and encoded[17:18] == b"\x06"
    )


def _plain(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside an IPv6 one, where there is one."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _TRANSLATED:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
