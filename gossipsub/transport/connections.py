"""The connections of a host: dialling, accepting, the way to each peer."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import anyio
from anyio.abc import ByteStream, TaskGroup

from gossipsub.config import HostConfig
from gossipsub.crypto.peer_id import PeerId
from gossipsub.timers import Timers
from gossipsub.transport.address import Address
from gossipsub.transport.admission import Admission
from gossipsub.transport.connection import Connection
from gossipsub.transport.dials import Dials
from gossipsub.transport.gate import ConnectionGate
from gossipsub.transport.ip_limits import Handshakes
from gossipsub.transport.network import Network, NetworkListener
from gossipsub.transport.surplus import Surplus
from gossipsub.transport.trimming import Standing
from gossipsub.transport.upgrader import Upgrader, remote_address
from gossipsub.wire.errors import GossipSubError, LocalProtocolError, RemoteProtocolError

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
    """All connections of a host. `admission` says who may have one."""

    def __init__(
        self,
        me: PeerId,
        *,
        config: HostConfig,
        network: Network,
        timers: Timers,
        upgrader: Upgrader,
        gate: ConnectionGate | None,
        opened: Callable[[Connection], None],
        closed: Callable[[Connection], None],
        is_blocked: Callable[[bytes], bool],
        is_direct: Callable[[bytes], bool],
        standings: Callable[[Iterable[bytes]], Mapping[bytes, Standing]],
    ) -> None:
        self.by_peer: dict[bytes, list[Connection]] = {}
        self.admission = Admission(
            self.by_peer,
            me=me,
            config=config,
            timers=timers,
            gate=gate,
            is_blocked=is_blocked,
            is_direct=is_direct,
            standings=standings,
        )
        self._config = config
        self._network = network
        self._upgrader = upgrader
        self._opened = opened
        self._closed = closed
        self._dials = Dials()
        self._handshakes = Handshakes(config)
        self._surplus = Surplus(self.by_peer, me=me, config=config, timers=timers)
        self._total = 0
        self._is_closing = False
        self.tasks: TaskGroup | None = None

    def __len__(self) -> int:
        return self._total

    def get(self, peer: bytes) -> Connection | None:
        """A connection to the peer that is not about to end."""
        return next((each for each in self.by_peer.get(peer, ()) if each.is_open), None)

    # -- outbound --------------------------------------------------------------------------

    async def dial(self, address: Address, *, asked: bool = False) -> PeerId:
        """The peer's id once a connection to it stands; an existing one will do, and so will a
        dial to the address that is under way. A peer that was closed to make room is left alone
        for a while, unless it is protected or the application has `asked` for it.

        DialError: nobody there, not in time, another peer, no common protocols, the gate or a
        limit forbids it, or the host closes.
        """
        peer = await self._dials.share(address, partial(self._dial, address, asked=asked))
        if peer is None:
            raise DialError(f"{address}: the host is closing")
        return peer

    async def _dial(self, address: Address, *, asked: bool) -> PeerId:
        if self._is_closing:
            raise DialError(f"{address}: the host is closing")
        if address.peer is not None and self.get(address.peer) is not None:
            return address.peer
        refusal = self.admission.refuses_dial(address, asked=asked)
        if refusal is not None:
            raise DialError(f"{address}: {refusal}")
        try:
            with anyio.fail_after(self._config.dial_timeout):
                socket = await self._network.connect(address)
        except TimeoutError as error:
            raise DialError(f"{address}: no answer in time") from error
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
            raise DialError(f"{address}: {_describe(error)}") from error
        if not self._is_where_allowed(socket, address):
            await anyio.aclose_forcefully(socket)
            raise DialError(f"{address}: the gate refuses it")
        return await self._upgrade_dialled(socket, address)

    def _is_where_allowed(self, socket: ByteStream, address: Address) -> bool:
        """The gate has allowed the address; a name may have led to one that it does not."""
        where = remote_address(socket)
        if where is None or where.host == address.host:
            return True
        return self.admission.allows_dial(where.with_peer(address.peer))

    async def _upgrade_dialled(self, socket: ByteStream, address: Address) -> PeerId:
        try:
            connection = await self._upgrader.upgrade(socket, outbound=True, expected=address.peer)
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
        self._dials.reached(connection.peer, address)
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
        address = remote_address(socket)
        if self._is_closing or not self.admission.allows_accept(address):
            await anyio.aclose_forcefully(socket)
            return
        connection = await self._upgrade_accepted(socket, address)
        if connection is None:
            return
        refusal = self._admit(connection)
        if refusal is not None:
            logger.debug("refused peer=%s reason=%s", connection.peer.short(), refusal)
            await anyio.aclose_forcefully(socket)
            return
        await self._serve(connection)

    async def _upgrade_accepted(
        self, socket: ByteStream, address: Address | None
    ) -> Connection | None:
        with anyio.CancelScope() as scope:
            place = self._handshakes.enter(address, scope.cancel)
            try:
                return await self._upgrader.upgrade(socket, outbound=False, expected=None)
            except (RemoteProtocolError, TimeoutError, *STREAM_ERRORS) as error:
                logger.debug("inbound handshake failed error=%s", error)
            except Exception:
                logger.exception("a bug ended an inbound handshake")
            finally:
                self._handshakes.leave(place)
        if scope.cancelled_caught:
            self.admission.count("handshake")
            logger.debug("an inbound handshake gave way to another address=%s", address)
        return None

    # -- both ------------------------------------------------------------------------------

    def _admit(self, connection: Connection) -> str | None:
        """Register it, or say why not. Simultaneous dials may leave two: both are kept."""
        if self._is_closing:
            return "the host is closing"
        refusal = self.admission.refuses(connection)
        if refusal is not None:
            return refusal
        self.by_peer.setdefault(connection.peer, []).append(connection)
        self._total += 1
        self.admission.opened(connection)
        self._surplus.opened(connection.peer)
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
        self.admission.closed(connection)
        self._surplus.closed(connection.peer)
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
        self._dials.cancel_all()
        for connections in list(self.by_peer.values()):
            for connection in list(connections):
                connection.close("the host closes")


def _describe(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    number = cause.errno if isinstance(cause, OSError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number)  # asyncio has a text of its own, without the reason
    return getattr(cause, "strerror", None) or str(cause)
