"""A host as threads hold it; every method is the one of `gossipsub.Host` with that name."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gossipsub.config import HostConfig
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.host import LOOPBACK
from gossipsub.host import Host as AsyncHost
from gossipsub.measurements import HostMeasurements
from gossipsub.peer_info import PeerInfo
from gossipsub.pubsub.discovery import Discovery
from gossipsub.pubsub.message import Validator
from gossipsub.pubsub.validation.overload import ValidationStatistics
from gossipsub.router.params import GossipParams, TopicParams
from gossipsub.router.score.explanation import ScoreExplanation
from gossipsub.router.score.snapshot import PeerScoreSnapshot
from gossipsub.snapshot import HostSnapshot
from gossipsub.statistics import HostStatistics
from gossipsub.streams.stream_service import StreamFunction
from gossipsub.threads.loop_thread import LoopThread
from gossipsub.threads.peer_stream import BlockingStreamFunction, PeerStream, serve_in_threads
from gossipsub.threads.readers import OverloadEvents, PeerEvents
from gossipsub.threads.topic import Topic
from gossipsub.threads.validating import DefaultValidators, in_worker_thread
from gossipsub.transport.gate import ConnectionGate
from gossipsub.transport.introduction import AGENT_VERSION
from gossipsub.transport.network import Network
from gossipsub.transport.resolving import Resolver

if TYPE_CHECKING:
    from gossipsub.watching import TraceTarget


class Host:
    """A node, from `with Host(…) as host:`; the arguments are those of `gossipsub.Host`, and
    `backend`, the kind of event loop: "asyncio" or "trio"."""

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
        backend: str = "asyncio",
    ) -> None:
        self._host = AsyncHost(
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
        self._loop = LoopThread(backend)
        self._default_validators = DefaultValidators()

    def __enter__(self) -> Self:
        self._loop.start(self._host)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.stop()

    @property
    def peer_id(self) -> PeerId:
        """Who this host is."""
        return self._host.peer_id

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where this host listens, each ending in `/p2p/` and its peer id."""
        return self._host.addresses

    # -- peers -----------------------------------------------------------------------------

    def connect(self, address: str | PeerId | Iterable[str]) -> PeerId:
        """Dial a peer, unless it is connected already; returns its id."""
        return self._loop.call(self._host.connect, address)

    def add_addresses(self, addresses: str | Iterable[str]) -> None:
        """Remember where peers are."""
        self._loop.call(self._host.add_addresses, addresses)

    def addresses_of(self, peer: PeerId | str) -> tuple[str, ...]:
        """Where a peer can be dialled as far as this host knows, in the order to try it."""
        return self._loop.call(self._host.addresses_of, peer)

    def disconnect(self, peer: PeerId | str) -> None:
        """Close every connection to the peer; harmless when there is none."""
        self._loop.call(self._host.disconnect, peer)

    def add_direct_peer(self, address: str) -> PeerId:
        """Make a peer a direct one, and dial it; returns its id."""
        return self._loop.call(self._host.add_direct_peer, address)

    def remove_direct_peer(self, peer: PeerId | str) -> None:
        """Make it an ordinary peer again; harmless when it is one."""
        self._loop.call(self._host.remove_direct_peer, peer)

    def protect(self, peer: PeerId | str, tag: str = "application") -> None:
        """Never close the peer's connections to make room for others, and always let it in."""
        self._loop.call(self._host.protect, peer, tag)

    def unprotect(self, peer: PeerId | str, tag: str = "application") -> bool:
        """Take a tag back; True where others protect it still."""
        return self._loop.call(self._host.unprotect, peer, tag)

    def peers(self) -> tuple[PeerInfo, ...]:
        """The connected peers."""
        return self._loop.call(self._host.peers)

    def peer_events(self, *, buffer: int = 1024) -> PeerEvents:
        """Peers that connect and disconnect, join and leave topics, from its `with` on."""
        events = self._loop.call(partial(self._host.peer_events, buffer=buffer))
        return PeerEvents(self._loop, events)

    def block(self, peer: PeerId | str, *, seconds: float | None = None) -> None:
        """Have nothing to do with a peer, for so many seconds or for good."""
        self._loop.call(partial(self._host.block, peer, seconds=seconds))

    def unblock(self, peer: PeerId | str) -> bool:
        """Let a peer connect again; False where it was not blocked."""
        return self._loop.call(self._host.unblock, peer)

    def blocked(self) -> tuple[PeerId, ...]:
        """The peers that are blocked now."""
        return self._loop.call(self._host.blocked)

    def ping(self, peer: PeerId | str, *, timeout: float = 10.0) -> float:
        """Seconds of one round trip; PingFailed without an echo."""
        return self._loop.call(partial(self._host.ping, peer, timeout=timeout))

    def scores(self) -> dict[PeerId, PeerScoreSnapshot]:
        """Scores with all that goes into them; empty while `params` has no `score`."""
        return self._loop.call(self._host.scores)

    def explain_score(self, peer: PeerId | str) -> ScoreExplanation | None:
        """What a peer's score is made of, and what its latest misdeeds cost."""
        return self._loop.call(self._host.explain_score, peer)

    # -- streams ---------------------------------------------------------------------------

    def open_stream(
        self, peer: PeerId | str, protocol: str | Iterable[str], *, timeout: float = 10.0
    ) -> PeerStream:
        """A stream to the peer for a protocol of the application's."""
        open_stream = partial(self._host.open_stream, peer, protocol, timeout=timeout)
        return PeerStream(self._loop, self._loop.call(open_stream))

    def set_stream_handler(
        self,
        protocol: str,
        handler: BlockingStreamFunction | None,
        *,
        max_streams: int = 256,
        max_streams_per_peer: int = 8,
    ) -> None:
        """Have `handler` serve the streams that peers open for a protocol, each in a thread of its
        own; None removes it."""
        serve: StreamFunction | None = None
        if handler is not None:
            serve = serve_in_threads(self._loop, handler, max_streams)
        set_handler = partial(
            self._host.set_stream_handler,
            max_streams=max_streams,
            max_streams_per_peer=max_streams_per_peer,
        )
        self._loop.call(set_handler, protocol, serve)

    # -- topics ----------------------------------------------------------------------------

    def join(
        self, topic: str, params: TopicParams | None = None, *, fanout_only: bool = False
    ) -> Topic:
        """A handle to publish to and subscribe to a topic."""
        join = partial(self._host.join, topic, params, fanout_only=fanout_only)
        return Topic(self._loop, self._loop.call(join))

    def set_topic_params(self, topic: str, params: TopicParams) -> None:
        """Give a topic, joined or not, other parameters of its own from now on."""
        self._loop.call(self._host.set_topic_params, topic, params)

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

        A plain function is called in a worker thread, for one message at a time, and may block;
        up to `concurrency` messages wait for it. An `inline` one is called in the host's thread,
        as coroutine functions are, and must be quick."""
        if validator is not None and not inline:
            validator = in_worker_thread(validator)
        set_validator = partial(
            self._host.set_validator,
            timeout=timeout,
            concurrency=concurrency,
            inline=inline,
            own=own,
        )
        self._loop.call(set_validator, topic, validator)

    def add_default_validator(
        self,
        validator: Validator,
        *,
        timeout: float | None = None,
        concurrency: int = 1024,
        inline: bool = False,
        own: bool = True,
    ) -> None:
        """Let `validator` judge the messages of every topic; called as in `set_validator`."""

        def add() -> None:
            known = self._default_validators.substitute(validator)
            new = validator if inline else in_worker_thread(validator)
            self._host.add_default_validator(
                known or new, timeout=timeout, concurrency=concurrency, inline=inline, own=own
            )
            self._default_validators.add(validator, new)

        self._loop.call(add)

    def remove_default_validator(self, validator: Validator) -> None:
        """Ask it no more. LocalProtocolError where it is no default validator."""

        def remove() -> None:
            known = self._default_validators.substitute(validator)
            self._host.remove_default_validator(known or validator)
            self._default_validators.remove(validator)

        self._loop.call(remove)

    def validation_statistics(self) -> dict[str, ValidationStatistics]:
        """What validation could not do, by topic."""
        return self._loop.call(self._host.validation_statistics)

    def overload_events(self, *, buffer: int = 64) -> OverloadEvents:
        """When validation does not keep up with what peers send, and when it does again."""
        events = self._loop.call(partial(self._host.overload_events, buffer=buffer))
        return OverloadEvents(self._loop, events)

    def statistics(self) -> HostStatistics:
        """What has happened since the host was opened, in numbers."""
        return self._loop.call(self._host.statistics)

    def measurements(self) -> HostMeasurements:
        """All that is counted and timed on this host, for monitoring."""
        return self._loop.call(self._host.measurements)

    def snapshot(self, *, max_peers: int = 1000, max_topics: int = 1000) -> HostSnapshot:
        """The host as it is now, for support: `print(snapshot.to_json(indent=2))`."""
        take = partial(self._host.snapshot, max_peers=max_peers, max_topics=max_topics)
        return self._loop.call(take)
