"""Faults of connections as a whole."""

from __future__ import annotations

import anyio
from anyio.abc import ByteStream

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.transport import upgrade
from gossipsub.transport.address import Address
from gossipsub.transport.connection import Connection
from gossipsub.transport.connections import Connections
from gossipsub.transport.identify_service import IdentifyService
from gossipsub.wire.identify import Identify
from gossipsub.wire.yamux import YamuxLimits, YamuxSession


@fault
def the_muxer_is_mplex() -> None:
    replace(upgrade, "YAMUX", "/mplex/6.7.0")


@fault
def a_dialler_is_yamux_server() -> None:
    def turned_round(*, client: bool, limits: YamuxLimits) -> YamuxSession:
        return YamuxSession(client=not client, limits=limits)

    replace(upgrade, "YamuxSession", turned_round)


@fault
def two_connections_to_a_peer_end_both() -> None:
    original = Connections._admit

    def admit(self: Connections, connection: Connection) -> str | None:
        refusal = original(self, connection)
        connections = self.by_peer.get(connection.peer, [])
        if len(connections) > 1:
            for each in connections:
                each.abort("two connections")
        return refusal

    replace(Connections, "_admit", admit)


@fault
def upgrades_are_one_at_a_time() -> None:
    original = Connections._upgrade_accepted
    turn = anyio.Lock()

    async def upgrade_accepted(
        self: Connections, socket: ByteStream, address: Address | None
    ) -> Connection | None:
        async with turn:
            return await original(self, socket, address)

    replace(Connections, "_upgrade_accepted", upgrade_accepted)


@fault
def identify_push_is_not_heard() -> None:
    def pushed(self: IdentifyService, connection: Connection, said: Identify) -> None:
        """Nothing."""

    replace(IdentifyService, "_pushed", pushed)
