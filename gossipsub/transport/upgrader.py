"""Makes connections of sockets: the handshake, within its time."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.abc import ByteStream, SocketAttribute

from gossipsub.config import HostConfig
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.timers import Timers
from gossipsub.transport.address import Address
from gossipsub.transport.connection import Connection, HandlerFactory
from gossipsub.transport.upgrade import upgrade
from gossipsub.wire.multistream import ProtocolTable
from gossipsub.wire.yamux import YamuxLimits


class Upgrader:
    """Has what every connection of a host is made with."""

    def __init__(
        self,
        key: PrivateKey,
        *,
        config: HostConfig,
        timers: Timers,
        protocols: ProtocolTable[HandlerFactory],
        flush: Callable[[], None],
    ) -> None:
        self._key = key
        self._config = config
        self._timers = timers
        self._protocols = protocols
        self._flush = flush
        self._limits = YamuxLimits(max_inbound_streams=config.max_inbound_streams)

    async def upgrade(
        self, socket: ByteStream, *, outbound: bool, expected: PeerId | None
    ) -> Connection:
        """The connection, not run yet. TimeoutError after `upgrade_timeout`, else what `upgrade`
        raises; then the socket is closed."""
        try:
            with anyio.fail_after(self._config.upgrade_timeout):
                upgraded = await upgrade(
                    socket,
                    self._key,
                    outbound=outbound,
                    expected_peer=expected,
                    limits=self._limits,
                )
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(socket)
            raise
        return Connection(
            socket,
            upgraded.noise,
            upgraded.session,
            public_key=upgraded.public_key,
            outbound=outbound,
            remote_address=remote_address(socket),
            local_address=_end(socket, SocketAttribute.local_address),
            protocols=self._protocols,
            config=self._config,
            timers=self._timers,
            flush=self._flush,
        )


def remote_address(socket: ByteStream) -> Address | None:
    """Where the other end is; None on transports that have no addresses."""
    return _end(socket, SocketAttribute.remote_address)


def _end(socket: ByteStream, attribute: object) -> Address | None:
    try:
        name = socket.extra(attribute, None)
    except OSError:  # it has ended already
        return None
    if not isinstance(name, tuple):
        return None
    return Address.of_socket(name[0], name[1])
