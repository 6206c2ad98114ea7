"""The parts of an open host, and how they hear of each other."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Self

import anyio
from anyio.abc import TaskGroup

from gossipsub.crypto.peer_id import PeerId
from gossipsub.peer_events import PeerEventKind, PeerWatch
from gossipsub.peer_info import PeerInfo
from gossipsub.pubsub.driver import PubSub
from gossipsub.pubsub.standings import standings
from gossipsub.router.effects import TopicPeer
from gossipsub.settings import HostSettings
from gossipsub.statistics import HostStatistics
from gossipsub.streams.stream_service import StreamService
from gossipsub.timers import Timers
from gossipsub.transport.address import Address, AddressError
from gossipsub.transport.connection import Connection, HandlerFactory
from gossipsub.transport.connections import Connections, DialError
from gossipsub.transport.contacts import Contacts
from gossipsub.transport.identify_service import IdentifyService, PeerDetails
from gossipsub.transport.network import NetworkListener
from gossipsub.transport.ping_service import PingService
from gossipsub.transport.reachability import has_public_address
from gossipsub.transport.upgrader import Upgrader
from gossipsub.wire.identify import Identify
from gossipsub.wire.multistream import ProtocolTable

logger = logging.getLogger("gossipsub.host")


class Node:
    """Made by `open`, ended by `close` or `stop`; belongs to one host."""

    tasks: TaskGroup

    def __init__(self, settings: HostSettings) -> None:
        self.settings = settings
        self.timers = Timers()
        self.watch = PeerWatch()
        self.opened_at = self.timers.now()
        self.bytes_in = self.bytes_out = 0
        """What connections that have ended read and wrote."""
        self.listening: list[Address] = []
        self._details: dict[bytes, PeerDetails] = {}
        self._protocols: ProtocolTable[HandlerFactory] = ProtocolTable()
        self.pubsub = PubSub(
            settings.key,
            params=settings.params,
            config=settings.config,
            timers=self.timers,
            rng=settings.rng,
            first_seqno=time.time_ns(),
            direct_peers=[address.peer for address in settings.direct if address.peer],
            connect=lambda wanted: self.contacts.want(wanted),
            topic_peer=self._topic_peer_changed,
            watching=settings.watching,
        )
        self.connections = self._make_connections()
        self.protection = self.connections.admission.protection
        self.contacts = Contacts(self.connections, settings)
        if settings.discovery is not None:
            self.pubsub.use_discovery(settings.discovery, self.contacts.dialing, self.announced)
        self.ping = PingService()
        self.streams = StreamService(self._protocols)
        self._identify = IdentifyService(self._describe, self._peer_identified)
        self._serve_protocols()

    @classmethod
    async def open(cls, settings: HostSettings, stack: AsyncExitStack) -> Self:
        """Listen and start all tasks; leaving `stack` ends them. AddressError where a place to
        listen is refused, OSError for files that cannot be written."""
        await stack.enter_async_context(settings.watching)
        node = cls(settings)
        await node.contacts.open(stack)
        listeners = []
        for address in settings.listen:
            for listener in await node._bind(address):
                stack.push_async_callback(listener.aclose)
                listeners.append(listener)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        node.tasks = node.connections.tasks = node.streams.tasks = tasks
        tasks.start_soon(node.timers.run)
        for listener in listeners:
            tasks.start_soon(node.connections.listen, listener)
        node.contacts.start(tasks, node.listening)
        node.pubsub.start(tasks)
        return node

    async def say_goodbye(self) -> None:
        """Leave topics, close connections; no longer than `close_timeout` whatever peers do."""
        self.pubsub.leave_everything()
        self.watch.end()
        self.pubsub.overload.end()
        self.connections.close_all()
        with anyio.move_on_after(self.settings.config.close_timeout):
            while len(self.connections):
                await anyio.sleep(0.005)

    def connection_to(self, peer: PeerId) -> Connection:
        """DialError where there is none, or it is about to end."""
        connection = self.connections.get(peer)
        if connection is None:
            raise DialError(f"not connected: {peer}")
        return connection

    def add_direct_peer(self, address: Address) -> PeerId:
        """As `Host.add_direct_peer`; the address names the peer."""
        if address.peer is None or address.peer == self.settings.me:
            raise AddressError(f"a host is no direct peer of itself: {address}")
        self.contacts.keeping.add_direct([address])
        self.pubsub.add_direct_peer(address.peer)
        return address.peer

    async def disconnect(self, peer: PeerId, reason: str) -> None:
        """Close every connection to the peer, and wait for that until `close_timeout`."""
        self.connections.close_peer(peer, reason)
        with anyio.move_on_after(self.settings.config.close_timeout):
            while peer in self.connections.by_peer:
                await anyio.sleep(0.005)

    def addresses(self) -> tuple[str, ...]:
        """Where peers on this machine reach it, each ending in `/p2p/` and the peer id."""
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        return tuple(
            str(address.with_host(loopback.get(address.host, address.host)).with_peer(me))
            for me in (self.settings.me,)
            for address in self.listening
        )

    def announced(self) -> tuple[str, ...]:
        """Where others are told that it is, each ending in `/p2p/` and the peer id."""
        told = tuple(str(each.with_peer(self.settings.me)) for each in self.settings.announce)
        return told or self.addresses()

    def peer_infos(self) -> tuple[PeerInfo, ...]:
        """The connected peers."""
        return tuple(self._info(found) for found in self.connections.by_peer.values())

    def peer_info(self, peer: bytes) -> PeerInfo | None:
        """None where it is not connected."""
        connections = self.connections.by_peer.get(peer)
        return self._info(connections) if connections else None

    def statistics(self) -> HostStatistics:
        """What has happened since the start, in numbers."""
        return self.pubsub.statistics(
            connections=len(self.connections),
            refused=dict(self.connections.admission.refused),
            trimmed=self.connections.admission.trimming.trimmed,
            dials_dropped=self.contacts.dialing.dropped,
        )

    # -- what the parts tell each other ----------------------------------------------------

    def _make_connections(self) -> Connections:
        settings = self.settings
        return Connections(
            settings.me,
            config=settings.config,
            network=settings.network,
            timers=self.timers,
            upgrader=Upgrader(
                settings.key,
                config=settings.config,
                timers=self.timers,
                protocols=self._protocols,
                flush=self.pubsub.flush,
            ),
            gate=settings.gate,
            opened=self._connection_opened,
            closed=self._connection_closed,
            is_blocked=self.pubsub.is_blocked,
            is_direct=self.pubsub.router.is_direct,
            standings=lambda peers: standings(self.pubsub.router, peers, now=self.timers.now()),
        )

    async def _bind(self, address: Address) -> list[NetworkListener]:
        try:
            listeners = list(await self.settings.network.listen(address))
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
            reason = getattr(error, "strerror", None) or error
            raise AddressError(f"cannot listen on {address}: {reason}") from error
        self.listening += dict.fromkeys(listener.address for listener in listeners)
        return listeners

    def _serve_protocols(self) -> None:
        self._identify.serve(self._protocols)
        self.ping.serve(self._protocols)
        for protocol in self.pubsub.protocols:
            matches = partial(self.pubsub.speaks, protocol)
            self._protocols.add(protocol, self.pubsub.accept_stream, matches=matches)

    def _topic_peer_changed(self, change: TopicPeer) -> None:
        joined = PeerEventKind.TOPIC_PEER_JOIN
        kind = joined if change.joined else PeerEventKind.TOPIC_PEER_LEAVE
        self.watch.tell(kind, PeerId(change.peer), change.topic)

    def _connection_opened(self, connection: Connection) -> None:
        if len(self.connections.by_peer[connection.peer]) == 1:
            self.watch.tell(PeerEventKind.PEER_CONNECTED, connection.peer)
        self.contacts.connection_opened(connection)
        self.pubsub.connection_opened(connection)
        self._identify.ask(connection)

    def _connection_closed(self, connection: Connection) -> None:
        self._identify.forget(connection)
        self.pubsub.connection_closed(connection)
        self.bytes_in += connection.bytes_in
        self.bytes_out += connection.bytes_out
        if connection.peer not in self.connections.by_peer:
            details = self._details.pop(connection.peer, None)
            self.contacts.disconnected(connection, details)
            self.watch.tell(PeerEventKind.PEER_DISCONNECTED, connection.peer)

    def _peer_identified(self, connection: Connection, details: PeerDetails) -> None:
        if connection.peer not in self._details:
            self.contacts.identified(connection, details)
        self._details[connection.peer] = details
        record, is_listed = details.signed_record, True
        if self.settings.config.exchange_public_only and details.record is not None:
            is_listed = has_public_address(details.record.addresses)
        self.pubsub.peer_identified(
            connection.peer, details.protocols, record if is_listed else None
        )

    def _describe(self, connection: Connection) -> Identify:
        told = self.settings.announce or self.listening
        return self.settings.introduction.describe(
            connection, listening=told, protocols=self._protocols.protocols()
        )

    def _info(self, connections: Sequence[Connection]) -> PeerInfo:
        connection = connections[0]
        details = self._details.get(connection.peer)
        address = connection.remote_address
        ends = [str(each.remote_address) for each in connections if each.remote_address]
        return PeerInfo(
            peer=connection.peer,
            address=None if address is None else str(address),
            outbound=connection.outbound,
            agent_version=None if details is None else details.agent_version,
            protocols=() if details is None else details.protocols,
            topics=tuple(self.pubsub.router.topics_of(connection.peer)),
            pubsub_protocol=self.pubsub.protocol_of(connection.peer),
            connections=len(connections),
            addresses=tuple(ends),
            connected_for=self.timers.now() - connection.opened_at,
            round_trip=connection.round_trip,
        )
