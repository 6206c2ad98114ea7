"""The connections of a host: dialling, accepting, limits, duplicates, the way to each peer."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable

import anyio
from anyio.abc import ByteStream, SocketAttribute, TaskGroup

from gossipsub.config import HostConfig
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.timers import Timers
from gossipsub.transport.address import Address
from gossipsub.transport.connection import Connection, HandlerFactory
from gossipsub.transport.network import Network, NetworkListener
from gossipsub.transport.upgrade import upgrade
from gossipsub.wire.errors import GossipSubError, LocalProtocolError, RemoteProtocolError
from gossipsub.wire.multistream import ProtocolTable
from gossipsub.wire.yamux import YamuxLimits

logger = logging.getLogger("gossipsub.connections")

ACCEPT_PAUSE = 0.1
"""Seconds before accepting again when the system refused."""
STREAM_ERRORS = (
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    OSError,
)


class DialError(GossipSubError):
    """A peer could not be reached, or was not the one expected; says why."""


class Connections:
    """All connections of a host, at most `max_connections`, `max_connections_per_peer` each."""

    def __init__(
        self,
        key: PrivateKey,
        *,
        config: HostConfig,
        network: Network,
        timers: Timers,
        protocols: ProtocolTable[HandlerFactory],
        flush: Callable[[], None],
        opened: Callable[[Connection], None],
        closed: Callable[[Connection], None],
        is_blocked: Callable[[bytes], bool],
    ) -> None:
        self.by_peer: dict[bytes, list[Connection]] = {}
        self._key = key
        self._me = key.peer_id()
        self._config = config
        self._network = network
        self._timers = timers
        self._protocols = protocols
        self._flush = flush
        self._opened = opened
        self._closed = closed
        self._is_blocked = is_blocked
        self._limits = YamuxLimits(max_inbound_streams=config.max_inbound_streams)
        self._dials: dict[anyio.CancelScope, None] = {}
        self._upgrading = 0
        self._total = 0
        self._is_closing = False
        self.tasks: TaskGroup | None = None

    def __len__(self) -> int:
        return self._total

    def get(self, peer: bytes) -> Connection | None:
        """A connection to the peer that is not about to end."""
        return next((each for each in self.by_peer.get(peer, ()) if each.is_open), None)

    # -- outbound --------------------------------------------------------------------------

    async def dial(self, address: Address) -> PeerId:
        """The peer's id once a connection to it stands; an existing one will do.

        DialError: nobody there, not in time, another peer, no common protocols, or the host
        closes.
        """
        with anyio.CancelScope() as scope:
            self._dials[scope] = None
            try:
                return await self._dial(address)
            finally:
                del self._dials[scope]
        raise DialError(f"{address}: the host is closing")

    async def _dial(self, address: Address) -> PeerId:
        if self._is_closing:
            raise DialError(f"{address}: the host is closing")
        if address.peer is not None:
            if address.peer == self._me:
                raise DialError(f"{address} is this host itself")
            if self._is_blocked(address.peer):
                raise DialError(f"{address}: the peer is blocked")
            if self.get(address.peer) is not None:
                return address.peer
        if self._total >= self._config.max_connections:
            raise DialError(f"{self._total} connections are open, the limit")
        try:
            with anyio.fail_after(self._config.dial_timeout):
                socket = await self._network.connect(address)
        except TimeoutError as error:
            raise DialError(f"{address}: no answer in time") from error
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
            raise DialError(f"{address}: {_describe(error)}") from error
        return await self._upgrade_dialled(socket, address)

    async def _upgrade_dialled(self, socket: ByteStream, address: Address) -> PeerId:
        try:
            connection = await self._upgrade(socket, outbound=True, expected=address.peer)
        except TimeoutError as error:
            raise DialError(f"{address}: the handshake took too long") from error
        except RemoteProtocolError as error:
            raise DialError(f"{address}: {error}") from error
        except STREAM_ERRORS as error:
            raise DialError(f"{address}: the connection ended during the handshake") from error
        refusal = self._admit(connection)
        if refusal is not None:
            await anyio.aclose_forcefully(socket)
            raise DialError(f"{address}: {refusal}")
        if self.tasks is None:
            raise LocalProtocolError("the host is not running")
        self.tasks.start_soon(self._serve, connection)
        return connection.peer

    # -- inbound ---------------------------------------------------------------------------

    async def listen(self, listener: NetworkListener) -> None:
        """Accept connections until cancelled. Where the system has no file descriptors left for
        one, that is waited out: peers must not be able to end the host by it."""
        failed = False
        while self.tasks is not None:
            try:
                socket = await listener.accept()
            except anyio.ClosedResourceError:
                return
            except (OSError, anyio.BrokenResourceError) as error:
                if not failed:
                    logger.warning("cannot accept connections error=%s", error.__cause__ or error)
                failed = True
                await anyio.sleep(ACCEPT_PAUSE)
            else:
                failed = False
                self.tasks.start_soon(self.accept, socket)

    async def accept(self, socket: ByteStream) -> None:
        """Serve an inbound connection until it ends; run in a task of its own."""
        if self._upgrading >= self._config.max_pending_upgrades or self._is_closing:
            await anyio.aclose_forcefully(socket)
            return
        self._upgrading += 1
        try:
            connection = await self._upgrade(socket, outbound=False, expected=None)
        except (RemoteProtocolError, TimeoutError, *STREAM_ERRORS) as error:
            logger.debug("inbound handshake failed error=%s", error)
            return
        except Exception:
            logger.exception("a bug ended an inbound handshake")
            return
        finally:
            self._upgrading -= 1
        refusal = self._admit(connection)
        if refusal is not None:
            logger.debug("refused peer=%s reason=%s", connection.peer.short(), refusal)
            await anyio.aclose_forcefully(socket)
            return
        await self._serve(connection)

    # -- both ------------------------------------------------------------------------------

    async def _upgrade(
        self, socket: ByteStream, *, outbound: bool, expected: PeerId | None
    ) -> Connection:
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
            remote_address=_end(socket, SocketAttribute.remote_address),
            local_address=_end(socket, SocketAttribute.local_address),
            protocols=self._protocols,
            config=self._config,
            timers=self._timers,
            flush=self._flush,
        )

    def _admit(self, connection: Connection) -> str | None:
        """Register it, or say why not. Simultaneous dials may leave two: both are kept."""
        if self._is_closing:
            return "the host is closing"
        if connection.peer == self._me:
            return "it leads to this host itself"
        if self._is_blocked(connection.peer):
            return "the peer is blocked"
        if self._total >= self._config.max_connections:
            return f"{self._total} connections are open, the limit"
        connections = self.by_peer.setdefault(connection.peer, [])
        if len(connections) >= self._config.max_connections_per_peer:
            return f"{len(connections)} connections to the peer are open, the limit"
        connections.append(connection)
        self._total += 1
        self._opened(connection)
        return None

    async def _serve(self, connection: Connection) -> None:
        way = "out" if connection.outbound else "in"
        logger.info("connected peer=%s direction=%s", connection.peer.short(), way)
        try:
            try:
                await connection.run()
            finally:
                self._forget(connection)
        except Exception:
            logger.exception("a bug ended a connection")

    def _forget(self, connection: Connection) -> None:
        self._total -= 1
        connections = self.by_peer[connection.peer]
        connections.remove(connection)
        if not connections:
            del self.by_peer[connection.peer]
        self._closed(connection)
        logger.info(
            "disconnected peer=%s reason=%s", connection.peer.short(), connection.end_reason
        )

    def close_peer(self, peer: bytes, reason: str) -> None:
        """Say goodbye on every connection to a peer."""
        for connection in list(self.by_peer.get(peer, ())):
            connection.close(reason)

    def close_all(self) -> None:
        """Say goodbye on every connection; no new ones are admitted, dials end."""
        self._is_closing = True
        for scope in self._dials:
            scope.cancel()
        for connections in list(self.by_peer.values()):
            for connection in list(connections):
                connection.close("the host closes")


def _end(socket: ByteStream, attribute: object) -> Address | None:
    """The address of one end; None on transports that have none."""
    try:
        name = socket.extra(attribute, None)
    except OSError:  # it has ended already
        return None
    if not isinstance(name, tuple):
        return None
    return Address.of_socket(name[0], name[1])


def _describe(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    number = cause.errno if isinstance(cause, OSError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number)  # asyncio has a text of its own, without the reason
    return getattr(cause, "strerror", None) or str(cause)
