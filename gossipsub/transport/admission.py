"""Who may connect, and who is told no: the blacklist, the gate, the limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from gossipsub.config import HostConfig
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address
from gossipsub.transport.gate import ConnectionGate, GuardedGate
from gossipsub.transport.ip_limits import IpCounts
from gossipsub.transport.protection import Protection
from gossipsub.transport.trimming import Standing, Trimming

if TYPE_CHECKING:
    from gossipsub.timers import Timers
    from gossipsub.transport.connection import Connection


class Admission:
    """Decides on each connection, and counts those refused by reason.

    Direct and protected peers are under no limit but that of connections to one peer: at
    `max_connections` another peer is closed for them.
    """

    def __init__(
        self,
        connections: Mapping[bytes, list[Connection]],
        *,
        me: PeerId,
        config: HostConfig,
        timers: Timers,
        gate: ConnectionGate | None,
        is_blocked: Callable[[bytes], bool],
        is_direct: Callable[[bytes], bool],
        standings: Callable[[Iterable[bytes]], Mapping[bytes, Standing]],
    ) -> None:
        self.refused: dict[str, int] = {}
        self.protection = Protection()
        self.trimming = Trimming(
            connections,
            config=config,
            timers=timers,
            is_spared=self._is_privileged,
            standings=standings,
        )
        self._connections = connections
        self._me = me
        self._config = config
        self._gate = GuardedGate(gate)
        self._is_blocked = is_blocked
        self._is_direct = is_direct
        self._per_ip = IpCounts(config)

    def _is_privileged(self, peer: bytes) -> bool:
        return peer in self.protection or self._is_direct(peer)

    def count(self, reason: str) -> None:
        """One more was refused."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def refuses_dial(self, address: Address, *, asked: bool) -> str | None:
        """Why not to dial; None where nothing speaks against it. `asked` by the application,
        which overrides a recent trim."""
        peer = address.peer
        if peer == self._me:
            return "it is this host itself"
        if peer is not None and self._is_blocked(peer):
            return "the peer is blocked"
        if not self.allows_dial(address):
            return "the gate refuses it"
        if peer is not None and self._is_privileged(peer):
            return None
        if peer is not None and not asked and self.trimming.is_resting(peer):
            return "the peer was disconnected to make room"
        return None if self._has_room() else self._full()

    def allows_dial(self, address: Address) -> bool:
        """The gate's word alone, on an address or on what a name led to."""
        return self._gate.allow_dial(address)

    def allows_accept(self, address: Address | None) -> bool:
        """Whether to begin a handshake with who connected from there."""
        if self._gate.allow_accept(address):
            return True
        self.count("gate")
        return False

    def refuses(self, connection: Connection) -> str | None:
        """Why not to keep a connection; None where it is welcome. Others may be closed for it."""
        found = self._refusal(connection)
        if found is None:
            return None
        self.count(found[0])
        return found[1]

    def _refusal(self, connection: Connection) -> tuple[str, str] | None:
        """The reason as it is counted, and in words."""
        peer, address = connection.peer, connection.remote_address
        if peer == self._me:
            return "self", "it leads to this host itself"
        if self._is_blocked(peer):
            return "blocked", "the peer is blocked"
        if not self._gate.allow_peer(peer, address, connection.outbound):
            return "gate", "the gate refuses the peer"
        same = len(self._connections.get(peer, ()))
        if same >= self._config.max_connections_per_peer:
            return "per peer", f"{same} connections to the peer are open, the limit"
        if self._is_privileged(peer):
            is_welcome = self._has_room() or self.trimming.make_room(peer)
        elif not connection.outbound and self._per_ip.is_full(address):
            return "per ip", "too many connections from its address are open"
        else:
            is_welcome = self._has_room()
        return None if is_welcome else ("total", self._full())

    def _has_room(self) -> bool:
        limit = self._config.max_connections
        if self.trimming.open >= limit:
            self.trimming.trim_when_full()
        return self.trimming.open < limit

    def _full(self) -> str:
        return f"{self.trimming.open} connections are open, the limit"

    def opened(self, connection: Connection) -> None:
        if not connection.outbound:
            self._per_ip.add(connection.remote_address)
        self.trimming.opened()

    def closed(self, connection: Connection) -> None:
        if not connection.outbound:
            self._per_ip.remove(connection.remote_address)
        self.trimming.closed(connection)
