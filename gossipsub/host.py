"""The host: what an application opens to take part in a GossipSub network."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

import anyio

from gossipsub.arguments import addresses_of_one, peer_addresses, peer_alone, peer_id_of
from gossipsub.config import HostConfig
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.host_life import HostLife
from gossipsub.peer_events import PeerEvents
from gossipsub.peer_info import PeerInfo
from gossipsub.pubsub.discovery import Discovery
from gossipsub.pubsub.message import Validator
from gossipsub.pubsub.topic import Topic
from gossipsub.pubsub.validation.overload import OverloadEvents, ValidationStatistics
from gossipsub.pubsub.validation.registered import RegisteredValidator
from gossipsub.router.params import GossipParams, TopicParams
from gossipsub.router.score.explanation import ScoreExplanation
from gossipsub.router.score.snapshot import PeerScoreSnapshot
from gossipsub.settings import HostSettings
from gossipsub.statistics import HostStatistics
from gossipsub.streams.peer_stream import PeerStream
from gossipsub.streams.stream_service import StreamFunction
from gossipsub.transport.gate import ConnectionGate
from gossipsub.transport.introduction import AGENT_VERSION
from gossipsub.transport.network import Network
from gossipsub.transport.resolving import Resolver
from gossipsub.wire.errors import LocalProtocolError

if TYPE_CHECKING:
    from gossipsub.measurements import HostMeasurements
    from gossipsub.snapshot import HostSnapshot
    from gossipsub.watching import TraceTarget

logger = logging.getLogger("gossipsub.host")

LOOPBACK = "/ip4/127.0.0.1/tcp/0"


class Host(HostLife):
    """A node: its identity, its connections, its topics.

    `async with Host(listen=…, key=…, bootstrap=[…]) as host:` under asyncio or trio.

    `listen` is one multiaddr or several; none given means a random port on the loopback interface,
    an empty list means not to listen. `key` is a `PrivateKey` or the path of a key file, which is
    created if it does not exist; without it the identity is new each time. `announce` is told to
    peers instead of where the host listens. `bootstrap` peers are dialled and kept connected; a
    `/dnsaddr/NAME` is resolved by `resolver`. `peerstore` is a file that remembers where peers are,
    made if there is none: those met last are dialled at the start. `direct_peers` are kept
    connected, too, and get every message of their topics outside of the mesh, whatever their score:
    for nodes whose operators trust each other, which each name the other. `discovery` finds peers
    of topics that have too few. `mdns` finds hosts on the local network and lets them find this
    one, on all interfaces or those with the IPv4 addresses given; it needs `gossipsub[discovery]`.
    `network` stands in for TCP; `gate` has a say in every connection. `trace` is a file for events
    in go's format (`.json` or `.pb`), or a function that takes each `TraceEvent`; `record` is a
    file for what `gossipsub replay` replays. Both are overwritten; OSError on opening where they
    cannot be.
    Wrong values raise ValueError here (LocalProtocolError is one), before anything is opened.
    """

    def __init__(
        self,
        *,
        listen: str | Sequence[str] = LOOPBACK,
        announce: str | Iterable[str] = (),
        key: PrivateKey | str | os.PathLike[str] | None = None,
        bootstrap: str | Iterable[str] = (),
        direct_peers: str | Iterable[str] = (),
        peerstore: str | os.PathLike[str] | None = None,
        resolver: Resolver | None = None,
        mdns: bool | Sequence[str] = False,
        params: GossipParams | None = None,
        config: HostConfig | None = None,
        discovery: Discovery | None = None,
        agent_version: str = AGENT_VERSION,
        rng: random.Random | None = None,
        network: Network | None = None,
        gate: ConnectionGate | None = None,
        trace: TraceTarget | None = None,
        record: str | os.PathLike[str] | None = None,
    ) -> None:
        settings = HostSettings(
            listen=listen,
            announce=announce,
            key=key,
            bootstrap=bootstrap,
            direct_peers=direct_peers,
            peerstore=peerstore,
            resolver=resolver,
            mdns=mdns,
            params=params,
            config=config,
            discovery=discovery,
            agent_version=agent_version,
            rng=rng,
            network=network,
            gate=gate,
            trace=trace,
            record=record,
        )
        super().__init__(settings)

    # -- life ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._open()
        logger.info("listening peer=%s addresses=%s", self.peer_id.short(), self.addresses)
        return self

    # -- who and where ---------------------------------------------------------------------

    @property
    def peer_id(self) -> PeerId:
        """Who this host is."""
        return self._settings.me

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where this host listens, each ending in `/p2p/` and its peer id. Where it listens on
        every interface, the loopback address stands for all."""
        return self._node.addresses() if self._node is not None else ()

    # -- peers -----------------------------------------------------------------------------

    async def connect(self, address: str | PeerId | Iterable[str]) -> PeerId:
        """Dial a peer, unless it is connected already; returns its id.

        With several addresses of one peer, the first connection that stands will do. A peer id
        alone is enough where the peer's addresses are known.
        AddressError for a bad address; DialError when nobody answers in time, when it is not the
        peer the address names, when no address is known, when a limit is reached, or when the gate
        forbids it.
        """
        node = self._running()
        peer = peer_alone(address)
        known = addresses_of_one(address) if peer is None else node.contacts.addresses_of(peer)
        return await node.contacts.dialer.dial(known, peer=peer, asked=True)

    def add_addresses(self, addresses: str | Iterable[str]) -> None:
        """Remember where peers are, for `connect` by their id alone and for whenever they are to be
        dialled again. AddressError for a bad address, and one that does not end in /p2p/PEER."""
        node = self._running()
        for address in peer_addresses("peer's", addresses):
            node.contacts.peerstore.tell(address, now=time.time())

    def addresses_of(self, peer: PeerId | str) -> tuple[str, ...]:
        """Where a peer can be dialled as far as this host knows, in the order to try it; each
        ends in `/p2p/` and the peer's id. Beside what the application told these are addresses
        at which it was reached, and those the peer lists itself; of the latter none that a
        stranger could not be expected to know, say in this host's own network."""
        node = self._running()
        return tuple(map(str, node.contacts.addresses_of(peer_id_of(peer))))

    async def disconnect(self, peer: PeerId | str) -> None:
        """Close every connection to the peer; harmless when there is none."""
        await self._running().disconnect(peer_id_of(peer), "closed by the application")

    def add_direct_peer(self, address: str) -> PeerId:
        """Make a peer a direct one, as `direct_peers` does at the start, and dial it; returns its
        id. Called again for the peer, one more address of it is known.

        AddressError for a bad address, one that does not end in /p2p/PEER, and our own.
        """
        node = self._running()
        (parsed,) = peer_addresses("direct peer's", [address])
        return node.add_direct_peer(parsed)

    def remove_direct_peer(self, peer: PeerId | str) -> None:
        """Make it an ordinary peer again; harmless when it is one. Connections stay."""
        node = self._running()
        peer = peer_id_of(peer)
        node.contacts.keeping.remove_direct(peer)
        node.pubsub.remove_direct_peer(peer)

    def protect(self, peer: PeerId | str, tag: str = "application") -> None:
        """Never close the peer's connections to make room for others, and let it in whatever the
        limits (but `max_connections_per_peer`) say, now and when it comes back. Tags let parts of
        an application protect a peer for reasons of their own.

        Direct and bootstrap peers are so without it, and mesh peers stay while they are in a mesh.
        LocalProtocolError for what is no peer id.
        """
        self._running().protection.protect(peer_id_of(peer), tag)

    def unprotect(self, peer: PeerId | str, tag: str = "application") -> bool:
        """Take a tag back, harmless where the peer has none; True where others protect it still."""
        return self._running().protection.unprotect(peer_id_of(peer), tag)

    def peers(self) -> tuple[PeerInfo, ...]:
        """The connected peers."""
        node = self._running()
        return node.peer_infos()

    def peer_events(self, *, buffer: int = 1024) -> PeerEvents:
        """Peers that connect and disconnect, join and leave topics, from now on."""
        node = self._running()
        return node.watch.reader(buffer)

    def block(self, peer: PeerId | str, *, seconds: float | None = None) -> None:
        """Have nothing to do with a peer, for so many seconds or for good: its connections end,
        new ones are refused, and messages it wrote are not taken from anybody, without blame.

        Blocking it again replaces the time. LocalProtocolError for this host itself, for what is
        no peer id, or for a time that is not positive.
        """
        node = self._running()
        peer = peer_id_of(peer)
        if peer == self.peer_id:
            raise LocalProtocolError("a host cannot block itself")
        if seconds is not None and not seconds > 0:
            raise LocalProtocolError(f"seconds must be positive: {seconds}")
        node.pubsub.block(peer, seconds)
        node.connections.close_peer(peer, "blocked by the application")

    def unblock(self, peer: PeerId | str) -> bool:
        """Let a peer connect again; False where it was not blocked."""
        node = self._running()
        return node.pubsub.router.unblacklist(peer_id_of(peer))

    def blocked(self) -> tuple[PeerId, ...]:
        """The peers that are blocked now."""
        node = self._running()
        return node.pubsub.blocked()

    async def ping(self, peer: PeerId | str, *, timeout: float = 10.0) -> float:
        """Seconds of one round trip. PingFailed without an echo, DialError if not connected,
        LocalProtocolError while another ping to the peer is under way."""
        node = self._running()
        return await node.ping.ping(node.connection_to(peer_id_of(peer)), timeout=timeout)

    def scores(self) -> dict[PeerId, PeerScoreSnapshot]:
        """Scores with all that goes into them, also of peers that left in debt; empty while
        `params` has no `score`."""
        node = self._running()
        return node.pubsub.scores()

    def explain_score(self, peer: PeerId | str) -> ScoreExplanation | None:
        """What a peer's score is made of, and what its latest misdeeds cost: `print` it. None
        where the peer is not known or `params` has no `score`."""
        node = self._running()
        return node.pubsub.router.explain_score(peer_id_of(peer))

    # -- streams ---------------------------------------------------------------------------

    async def open_stream(
        self, peer: PeerId | str, protocol: str | Iterable[str], *, timeout: float = 10.0
    ) -> PeerStream:
        """A stream for a protocol of the application's, or the first of several that the peer
        speaks; the peer is dialled if need be. ProtocolNotSupported where it speaks none, DialError
        or StreamReset where it went wrong, TimeoutError after `timeout` seconds."""
        node = self._running()
        with anyio.fail_after(timeout):
            reached = await self.connect(peer_id_of(peer))
            return await node.streams.open(node.connection_to(reached), protocol)

    def set_stream_handler(
        self,
        protocol: str,
        handler: StreamFunction | None,
        *,
        max_streams: int = 256,
        max_streams_per_peer: int = 8,
    ) -> None:
        """Have `handler` serve the streams that peers open for a protocol, each in a task of its
        own, and reset those beyond these numbers; None removes it, what is open goes on.
        LocalProtocolError: there is a handler already, or none to remove, or the host speaks it.
        """
        self._running().streams.set_handler(
            protocol, handler, max_streams=max_streams, max_streams_per_peer=max_streams_per_peer
        )

    # -- topics ----------------------------------------------------------------------------

    async def join(
        self, topic: str, params: TopicParams | None = None, *, fanout_only: bool = False
    ) -> Topic:
        """A handle to publish to and subscribe to a topic, with parameters of its own if given,
        until it is closed.

        With `fanout_only` the host never takes part in the topic: it publishes, and subscriptions
        hear what was published here and nothing else.
        LocalProtocolError when it is joined already, or its name is not a non-empty text;
        ValueError for parameters that cannot work together with the router's.
        """
        node = self._running()
        return node.pubsub.join(topic, params, fanout_only=fanout_only)

    def set_topic_params(self, topic: str, params: TopicParams) -> None:
        """Give a topic, joined or not, other parameters of its own from now on; errors as in
        `join`."""
        node = self._running()
        node.pubsub.set_topic_params(topic, params)

    def set_validator(
        self,
        topic: str,
        validator: Validator | None,
        *,
        timeout: float | None = None,
        concurrency: int = 1024,
        inline: bool = False,
        own: bool = True,
    ) -> None:
        """Let `validator` decide on the topic's messages, and unless `own` is False on ours before
        they leave; None removes it.

        It belongs to the name, not to a handle: it can be set before the topic is joined, and
        holds, also when the topic is closed and joined anew, until it is removed.

        A plain function runs where it is called and must be quick; a coroutine function may take
        its time. True or ACCEPT passes the message on, False or REJECT drops it and blames the
        sender, IGNORE drops it. An exception is logged and counts as IGNORE.

        The options are for coroutine functions. After `timeout` seconds it is cancelled where it
        waits, and the message ignored unless it returns a verdict all the same. Of calls beyond
        `concurrency` the messages are dropped without blame, and taken when they come again. An
        `inline` one is waited for before the next message is judged: messages keep their order,
        and everything waits where it is slow; `concurrency` does not matter then.
        LocalProtocolError: the topic has a validator already, or none to remove; or an option is
        not what it should be.
        """
        pubsub = self._running().pubsub
        pubsub.check_topic(topic)
        if validator is None:
            pubsub.pipeline.validators.remove(topic)
            return
        registered = RegisteredValidator(
            validator, timeout=timeout, concurrency=concurrency, inline=inline, own=own
        )
        pubsub.pipeline.validators.set(topic, registered)

    def add_default_validator(
        self,
        validator: Validator,
        *,
        timeout: float | None = None,
        concurrency: int = 1024,
        inline: bool = False,
        own: bool = True,
    ) -> None:
        """Let `validator` judge the messages of every topic, before the topic's own; options as in
        `set_validator`.

        A message is accepted when all accept it. Plain and inline ones are asked one after the
        other, until one rejects; then the others all at once. REJECT outweighs IGNORE.
        LocalProtocolError: it is a default validator already, or an option is not what it should
        be.
        """
        registered = RegisteredValidator(
            validator, timeout=timeout, concurrency=concurrency, inline=inline, own=own
        )
        self._running().pubsub.pipeline.validators.add_default(registered)

    def remove_default_validator(self, validator: Validator) -> None:
        """Ask it no more. LocalProtocolError where it is no default validator."""
        self._running().pubsub.pipeline.validators.remove_default(validator)

    def validation_statistics(self) -> dict[str, ValidationStatistics]:
        """What validation could not do, by topic: of those in which messages wait now, or some
        were lost, timed out or failed since the host was opened. After 1,024 such topics the
        losses of others are counted together, under ""."""
        pubsub = self._running().pubsub
        return pubsub.overload.by_topic(pubsub.pipeline.queue.waiting())

    def overload_events(self, *, buffer: int = 64) -> OverloadEvents:
        """When validation does not keep up with what peers send, and when it does again, from now
        on."""
        return self._running().pubsub.overload.reader(buffer)

    def statistics(self) -> HostStatistics:
        """What has happened since the host was opened, in numbers."""
        return self._running().statistics()

    def measurements(self) -> HostMeasurements:
        """All that is counted and timed on this host, for monitoring. Costs some milliseconds
        where there are a thousand peers."""
        from gossipsub.measurements import measure

        return measure(self._running())

    async def snapshot(self, *, max_peers: int = 1000, max_topics: int = 1000) -> HostSnapshot:
        """The host as it is now, for support: `print(snapshot.to_json(indent=2))`. Peers' ids and
        addresses and the names of topics are in it; payloads and keys are not.

        Of more peers those in meshes and those with the worst scores are told. It gives way to
        others while it works, so the peers are not all seen at the same instant.
        """
        from gossipsub.snapshot import take_snapshot

        return await take_snapshot(self._running(), max_peers=max_peers, max_topics=max_topics)
