"""Multiaddrs of TCP peers: `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT[/p2p/PEER]`.

The only module that imports `multiaddr`. Addresses from peers arrive as bytes; that package
parses some damaged ones without complaint (a 4-byte address cut to one byte), so bytes count
only if they survive a round trip through text unchanged.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Literal

from multiaddr import Multiaddr
from multiaddr.exceptions import Error as MultiaddrError

from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

_HOST_PROTOCOLS = ("ip4", "ip6", "dns", "dns4", "dns6")
Family = Literal[
    socket.AddressFamily.AF_UNSPEC, socket.AddressFamily.AF_INET, socket.AddressFamily.AF_INET6
]
_FAMILIES: dict[str, Family] = {
    "ip4": socket.AF_INET,
    "dns4": socket.AF_INET,
    "ip6": socket.AF_INET6,
    "dns6": socket.AF_INET6,
    "dns": socket.AF_UNSPEC,
}
_PARSE_ERRORS = (MultiaddrError, ValueError, TypeError, LookupError, AttributeError)
"""What the package lets out for damaged input, found by fuzzing."""


class AddressError(LocalProtocolError):
    """Not an address this host can use; says which part and why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a peer listens, and, where the address says so, who it must turn out to be."""

    protocol: str
    host: str
    port: int
    peer: PeerId | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read the text form. AddressError when it is not a TCP address."""
        if not isinstance(text, str) or not text.startswith("/"):
            raise AddressError(f"an address is a text that begins with '/': {text!r}")
        # The old name of /p2p, only where a peer follows: it is a host name as well.
        base, old_name, peer = text.rpartition("/ipfs/")
        modern = f"{base}/p2p/{peer}" if old_name and "/tcp/" in base else text
        try:
            parts = list(Multiaddr(modern).items())
        except _PARSE_ERRORS as error:
            raise AddressError(f"not a multiaddr: {text!r}: {error}") from error
        return cls._from_parts([(protocol.name, value) for protocol, value in parts], text)

    @classmethod
    def decode(cls, data: bytes) -> Address:
        """Read the binary form a peer sent. RemoteProtocolError when damaged or not TCP."""
        try:
            text = str(Multiaddr(data))
            canonical = Multiaddr(text).to_bytes()
        except _PARSE_ERRORS as error:
            raise RemoteProtocolError(f"not a multiaddr: {data.hex()}") from error
        if canonical != data:
            raise RemoteProtocolError(f"a damaged multiaddr: {data.hex()}")
        try:
            return cls.parse(text)
        except AddressError as error:
            raise RemoteProtocolError(str(error)) from error

    @classmethod
    def _from_parts(cls, parts: list[tuple[str, str | None]], text: str) -> Address:
        peer: PeerId | None = None
        if len(parts) == 3 and parts[2][0] == "p2p":
            try:
                peer = PeerId.parse(parts[2][1] or "")
            except LocalProtocolError as error:
                raise AddressError(f"{error} in {text!r}") from error
            parts = parts[:2]
        if len(parts) != 2 or parts[0][0] not in _HOST_PROTOCOLS or parts[1][0] != "tcp":
            raise AddressError(f"need /ip4|ip6|dns…/HOST/tcp/PORT[/p2p/PEER]: {text!r}")
        protocol, host = parts[0][0], parts[0][1] or ""
        if protocol == "ip6":
            # The package writes some addresses in a form of its own; addresses are compared.
            host = str(ip_address(host))
        return cls(protocol, host, int(parts[1][1] or 0), peer)

    @classmethod
    def of_socket(cls, host: str, port: int) -> Address:
        """The address of a socket's end, as the socket names it."""
        address = ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None:
            address = mapped
        return cls("ip4" if address.version == 4 else "ip6", str(address), port)

    @property
    def family(self) -> Family:
        """Which kind of socket leads there."""
        return _FAMILIES[self.protocol]

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
        """The binary form."""
        return bytes(Multiaddr(str(self)).to_bytes())

    def __str__(self) -> str:
        base = f"/{self.protocol}/{self.host}/tcp/{self.port}"
        return base if self.peer is None else f"{base}/p2p/{self.peer}"
