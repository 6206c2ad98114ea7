"""How many connections one IP address may have: those that stand, and those in handshake."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from gossipsub.config import HostConfig
from gossipsub.transport.address import Address
from gossipsub.transport.gate import ip_networks


class IpGroups:
    """Addresses that count as one: an IPv4 address, the /64 of an IPv6 address (whoever has one
    address there has them all). `unlimited_networks` are counted, and not limited."""

    def __init__(self, config: HostConfig) -> None:
        self._unlimited = ip_networks(config.unlimited_networks)

    def of(self, address: Address | None) -> tuple[str, bool]:
        """The group, and whether limits hold for it; one without limits where there is no
        address."""
        if address is None:
            return "", False
        ip = ip_address(address.host)
        is_limited = not any(ip in network for network in self._unlimited)
        if isinstance(ip, IPv6Address):
            return f"{IPv6Address(int(ip) >> 64 << 64)}/64", is_limited
        return str(ip), is_limited


class IpCounts:
    """Inbound connections that stand, by group. Those we dialled were our choice."""

    def __init__(self, config: HostConfig) -> None:
        self._groups = IpGroups(config)
        self._limit = config.max_connections_per_ip
        self._counts: dict[str, int] = {}

    def is_full(self, address: Address | None) -> bool:
        group, is_limited = self._groups.of(address)
        return is_limited and self._counts.get(group, 0) >= self._limit

    def add(self, address: Address | None) -> None:
        group, _ = self._groups.of(address)
        self._counts[group] = self._counts.get(group, 0) + 1

    def remove(self, address: Address | None) -> None:
        group, _ = self._groups.of(address)
        self._counts[group] -= 1
        if not self._counts[group]:
            del self._counts[group]


class Handshakes:
    """Inbound connections in handshake.

    When there are too many, the newest is let in and another one gives way: of the newcomer's
    address where that has `max_pending_upgrades_per_ip` already, else of the address that has
    most; of those the oldest, since whoever means it is done within a few round trips. So
    silent connections keep nobody out for longer than it takes to connect.
    """

    def __init__(self, config: HostConfig) -> None:
        self._groups = IpGroups(config)
        self._limit = config.max_pending_upgrades
        self._limit_per_ip = config.max_pending_upgrades_per_ip
        self._pending: dict[str, dict[int, Callable[[], None]]] = {}
        self._total = 0
        self._last = 0

    def __len__(self) -> int:
        return self._total

    def enter(self, address: Address | None, give_way: Callable[[], None]) -> tuple[str, int]:
        """Note one that begins; returns what `leave` takes. `give_way` ends it, and is called at
        most once."""
        group, is_limited = self._groups.of(address)
        if is_limited and len(self._pending.get(group, ())) >= self._limit_per_ip:
            self._end_oldest(group)
        elif self._total >= self._limit:
            # Of several with as many, the one whose oldest is the oldest of all.
            most = max(len(each) for each in self._pending.values())
            crowded = [name for name, each in self._pending.items() if len(each) == most]
            self._end_oldest(min(crowded, key=lambda name: next(iter(self._pending[name]))))
        self._last += 1
        self._pending.setdefault(group, {})[self._last] = give_way
        self._total += 1
        return group, self._last

    def leave(self, place: tuple[str, int]) -> bool:
        """It is over; False where it had to give way."""
        group, number = place
        if self._pending.get(group, {}).pop(number, None) is None:
            return False
        self._total -= 1
        if not self._pending[group]:
            del self._pending[group]
        return True

    def _end_oldest(self, group: str) -> None:
        number, give_way = next(iter(self._pending[group].items()))
        self.leave((group, number))
        give_way()
