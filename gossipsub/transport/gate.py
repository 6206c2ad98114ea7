"""The connection gate: the application's say in who is dialled, accepted and kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.connections")


class ConnectionGate(Protocol):
    """What `Host(gate=…)` asks about every connection, direct and protected peers' included.

    The methods are plain functions that answer True or False at once. An exception, or any other
    answer, counts as False and is logged: a gate that fails stays shut. `address` is None where
    the network has no addresses.
    """

    def allow_dial(self, address: Address) -> bool:
        """Before a dial. For a name, asked once more about the IP address it led to, when the
        TCP connection stands and nothing has been said on it."""

    def allow_accept(self, address: Address | None) -> bool:
        """When somebody has connected, before the handshake; `address` is where from."""

    def allow_peer(self, peer: PeerId, address: Address | None, outbound: bool) -> bool:
        """After the handshake, when it is certain who the peer is; `outbound` when dialled."""


class IpGate:
    """A gate by IP address: networks as in `10.0.0.0/8`, or single addresses.

    What `deny` holds is refused; where `allow` is given, so is all that it does not hold.
    LocalProtocolError for what is no network.
    """

    def __init__(self, *, allow: str | Iterable[str] = (), deny: str | Iterable[str] = ()) -> None:
        self._allow = ip_networks(allow)
        self._deny = ip_networks(deny)

    def allow_dial(self, address: Address) -> bool:
        """False for an IP address that is refused; a name is let pass until it led to one."""
        return "ip" not in address.protocol or self._allows(address)

    def allow_accept(self, address: Address | None) -> bool:
        """False where it is refused; without an address True unless `allow` names somebody."""
        return self._allows(address)

    def allow_peer(self, peer: PeerId, address: Address | None, outbound: bool) -> bool:
        """As `allow_accept`, whoever the peer is."""
        return self._allows(address)

    def _allows(self, address: Address | None) -> bool:
        if address is None:
            return not self._allow
        ip = ip_address(address.host)
        if any(ip in network for network in self._deny):
            return False
        return not self._allow or any(ip in network for network in self._allow)


class GuardedGate:
    """An application's gate, or none; its bugs are contained and refuse."""

    def __init__(self, gate: ConnectionGate | None) -> None:
        self._gate = gate

    def allow_dial(self, address: Address) -> bool:
        gate = self._gate
        return gate is None or self._ask(lambda: gate.allow_dial(address))

    def allow_accept(self, address: Address | None) -> bool:
        gate = self._gate
        return gate is None or self._ask(lambda: gate.allow_accept(address))

    def allow_peer(self, peer: PeerId, address: Address | None, outbound: bool) -> bool:
        gate = self._gate
        return gate is None or self._ask(lambda: gate.allow_peer(peer, address, outbound))

    def _ask(self, question: Callable[[], object]) -> bool:
        try:
            answer = question()
        except Exception:
            logger.exception("the connection gate failed gate=%r", self._gate)
            return False
        if not isinstance(answer, bool):  # a coroutine, say, which would let everybody in
            logger.error("the connection gate answers neither True nor False: %r", answer)
            return False
        return answer


def require_gate(gate: object) -> None:
    """LocalProtocolError unless it has the three methods of a gate."""
    for name in ("allow_dial", "allow_accept", "allow_peer"):
        if not callable(getattr(gate, name, None)):
            raise LocalProtocolError(f"a gate has a method {name}: {gate!r}"[:200])


def ip_networks(given: str | Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Networks by their texts. LocalProtocolError where one is none, or has bits beyond its
    length: `10.0.0.1/8` may be meant as one address or as all of them."""
    try:
        return tuple(ip_network(text) for text in ([given] if isinstance(given, str) else given))
    except (ValueError, TypeError) as error:
        raise LocalProtocolError(f"not an IP network: {error}") from error
