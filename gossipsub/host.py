"""The host: what an application opens to take part in a GossipSub network."""

from __future__ import annotations

import logging
import os
import random
import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self, cast

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream
from anyio.streams.stapled import MultiListener

from gossipsub.arguments import (
    listen_addresses,
    peer_addresses,
    peer_id_of,
    require_kind,
    require_own,
)
from gossipsub.config import HostConfig
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.identity import identity_of
from gossipsub.peer_events import PeerEventKind, PeerEvents, PeerWatch
from gossipsub.peer_info import PeerInfo
from gossipsub.pubsub.discovery import Discovery
from gossipsub.pubsub.driver import PubSub
from gossipsub.pubsub.lax_signing import warn_of_lax_signing
from gossipsub.pubsub.message import Validator
from gossipsub.pubsub.topic import Topic
from gossipsub.router.effects import TopicPeer
from gossipsub.router.params import GossipParams, TopicParams
from gossipsub.router.score.explanation import ScoreExplanation
from gossipsub.router.score.snapshot import PeerScoreSnapshot
from gossipsub.statistics import HostStatistics
from gossipsub.timers import Timers
from gossipsub.transport.address import Address, AddressError
from gossipsub.transport.connection import Connection, HandlerFactory
from gossipsub.transport.connections import Connections, DialError
from gossipsub.transport.dialing import Dialing
from gossipsub.transport.identify_service import IdentifyService, PeerDetails
from gossipsub.transport.introduction import AGENT_VERSION, Introduction
from gossipsub.transport.ping_service import PingService
from gossipsub.transport.reachability import has_public_address
from gossipsub.watching import TraceTarget, Watching
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.identify import Identify
from gossipsub.wire.multistream import ProtocolTable

logger = logging.getLogger("gossipsub.host")

LOOPBACK = "/ip4/127.0.0.1/tcp/0"


class Host:
    """A node: its identity, its connections, its topics.

    `async with Host(listen=…, key=…, bootstrap=[…]) as host:` under asyncio or trio.

    `listen` is one multiaddr or several; none given means a random port on the loopback
    interface, an empty list means not to listen. `key` is a `PrivateKey` or the path of a key
    file, which is created if it does not exist; without it the identity is new each time.
    `bootstrap` peers are dialled and kept connected. `direct_peers` are so, too, and get every
    message of their topics outside of the mesh, whatever their score: for nodes whose operators
    trust each other, which each name the other. `discovery` finds peers of topics that have too
    few. `trace` is a file for events in go's format (`.json` or `.pb`), or a function that takes
    each `TraceEvent`; `record` is a file for what `gossipsub replay` replays. Both are
    overwritten; OSError on opening where they cannot be.
    Wrong values raise LocalProtocolError (or ValueError from the parameter classes) here, before
    anything is opened.
    """

    def __init__(
        self,
        *,
        listen: str | Sequence[str] = LOOPBACK,
        key: PrivateKey | str | os.PathLike[str] | None = None,
        bootstrap: str | Iterable[str] = (),
        direct_peers: str | Iterable[str] = (),
        params: GossipParams | None = None,
        config: HostConfig | None = None,
        discovery: Discovery | None = None,
        agent_version: str = AGENT_VERSION,
        rng: random.Random | None = None,
        trace: TraceTarget | None = None,
        record: str | os.PathLike[str] | None = None,
    ) -> None:
        require_kind("params", params, GossipParams)
        require_kind("config", config, HostConfig)
        self._listen = listen_addresses(listen)
        self._bootstrap = peer_addresses("bootstrap", bootstrap)
        self._direct = peer_addresses("direct peer's", direct_peers)
        self._key = identity_of(key)
        require_own(self._listen, self.peer_id)
        for address in self._direct:
            if address.peer == self.peer_id:
                raise AddressError(f"a host is no direct peer of itself: {address}")
        self._params = params or GossipParams()
        own = (topic.signature_policy for topic in self._params.topics.values())
        for policy in (self._params.signature_policy, *own):
            warn_of_lax_signing(policy)
        self._config = config or HostConfig()
        self._watching = Watching(
            trace=trace, record=record, close_timeout=self._config.close_timeout
        )
        self._introduction = Introduction(self._key, agent_version, self._params.protocols)
        self._rng = rng or random.Random(secrets.randbits(64))
        self._discovery = discovery
        self._details: dict[bytes, PeerDetails] = {}
        self._listening: list[Address] = []
        self._exit: AsyncExitStack | None = None
        self._was_opened = False

    # -- life ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._was_opened:
            raise LocalProtocolError("a host is opened once; make another")
        self._was_opened = True
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._watching)
            self._assemble()
            bound = [
                await stack.enter_async_context(await self._bind(address))
                for address in self._listen
            ]
            tasks = await stack.enter_async_context(anyio.create_task_group())
            self._connections.tasks = self._dialing.tasks = tasks
            tasks.start_soon(self._timers.run)
            tasks.start_soon(self._pubsub.pipeline.run)
            for listener in (each for multiple in bound for each in multiple.listeners):
                tasks.start_soon(self._connections.listen, cast(SocketListener, listener))
            for address in self._bootstrap:
                tasks.start_soon(self._dialing.keep_connected, address)
            self._pubsub.start(tasks)
            self._tasks = tasks
            self._exit = stack.pop_all()
        logger.info("listening peer=%s addresses=%s", self.peer_id.short(), self.addresses)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self._exit is None:
            return None
        stack, self._exit = self._exit, None
        try:
            with anyio.CancelScope(shield=True):
                await self._say_goodbye()
        except BaseException as interruption:  # asyncio's own way to cancel knows no shield
            await self._stop(stack, interruption)
            raise
        return await self._stop(stack, error)

    async def _stop(self, stack: AsyncExitStack, error: BaseException | None) -> bool | None:
        """End all tasks, close the sockets; True when `error` was these tasks' cancellation."""
        self._tasks.cancel_scope.cancel()
        if error is None or not _is_cancellation(error):
            # The application's own: it must not come out of here as part of a group.
            return await stack.__aexit__(None, None, None)
        return await stack.__aexit__(type(error), error, error.__traceback__)

    async def _say_goodbye(self) -> None:
        """Leave topics, close connections; no longer than `close_timeout` whatever peers do."""
        self._pubsub.leave_everything()
        self._watch.end()
        self._connections.close_all()
        with anyio.move_on_after(self._config.close_timeout):
            while len(self._connections):
                await anyio.sleep(0.005)

    def _assemble(self) -> None:
        self._timers = Timers()
        self._watch = PeerWatch()
        self._protocols: ProtocolTable[HandlerFactory] = ProtocolTable()
        self._pubsub = PubSub(
            self._key,
            params=self._params,
            config=self._config,
            timers=self._timers,
            rng=self._rng,
            first_seqno=time.time_ns(),
            direct_peers=[address.peer for address in self._direct if address.peer],
            connect=lambda wanted: self._dialing.connect_wanted(wanted),
            topic_peer=self._topic_peer_changed,
            watching=self._watching,
        )
        self._connections = Connections(
            self._key,
            config=self._config,
            timers=self._timers,
            protocols=self._protocols,
            flush=self._pubsub.flush,
            opened=self._connection_opened,
            closed=self._connection_closed,
            is_blocked=self._pubsub.is_blocked,
        )
        self._dialing = Dialing(self._connections, config=self._config, rng=self._rng)
        self._dialing.add_direct(self._direct)
        if self._discovery is not None:
            self._pubsub.use_discovery(self._discovery, self._dialing, lambda: self.addresses)
        self._identify = IdentifyService(self._describe, self._peer_identified)
        self._ping = PingService()
        self._identify.serve(self._protocols)
        self._ping.serve(self._protocols)
        for protocol in self._pubsub.protocols:
            matches = partial(self._pubsub.speaks, protocol)
            self._protocols.add(protocol, self._pubsub.accept_stream, matches=matches)

    async def _bind(self, address: Address) -> MultiListener[SocketStream]:
        """Open a listening socket, for a name maybe several; AddressError if that is refused."""
        try:
            multi = await anyio.create_tcp_listener(
                local_host=address.host, local_port=address.port, family=address.family
            )
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
            reason = getattr(error, "strerror", None) or error
            raise AddressError(f"cannot listen on {address}: {reason}") from error
        ports = {int(each.extra(SocketAttribute.local_port)): None for each in multi.listeners}
        self._listening += [Address(address.protocol, address.host, port) for port in ports]
        return multi

    # -- who and where ---------------------------------------------------------------------

    @property
    def peer_id(self) -> PeerId:
        return self._key.peer_id()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where this host listens, each ending in `/p2p/` and its peer id. Where it listens on
        every interface, the loopback address stands for all."""
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        return tuple(
            str(address.with_host(loopback.get(address.host, address.host)).with_peer(self.peer_id))
            for address in self._listening
        )

    # -- peers -----------------------------------------------------------------------------

    async def connect(self, address: str) -> PeerId:
        """Dial a peer, unless it is connected already; returns its id.

        AddressError for a bad address; DialError when nobody answers in time, when it is not the
        peer the address names, or when a limit is reached.
        """
        self._require_running()
        return await self._connections.dial(Address.parse(address))

    async def disconnect(self, peer: PeerId | str) -> None:
        """Close every connection to the peer; harmless when there is none."""
        self._require_running()
        peer = peer_id_of(peer)
        for connection in list(self._connections.by_peer.get(peer, ())):
            connection.close("closed by the application")
        with anyio.move_on_after(self._config.close_timeout):
            while peer in self._connections.by_peer:
                await anyio.sleep(0.005)

    def add_direct_peer(self, address: str) -> PeerId:
        """Make a peer a direct one, as `direct_peers` does at the start, and dial it; returns its
        id. Called again for the peer, one more address of it is known.

        AddressError for a bad address, one that does not end in /p2p/PEER, and our own.
        """
        self._require_running()
        (parsed,) = peer_addresses("direct peer's", [address])
        if parsed.peer is None or parsed.peer == self.peer_id:
            raise AddressError(f"a host is no direct peer of itself: {address}")
        self._dialing.add_direct([parsed])
        self._pubsub.add_direct_peer(parsed.peer)
        return parsed.peer

    def remove_direct_peer(self, peer: PeerId | str) -> None:
        """Make it an ordinary peer again; harmless when it is one. Connections stay."""
        self._require_running()
        peer = peer_id_of(peer)
        self._dialing.remove_direct(peer)
        self._pubsub.remove_direct_peer(peer)

    def peers(self) -> tuple[PeerInfo, ...]:
        """The connected peers."""
        self._require_running()
        return tuple(self._info(found[0]) for found in self._connections.by_peer.values())

    def peer_events(self, *, buffer: int = 1024) -> PeerEvents:
        """Peers that connect and disconnect, join and leave topics, from now on."""
        self._require_running()
        return self._watch.reader(buffer)

    def block(self, peer: PeerId | str, *, seconds: float | None = None) -> None:
        """Have nothing to do with a peer, for so many seconds or for good: its connections end,
        new ones are refused, and messages it wrote are not taken from anybody, without blame.

        Blocking it again replaces the time. LocalProtocolError for this host itself, for what is
        no peer id, or for a time that is not positive.
        """
        self._require_running()
        peer = peer_id_of(peer)
        if peer == self.peer_id:
            raise LocalProtocolError("a host cannot block itself")
        if seconds is not None and not seconds > 0:
            raise LocalProtocolError(f"seconds must be positive: {seconds}")
        self._pubsub.block(peer, seconds)
        for connection in list(self._connections.by_peer.get(peer, ())):
            connection.close("blocked by the application")

    def unblock(self, peer: PeerId | str) -> bool:
        """Let a peer connect again; False where it was not blocked."""
        self._require_running()
        return self._pubsub.router.unblacklist(peer_id_of(peer))

    def blocked(self) -> tuple[PeerId, ...]:
        """The peers that are blocked now."""
        self._require_running()
        return self._pubsub.blocked()

    async def ping(self, peer: PeerId | str, *, timeout: float = 10.0) -> float:
        """Seconds of one round trip. PingFailed without an echo, DialError if not connected,
        LocalProtocolError while another ping to the peer is under way."""
        self._require_running()
        peer = peer_id_of(peer)
        connection = self._connections.get(peer)
        if connection is None:
            raise DialError(f"not connected: {peer}")
        return await self._ping.ping(connection, timeout=timeout)

    def scores(self) -> dict[PeerId, PeerScoreSnapshot]:
        """Scores with all that goes into them, also of peers that left in debt; empty while
        `params` has no `score`."""
        self._require_running()
        return self._pubsub.scores()

    def explain_score(self, peer: PeerId | str) -> ScoreExplanation | None:
        """What a peer's score is made of, and what its latest misdeeds cost: `print` it. None
        where the peer is not known or `params` has no `score`."""
        self._require_running()
        return self._pubsub.router.explain_score(peer_id_of(peer))

    def _info(self, connection: Connection) -> PeerInfo:
        details = self._details.get(connection.peer)
        address = connection.remote_address
        return PeerInfo(
            peer=connection.peer,
            address=None if address is None else str(address),
            outbound=connection.outbound,
            agent_version=None if details is None else details.agent_version,
            protocols=() if details is None else details.protocols,
            topics=tuple(self._pubsub.router.topics_of(connection.peer)),
            pubsub_protocol=self._pubsub.protocol_of(connection.peer),
        )

    # -- topics ----------------------------------------------------------------------------

    async def join(
        self, topic: str, params: TopicParams | None = None, *, fanout_only: bool = False
    ) -> Topic:
        """A handle to publish to and subscribe to a topic, with parameters of its own if given.

        With `fanout_only` the host never takes part in the topic: it publishes, and subscriptions
        hear what was published here and nothing else.
        LocalProtocolError when it is joined already, or its name is not a non-empty text;
        ValueError for parameters that cannot work together with the router's.
        """
        self._require_running()
        return self._pubsub.join(topic, params, fanout_only=fanout_only)

    def set_topic_params(self, topic: str, params: TopicParams) -> None:
        """Give a topic, joined or not, other parameters of its own from now on; errors as in
        `join`."""
        self._require_running()
        self._pubsub.set_topic_params(topic, params)

    def set_validator(self, topic: str, validator: Validator | None) -> None:
        """Let `validator` decide on the topic's messages, ours too; None removes it.

        A plain function runs where it is called and must be quick; a coroutine function may take
        its time. True or ACCEPT passes the message on, False or REJECT drops it and blames the
        sender, IGNORE drops it. An exception is logged and counts as IGNORE.
        LocalProtocolError: the topic has a validator already, or none to remove.
        """
        self._require_running()
        self._pubsub.set_validator(topic, validator)

    def statistics(self) -> HostStatistics:
        """What has happened since the host was opened, in numbers."""
        self._require_running()
        return self._pubsub.statistics(
            connections=len(self._connections), dials_dropped=self._dialing.dropped
        )

    # -- inside ----------------------------------------------------------------------------

    def _require_running(self) -> None:
        if self._exit is None and self._was_opened:
            raise LocalProtocolError("the host is closed")
        if self._exit is None:
            raise LocalProtocolError("open the host first: async with Host(…) as host")

    def _topic_peer_changed(self, change: TopicPeer) -> None:
        joined = PeerEventKind.TOPIC_PEER_JOIN
        kind = joined if change.joined else PeerEventKind.TOPIC_PEER_LEAVE
        self._watch.tell(kind, PeerId(change.peer), change.topic)

    def _connection_opened(self, connection: Connection) -> None:
        if len(self._connections.by_peer[connection.peer]) == 1:
            self._watch.tell(PeerEventKind.PEER_CONNECTED, connection.peer)
        self._pubsub.connection_opened(connection)
        self._identify.ask(connection)

    def _connection_closed(self, connection: Connection) -> None:
        self._identify.forget(connection)
        self._pubsub.connection_closed(connection)
        if connection.peer not in self._connections.by_peer:
            self._details.pop(connection.peer, None)
            self._watch.tell(PeerEventKind.PEER_DISCONNECTED, connection.peer)

    def _peer_identified(self, connection: Connection, details: PeerDetails) -> None:
        self._details[connection.peer] = details
        record, is_listed = details.signed_record, True
        if self._config.exchange_public_only and details.record is not None:
            is_listed = has_public_address(details.record.addresses)
        self._pubsub.peer_identified(
            connection.peer, details.protocols, record if is_listed else None
        )

    def _describe(self, connection: Connection) -> Identify:
        return self._introduction.describe(
            connection, listening=self._listening, protocols=self._protocols.protocols()
        )


def _is_cancellation(error: BaseException) -> bool:
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(cancelled) is not None
    return isinstance(error, cancelled)
