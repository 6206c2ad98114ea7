"""Multiaddrs of an IP address and a TCP port, as nearly all are: `/ip4|ip6/HOST/tcp/PORT` and
maybe `/p2p/PEER`, as texts and as bytes.

Read here, one takes microseconds. The package `multiaddr` takes a hundred, and 3 MB and 20 ms when
it is used first. What is not written in the usual way is None here and left to the package, as is
saying what is wrong with it.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address

from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

Parts = tuple[str, str, int, PeerId | None]
"""Protocol, host, port and peer."""

# By their multiaddr codes; that of /p2p, 421, is a varint of two bytes.
_IP4, _TCP, _IP6 = 4, 6, 41
_P2P = b"\xa5\x03"
_IP4_BYTES, _IP6_BYTES, _PORT_BYTES = 4, 16, 2


def read_text(text: str) -> Parts | None:
    """The parts of a text in its usual form."""
    parts = text.split("/")
    peer: PeerId | None = None
    if len(parts) == 7 and parts[5] == "p2p" and parts[6].startswith(("1", "Qm")):
        try:
            peer = PeerId.parse(parts.pop())
        except LocalProtocolError:
            return None
        parts.pop()
    if len(parts) != 5 or parts[0] or parts[3] != "tcp":
        return None
    host, port = _host(parts[1], parts[2]), _port(parts[4])
    return None if host is None or port is None else (parts[1], str(host), port, peer)


def read_bytes(data: bytes) -> Parts | None:
    """The parts of bytes that are whole and canonical."""
    if data[:1] == bytes((_IP4,)):
        end = 1 + _IP4_BYTES
    elif data[:1] == bytes((_IP6,)):
        end = 1 + _IP6_BYTES
    else:
        return None
    after = end + 1 + _PORT_BYTES
    if len(data) < after or data[end] != _TCP:
        return None
    peer: PeerId | None = None
    if len(data) > after:
        peer = _peer(data[after:])
        if peer is None:
            return None
    port = int.from_bytes(data[end + 1 : after], "big")
    if data[0] == _IP4:
        return "ip4", str(IPv4Address(data[1:end])), port, peer
    return "ip6", str(IPv6Address(data[1:end])), port, peer


def to_bytes(protocol: str, host: str, port: int, peer: PeerId | None) -> bytes | None:
    """The binary form."""
    ip = _host(protocol, host)
    if ip is None or not 0 <= port < 65536:
        return None
    code = _IP4 if protocol == "ip4" else _IP6
    encoded = bytes((code, *ip.packed, _TCP)) + port.to_bytes(_PORT_BYTES, "big")
    return encoded if peer is None else encoded + _P2P + bytes((len(peer),)) + peer


def _peer(data: bytes) -> PeerId | None:
    start = len(_P2P) + 1
    # Behind the code the length, a varint: of one byte for every peer id.
    if len(data) < start or not data.startswith(_P2P) or data[start - 1] != len(data) - start:
        return None
    try:
        return PeerId.from_bytes(data[start:])
    except RemoteProtocolError:
        return None


def _host(protocol: str, text: str) -> IPv4Address | IPv6Address | None:
    try:
        if protocol == "ip4":
            return IPv4Address(text)
        if protocol == "ip6" and "%" not in text:
            return IPv6Address(text)
    except AddressValueError:
        pass
    return None


def _port(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()) or len(text) > 5 or text != str(int(text)):
        return None
    port = int(text)
    return port if port < 65536 else None
