"""A host at one moment, for support: all that helps to understand it, no payloads, no keys."""

from __future__ import annotations

import heapq
import json
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from gossipsub.crypto.peer_id import PeerId
from gossipsub.measurements import HostMeasurements, measure
from gossipsub.peer_info import PeerInfo
from gossipsub.plain_values import plain
from gossipsub.pubsub.subscription import SubscriptionStatistics
from gossipsub.router.score.explanation import ScoreExplanation
from gossipsub.router.snapshot import PeerSnapshot, Snapshot, TopicSnapshot

if TYPE_CHECKING:
    from gossipsub.node import Node

FORMAT = 1
"""Goes up when a key of the JSON is renamed or removed."""
SLICE = 0.005
"""Seconds of work after which everybody else gets a turn."""
PEER_TOPICS = 100
"""Topics named of one peer."""
SCORE_PARTS, SCORE_EVENTS = 32, 16
"""The largest parts of a score that are told, and its latest events."""
PACKAGES = ("gossipsub", "cryptography", "protobuf", "anyio", "multiaddr")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """A topic that is joined, or was published to of late."""

    name: str
    delivers: bool
    """Its messages are delivered here: not so where it is only relayed."""
    relays: int
    subscriptions: tuple[SubscriptionStatistics, ...]
    """Those of the application, oldest first."""
    peers: int
    """Connected peers that are subscribed to it."""
    mesh: tuple[PeerId, ...] | None
    """None where the topic is not joined."""
    fanout: tuple[PeerId, ...] | None
    backoffs: int
    """Peers that must not be grafted yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionState:
    address: str | None
    outbound: bool
    streams: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerState:
    """A connected peer. Agent version, protocols and topics are what it says of itself."""

    info: PeerInfo
    """With at most `PEER_TOPICS` topics."""
    topic_count: int
    direct: bool
    meshes: tuple[str, ...]
    """Topics in whose mesh it is here."""
    score: float | None
    """None while scoring is off."""
    score_explanation: tuple[str, ...]
    """In lines: the largest parts, the latest events, in seconds before the snapshot."""
    connections: tuple[ConnectionState, ...]
    queue_rpcs: int
    """RPCs that wait to be sent to it."""
    queue_bytes: int
    queue_dropped: int
    """RPCs that found no room, since it connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSnapshot:
    """A host at one moment. Peers are read one after the other while the host goes on."""

    format: int
    taken_at: float
    """Seconds since 1970, in UTC."""
    peer_id: PeerId
    addresses: tuple[str, ...]
    versions: Mapping[str, str]
    config: Mapping[str, Any]
    """The fields of `HostConfig`."""
    params: Mapping[str, Any]
    """The fields of `GossipParams`; functions by their names."""
    measurements: HostMeasurements
    topics: tuple[TopicState, ...]
    topics_left_out: int
    peers: tuple[PeerState, ...]
    peers_left_out: int

    def to_json(self, *, indent: int | None = None) -> str:
        """As one JSON object with the names of the fields as keys; peer ids in base58, numbers
        that are not finite as null. ASCII alone. Of a thousand peers it takes longer than an
        event loop should wait: use a thread, or `json_pieces`."""
        if indent is None:
            return "".join(self.json_pieces())
        return json.dumps(json.loads("".join(self.json_pieces())), indent=indent)

    def json_pieces(self) -> Iterator[str]:
        """What `to_json` gives, in pieces that take a moment each."""
        for index, name in enumerate(self.__slots__):
            yield f"{',' if index else '{'}{json.dumps(name)}:"
            value = getattr(self, name)
            if isinstance(value, tuple):
                yield "["
                for position, item in enumerate(value):
                    yield f"{',' if position else ''}{json.dumps(plain(item))}"
                yield "]"
            else:
                yield json.dumps(plain(value))
        yield "}"


async def take_snapshot(node: Node, *, max_peers: int, max_topics: int) -> HostSnapshot:
    """Of at most so many peers: those in meshes first, then those with the worst scores."""
    tables = node.pubsub.router.snapshot()
    measurements = measure(node, tables)
    await anyio.lowlevel.checkpoint()
    peers = await _peers(node, tables, max_peers)
    settings = node.settings
    topics = tuple(
        _topic(node, name, topic) for name, topic in list(tables.topics.items())[:max_topics]
    )
    return HostSnapshot(
        format=FORMAT,
        taken_at=time.time(),
        peer_id=settings.me,
        addresses=node.addresses(),
        versions=versions(),
        config=plain(settings.config),
        params=plain(settings.params),
        measurements=measurements,
        topics=topics,
        topics_left_out=len(tables.topics) - len(topics),
        peers=peers,
        peers_left_out=max(len(node.connections.by_peer) - len(peers), 0),
    )


@cache
def versions() -> Mapping[str, str]:
    """Of Python, the system, and the packages that matter."""
    from importlib import metadata

    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _topic(node: Node, name: str, topic: TopicSnapshot) -> TopicState:
    joined = node.pubsub.topics.get(name)
    return TopicState(
        name=name,
        delivers=topic.delivers,
        relays=0 if joined is None else joined.relays,
        subscriptions=() if joined is None else joined.subscription_statistics(),
        peers=topic.peers,
        mesh=None if topic.mesh is None else tuple(map(PeerId, topic.mesh)),
        fanout=None if topic.fanout is None else tuple(map(PeerId, topic.fanout)),
        backoffs=topic.backoffs,
    )


async def _peers(node: Node, tables: Snapshot, most: int) -> tuple[PeerState, ...]:
    known = tables.peers

    def rank(peer: bytes) -> tuple[bool, float]:
        record = known.get(peer)
        return (True, 0.0) if record is None else (not record.meshes, record.score)

    chosen = heapq.nsmallest(most, node.connections.by_peer, key=rank)
    states: list[PeerState] = []
    began = time.perf_counter()
    for peer in chosen:
        if time.perf_counter() - began > SLICE:
            await anyio.lowlevel.checkpoint()
            began = time.perf_counter()
        state = _peer(node, peer, known.get(peer))
        if state is not None:
            states.append(state)
    return tuple(states)


def _peer(node: Node, peer: bytes, record: PeerSnapshot | None) -> PeerState | None:
    """None where it disconnected meanwhile."""
    info, driven = node.peer_info(peer), node.pubsub.peers.get(peer)
    if info is None or driven is None:
        return None
    explanation = node.pubsub.router.explain_score(peer)
    return PeerState(
        info=replace(info, topics=info.topics[:PEER_TOPICS]),
        topic_count=len(info.topics),
        direct=record is not None and record.direct,
        meshes=() if record is None else record.meshes,
        score=None if explanation is None else explanation.score,
        score_explanation=() if explanation is None else _lines(explanation, node.timers.now()),
        connections=tuple(
            ConnectionState(
                address=None if each.remote_address is None else str(each.remote_address),
                outbound=each.outbound,
                streams=len(each.streams),
                bytes_in=each.bytes_in,
                bytes_out=each.bytes_out,
            )
            for each in driven.connections
        ),
        queue_rpcs=driven.queue.rpcs,
        queue_bytes=driven.queue.bytes,
        queue_dropped=driven.queue.dropped,
    )


def _lines(explanation: ScoreExplanation, now: float) -> tuple[str, ...]:
    parts = heapq.nlargest(SCORE_PARTS, explanation.parts, key=lambda part: abs(part.value))
    events = [replace(event, at=event.at - now) for event in explanation.events[-SCORE_EVENTS:]]
    short = replace(explanation, parts=tuple(parts), events=tuple(events))
    return tuple(str(short).splitlines())
