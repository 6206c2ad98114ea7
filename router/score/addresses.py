"""Which peers are at which IP address, for P6 (v1.1, "IP Colocation Factor")."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


class AddressTable:
    """Peers by address. An IPv6 address counts twice: by itself and by its /64, since whoever
    has one address there has them all. Loopback and `whitelist` addresses are left out."""

    def __init__(self, *, whitelist: Iterable[str] = ()) -> None:
        self._whitelist = [ip_network(network) for network in whitelist]
        self._peers: dict[str, dict[bytes, None]] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def add(self, peer: bytes, ips: Iterable[str]) -> tuple[str, ...]:
        """Note a peer's addresses; returns the keys it is listed under, for `peers_at`."""
        keys = tuple(dict.fromkeys(key for ip in ips for key in self._keys(ip)))
        for key in keys:
            self._peers.setdefault(key, {})[peer] = None
        return keys

    def remove(self, peer: bytes, keys: Iterable[str]) -> None:
        for key in keys:
            peers = self._peers[key]
            del peers[peer]
            if not peers:
                del self._peers[key]

    def peers_at(self, key: str) -> Iterable[bytes]:
        return self._peers.get(key, ())

    def surplus(self, keys: Iterable[str], threshold: float) -> float:
        """Over the addresses: the square of the number of peers above the threshold."""
        total = 0.0
        for key in keys:
            excess = len(self._peers[key]) - threshold
            if excess > 0:
                total += excess * excess
        return total

    def _keys(self, ip: str) -> list[str]:
        try:
            address = ip_address(ip)
        except ValueError:  # a host name, or nothing at all: not an address to compare
            return []
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if address.is_loopback or any(address in network for network in self._whitelist):
            return []
        if isinstance(address, IPv4Address):
            return [str(address)]
        return [str(address), f"{IPv6Address(int(address) >> 64 << 64)}/64"]
