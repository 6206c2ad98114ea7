"""Multiaddrs of TCP peers: `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT[/p2p/PEER]`, link-local ones
behind `/ip6zone/INTERFACE`, and `/dnsaddr/NAME[/tcp/PORT][/p2p/PEER]` for those a name stands for.

Those of an IP address are read by `ip_multiaddr.py`, others by `any_multiaddr.py`, whose package is
loaded for the first of them. It takes `/ip6zone` apart wrongly, so that is read here.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Literal

from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport import ip_multiaddr
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

_HOST_PROTOCOLS = ("ip4", "ip6", "dns", "dns4", "dns6", "dnsaddr")
_ZONE = "/ip6zone/"
_ZONE_CODE = b"\x2a"
Family = Literal[
    socket.AddressFamily.AF_UNSPEC, socket.AddressFamily.AF_INET, socket.AddressFamily.AF_INET6
]
_FAMILIES: dict[str, Family] = {
    "ip4": socket.AF_INET,
    "dns4": socket.AF_INET,
    "ip6": socket.AF_INET6,
    "dns6": socket.AF_INET6,
    "dns": socket.AF_UNSPEC,
    "dnsaddr": socket.AF_UNSPEC,
}


class AddressError(LocalProtocolError):
    """Not an address this host can use; says which part and why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a peer listens, and, where the address says so, who it must turn out to be."""

    protocol: str
    host: str
    port: int
    """0 in a /dnsaddr that names none."""
    peer: PeerId | None = None
    zone: str | None = None
    """The interface of this machine that a link-local IPv6 address is behind."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read the text form. AddressError when it is not a TCP address."""
        if not isinstance(text, str) or not text.startswith("/"):
            raise AddressError(f"an address is a text that begins with '/': {text!r}")
        zone, plain = _split_zone(text)
        # The old name of /p2p, only where a peer follows: it is a host name as well.
        base, old_name, peer = plain.rpartition("/ipfs/")
        is_peer = old_name and ("/tcp/" in base or base.startswith("/dnsaddr/"))
        modern = f"{base}/p2p/{peer}" if is_peer else plain
        usual = ip_multiaddr.read_text(modern)
        if usual is not None:
            return cls(*usual, zone=zone)
        from gossipsub.transport import any_multiaddr

        try:
            parts = any_multiaddr.parts_of(modern)
        except ValueError as error:
            raise AddressError(f"not a multiaddr: {text!r}: {error}") from error
        return replace(cls._from_parts(parts, text), zone=zone)

    @classmethod
    def decode(cls, data: bytes) -> Address:
        """Read the binary form a peer sent. RemoteProtocolError when damaged or not TCP."""
        usual = ip_multiaddr.read_bytes(data)
        if usual is not None:
            return cls(*usual)
        if data.startswith(_ZONE_CODE):
            raise RemoteProtocolError(f"an interface of another machine: {data.hex()}")
        from gossipsub.transport import any_multiaddr

        try:
            return cls.parse(any_multiaddr.text_of(data))
        except (ValueError, AddressError) as error:
            raise RemoteProtocolError(str(error)) from error

    @classmethod
    def _from_parts(cls, parts: list[tuple[str, str | None]], text: str) -> Address:
        foreign = [name for name, _ in parts if name not in (*_HOST_PROTOCOLS, "tcp", "p2p")]
        if foreign:
            raise AddressError(f"only TCP is spoken here, not /{'/'.join(foreign)}: {text!r}")
        peer: PeerId | None = None
        if len(parts) > 1 and parts[-1][0] == "p2p":
            try:
                peer = PeerId.parse(parts[-1][1] or "")
            except LocalProtocolError as error:
                raise AddressError(f"{error} in {text!r}") from error
            parts = parts[:-1]
        protocol, host = (parts[0][0], parts[0][1] or "") if parts else ("", "")
        names = [name for name, _ in parts[1:]]
        is_name_alone = protocol == "dnsaddr" and not names
        if protocol not in _HOST_PROTOCOLS or (names != ["tcp"] and not is_name_alone):
            raise AddressError(f"need /ip4|ip6|dns…/HOST/tcp/PORT[/p2p/PEER]: {text!r}")
        port = 0 if is_name_alone else int(parts[1][1] or 0)
        if protocol == "dnsaddr" and port == 0 and not is_name_alone:
            raise AddressError(f"a /dnsaddr leads to no port 0: {text!r}")
        if protocol == "ip6":
            # The package writes some addresses in a form of its own; addresses are compared.
            host = str(ip_address(host))
        return cls(protocol, host, port, peer)

    @classmethod
    def of_socket(cls, host: str, port: int) -> Address:
        """The address of a socket's end, as the socket names it."""
        plain, _, zone = host.partition("%")
        address = ip_address(plain)
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None:
            address, zone = mapped, ""
        protocol = "ip4" if address.version == 4 else "ip6"
        return cls(protocol, str(address), port, zone=_interface(zone))

    @property
    def family(self) -> Family:
        """Which kind of socket leads there."""
        return _FAMILIES[self.protocol]

    @property
    def socket_host(self) -> str:
        """The host as the system's sockets take it."""
        return self.host if self.zone is None else f"{self.host}%{self.zone}"

    def is_wildcard(self) -> bool:
        """Listens on every interface: not an address to dial."""
        return self.host in ("0.0.0.0", "::")

    def with_peer(self, peer: PeerId | None) -> Address:
        """The same place, with who must be there."""
        return replace(self, peer=peer)

    def with_host(self, host: str) -> Address:
        """The same port and peer at another host, of the same protocol."""
        return replace(self, host=host)

    def encode(self) -> bytes:
        """The binary form, which is for others: without the zone, which is of this machine."""
        usual = ip_multiaddr.to_bytes(self.protocol, self.host, self.port, self.peer)
        if usual is not None:
            return usual
        from gossipsub.transport import any_multiaddr

        return any_multiaddr.bytes_of(str(replace(self, zone=None)))

    def __str__(self) -> str:
        zone = "" if self.zone is None else f"{_ZONE}{self.zone}"
        port = "" if self.protocol == "dnsaddr" and self.port == 0 else f"/tcp/{self.port}"
        peer = "" if self.peer is None else f"/p2p/{self.peer}"
        return f"{zone}/{self.protocol}/{self.host}{port}{peer}"


def _interface(zone: str) -> str | None:
    """An interface by its name: numbers, which sockets tell, are others after the next start."""
    if zone.isdecimal():
        with suppress(OSError):  # it is gone
            return socket.if_indextoname(int(zone))
    return zone or None


def _split_zone(text: str) -> tuple[str | None, str]:
    """The interface in front of a link-local address, and the address."""
    if not text.startswith(_ZONE):
        return None, text
    zone, slash, rest = text.removeprefix(_ZONE).partition("/")
    if not zone or not zone.isprintable() or "%" in zone or " " in zone:
        raise AddressError(f"not the name of an interface: {zone!r} in {text!r}")
    if not slash or not rest.startswith("ip6/"):
        raise AddressError(f"only /ip6 can follow /ip6zone/{zone}: {text!r}")
    return zone, f"/{rest}"
