"""Peer scores (v1.1, "The Score Function"): the counters of every peer, and what they add up to."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from gossipsub.router.addresses import AddressTable
from gossipsub.router.heartbeat import HeartbeatClock
from gossipsub.router.score_params import LARGEST, PeerScoreParams, TopicScoreParams

_NOISE = 1e-6
"""Clock readings are floats: 0.3 - 0.1 must still be two quanta of 0.1."""


@dataclass(slots=True)
class _TopicCounters:
    params: TopicScoreParams
    in_mesh: bool = False
    graft_time: float = 0.0
    time_in_mesh: float = 0.0
    """As of the last refresh."""
    is_active: bool = False
    """Long enough in the mesh for P3."""
    first_deliveries: float = 0.0
    mesh_deliveries: float = 0.0
    mesh_failures: float = 0.0
    invalid_deliveries: float = 0.0

    def deficit(self) -> float:
        """How many deliveries the peer is short of, where that counts (P3)."""
        if not self.is_active:
            return 0.0
        return max(self.params.mesh_message_deliveries_threshold - self.mesh_deliveries, 0.0)

    def contribution(self) -> float:
        """What the topic adds to the score."""
        p = self.params
        p1 = 0.0
        if self.in_mesh:
            quanta = self.time_in_mesh / p.time_in_mesh_quantum + _NOISE
            # The inner min keeps infinity, of a tiny quantum, away from floor.
            p1 = min(math.floor(min(quanta, LARGEST)), p.time_in_mesh_cap)
        deficit = self.deficit()
        invalid = self.invalid_deliveries
        return p.topic_weight * (
            p.time_in_mesh_weight * p1
            + p.first_message_deliveries_weight * self.first_deliveries
            + p.mesh_message_deliveries_weight * (deficit * deficit)
            + p.mesh_failure_penalty_weight * self.mesh_failures
            + p.invalid_message_deliveries_weight * (invalid * invalid)
        )

    def leave_mesh(self) -> None:
        """P3 becomes P3b, and ends. go lets P3 run on, so that it is paid for twice."""
        deficit = self.deficit()
        self.mesh_failures += deficit * deficit
        self.in_mesh = self.is_active = False

    def refresh(self, to_zero: float, now: float) -> bool:
        """Decay, and take the time; False where nothing is left to remember."""
        p = self.params
        first = self.first_deliveries * p.first_message_deliveries_decay
        self.first_deliveries = first = 0.0 if first < to_zero else first
        mesh = self.mesh_deliveries * p.mesh_message_deliveries_decay
        self.mesh_deliveries = mesh = 0.0 if mesh < to_zero else mesh
        failures = self.mesh_failures * p.mesh_failure_penalty_decay
        self.mesh_failures = failures = 0.0 if failures < to_zero else failures
        invalid = self.invalid_deliveries * p.invalid_message_deliveries_decay
        self.invalid_deliveries = invalid = 0.0 if invalid < to_zero else invalid
        if not self.in_mesh:
            return bool(first or mesh or failures or invalid)
        self.time_in_mesh = now - self.graft_time
        if self.time_in_mesh > p.mesh_message_deliveries_activation + _NOISE:
            self.is_active = True
        return True


@dataclass(slots=True)
class _PeerCounters:
    addresses: tuple[str, ...] = ()
    topics: dict[str, _TopicCounters] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)
    """What each topic contributes, but for those that changed since. A copy of a message changes
    one of many topics, and is followed by a look at the score."""
    changed: dict[str, _TopicCounters] = field(default_factory=dict)
    behaviour_penalty: float = 0.0
    colocation: float | None = None
    """P6, unweighted; None: to be computed anew."""
    value: float | None = None
    """The score without P5; None: to be computed anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicScoreSnapshot:
    """One topic's part in a peer's score."""

    score: float
    """What it contributes, weighted, before the cap on all topics."""
    in_mesh: bool
    time_in_mesh: float
    """Seconds, as of the last refresh; 0 outside the mesh."""
    first_message_deliveries: float
    mesh_message_deliveries: float
    mesh_failure_penalty: float
    invalid_message_deliveries: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerScoreSnapshot:
    """A peer's score with the counters behind it; unweighted but for the `score` fields."""

    score: float
    topics: dict[str, TopicScoreSnapshot]
    app_specific_score: float
    ip_colocation_factor: float
    behaviour_penalty: float
    """The counter, before threshold and square."""


class PeerScores:
    """Counters of connected peers, and of those that left in debt, `max_retained` of them.

    A peer has counters only for topics with parameters. Peers never added score 0 and count
    nothing. `now` is as for the router.
    """

    def __init__(self, params: PeerScoreParams, *, max_retained: int, now: float) -> None:
        self._params = params
        self._max_retained = max_retained
        self._topic_params = dict(params.topics)
        self._peers: dict[bytes, _PeerCounters] = {}
        self._retained: OrderedDict[bytes, float] = OrderedDict()  # oldest first: found at once
        self._addresses = AddressTable(whitelist=params.ip_colocation_factor_whitelist)
        self._clock = HeartbeatClock(
            start=now + params.decay_interval, interval=params.decay_interval
        )
        self.app_failures = 0
        """How often the application's function raised, or gave no finite number."""

    def __len__(self) -> int:
        return len(self._peers)

    # Peers

    def add_peer(self, peer: bytes, ips: Iterable[str]) -> None:
        """A peer connected; one that left in debt takes its counters up again."""
        self._retained.pop(peer, None)
        if peer not in self._peers:
            self._peers[peer] = _PeerCounters()
        self.set_addresses(peer, ips)

    def set_addresses(self, peer: bytes, ips: Iterable[str]) -> None:
        """All addresses the peer is connected from; relayed connections have none."""
        counters = self._peers.get(peer)
        if counters is not None:
            self._clear_addresses(peer, counters)
            counters.addresses = self._addresses.add(peer, ips)
            counters.value = counters.colocation = None
            self._addresses_changed(counters.addresses)

    def remove_peer(self, peer: bytes, now: float) -> None:
        """A peer disconnected. A good score is forgotten, so that nobody can save one up for an
        attack; any other is kept for a while, so that reconnecting does not clear it."""
        counters = self._peers.get(peer)
        if counters is None or peer in self._retained:
            return
        if self.score(peer) > 0.0:
            self._forget(peer)
            return
        for topic in counters.topics.values():
            if topic.in_mesh:
                topic.leave_mesh()
            topic.first_deliveries = 0.0
        counters.changed.update(counters.topics)
        counters.value = None
        self._retained[peer] = now + self._params.retain_score
        if len(self._retained) > self._max_retained:
            self._forget(next(iter(self._retained)))

    # What peers do

    def graft(self, peer: bytes, topic: str, now: float) -> None:
        """The peer came into the topic's mesh."""
        counters = self._counters(peer, topic)
        if counters is not None and not counters.in_mesh:
            counters.in_mesh, counters.graft_time, counters.time_in_mesh = True, now, 0.0

    def prune(self, peer: bytes, topic: str) -> None:
        """The peer left the mesh, by whosever will."""
        record = self._peers.get(peer)
        counters = None if record is None else record.topics.get(topic)
        if record is not None and counters is not None and counters.in_mesh:
            counters.leave_mesh()
            record.changed[topic] = counters
            record.value = None

    def first_delivery(self, peer: bytes, topic: str) -> None:
        """The peer was first to deliver a message that proved valid (P2; P3 in the mesh)."""
        counters = self._counters(peer, topic)
        if counters is not None:
            cap = counters.params.first_message_deliveries_cap
            counters.first_deliveries = min(counters.first_deliveries + 1.0, cap)
            if counters.in_mesh:
                cap = counters.params.mesh_message_deliveries_cap
                counters.mesh_deliveries = min(counters.mesh_deliveries + 1.0, cap)

    def mesh_delivery(self, peer: bytes, topic: str) -> bool:
        """The peer delivered a copy of a valid message soon enough; False if not in the mesh."""
        record = self._peers.get(peer)
        counters = None if record is None else record.topics.get(topic)
        if record is None or counters is None or not counters.in_mesh:
            return False
        params, before = counters.params, counters.mesh_deliveries
        counters.mesh_deliveries = min(before + 1.0, params.mesh_message_deliveries_cap)
        if counters.is_active and before < params.mesh_message_deliveries_threshold:
            record.changed[topic] = counters
            record.value = None
        return True

    def invalid_delivery(self, peer: bytes, topic: str) -> None:
        """The peer delivered a message that is not valid (P4)."""
        counters = self._counters(peer, topic)
        if counters is not None:
            counters.invalid_deliveries += 1.0

    def penalise(self, peer: bytes, count: int) -> None:
        """The peer broke the rules of good behaviour so many times (P7)."""
        counters = self._peers.get(peer)
        if counters is not None:
            counters.behaviour_penalty += count
            counters.value = None

    # Time and parameters

    def next_deadline(self) -> float:
        return self._clock.deadline

    def refresh_if_due(self, now: float) -> None:
        """Decay all counters of connected peers, and forget debts that were kept long enough."""
        if not self._clock.is_due(now):
            return
        retained = self._retained
        while retained and retained[next(iter(retained))] < now:
            self._forget(next(iter(retained)))
        for peer, counters in self._peers.items():
            if peer not in retained:
                self._refresh(counters, now)

    def set_topic_params(self, topic: str, params: TopicScoreParams) -> None:
        """Use other parameters from now on; counters above a lower cap are cut to it."""
        self._topic_params[topic] = params
        for peer in self._peers.values():
            counters = peer.topics.get(topic)
            if counters is not None:
                counters.params = params
                counters.first_deliveries = min(
                    counters.first_deliveries, params.first_message_deliveries_cap
                )
                counters.mesh_deliveries = min(
                    counters.mesh_deliveries, params.mesh_message_deliveries_cap
                )
                peer.changed[topic] = counters
                peer.value = None

    def window(self, topic: str) -> float | None:
        """For how long copies of an accepted message count; None where the topic has no score."""
        params = self._topic_params.get(topic, self._params.other_topics)
        return None if params is None else params.mesh_message_deliveries_window

    # Queries

    def score(self, peer: bytes) -> float:
        """The peer's score; always a finite number."""
        counters = self._peers.get(peer)
        if counters is None:
            return 0.0
        value = counters.value
        if value is None:
            value = counters.value = self._value(counters)
        if self._params.app_specific_score is None:
            return value
        return value + self._params.app_specific_weight * self._app_score(peer)

    def snapshot(self, peer: bytes) -> PeerScoreSnapshot | None:
        """The score and all that goes into it; None where the peer has no counters."""
        counters = self._peers.get(peer)
        return None if counters is None else self._snapshot(peer, counters)

    def snapshots(self) -> dict[bytes, PeerScoreSnapshot]:
        """Those of all peers that have counters."""
        return {peer: self._snapshot(peer, counters) for peer, counters in self._peers.items()}

    def _snapshot(self, peer: bytes, counters: _PeerCounters) -> PeerScoreSnapshot:
        return PeerScoreSnapshot(
            score=self.score(peer),
            topics={name: _topic_snapshot(topic) for name, topic in counters.topics.items()},
            app_specific_score=self._app_score(peer),
            ip_colocation_factor=self._ip_colocation(counters),
            behaviour_penalty=counters.behaviour_penalty,
        )

    # Parts

    def _counters(self, peer: bytes, topic: str) -> _TopicCounters | None:
        """The counters to change; None where there are none for this peer or topic."""
        record = self._peers.get(peer)
        if record is None:
            return None
        counters = record.topics.get(topic)
        if counters is None:
            params = self._topic_params.get(topic, self._params.other_topics)
            if params is None:
                return None
            counters = record.topics[topic] = _TopicCounters(params)
        record.changed[topic] = counters
        record.value = None
        return counters

    def _value(self, counters: _PeerCounters) -> float:
        params = self._params
        parts = counters.parts
        for name, topic in counters.changed.items():
            parts[name] = topic.contribution()
        counters.changed.clear()
        # fsum: the same counters give the same score in whatever order topics came.
        value = math.fsum(parts.values())
        if params.topic_score_cap:
            value = min(value, params.topic_score_cap)
        value += params.ip_colocation_factor_weight * self._ip_colocation(counters)
        excess = counters.behaviour_penalty - params.behaviour_penalty_threshold
        if excess > 0.0:
            value += params.behaviour_penalty_weight * (excess * excess)
        return value

    def _ip_colocation(self, counters: _PeerCounters) -> float:
        value = counters.colocation
        if value is None:
            threshold = self._params.ip_colocation_factor_threshold
            value = counters.colocation = self._addresses.surplus(counters.addresses, threshold)
        return value

    def _app_score(self, peer: bytes) -> float:
        if self._params.app_specific_score is None:
            return 0.0
        try:
            score = float(self._params.app_specific_score(peer))
        except Exception:  # the application's function: contained (VAL-18)
            score = math.nan
        if math.isfinite(score):
            return max(-LARGEST, min(score, LARGEST))
        self.app_failures += 1
        return 0.0

    def _refresh(self, counters: _PeerCounters, now: float) -> None:
        params = self._params
        to_zero = params.decay_to_zero
        topics = counters.topics
        done = [name for name, topic in topics.items() if not topic.refresh(to_zero, now)]
        for name in done:
            del topics[name]
            counters.parts.pop(name, None)
            counters.changed.pop(name, None)
        counters.changed.update(topics)
        penalty = counters.behaviour_penalty * params.behaviour_penalty_decay
        counters.behaviour_penalty = 0.0 if penalty < to_zero else penalty
        counters.value = None

    def _forget(self, peer: bytes) -> None:
        self._clear_addresses(peer, self._peers.pop(peer))
        self._retained.pop(peer, None)

    def _clear_addresses(self, peer: bytes, counters: _PeerCounters) -> None:
        keys, counters.addresses = counters.addresses, ()
        self._addresses.remove(peer, keys)
        self._addresses_changed(keys)

    def _addresses_changed(self, keys: Iterable[str]) -> None:
        for key in keys:
            for peer in self._addresses.peers_at(key):
                counters = self._peers[peer]
                counters.value = counters.colocation = None


def _topic_snapshot(topic: _TopicCounters) -> TopicScoreSnapshot:
    return TopicScoreSnapshot(
        score=topic.contribution(),
        in_mesh=topic.in_mesh,
        time_in_mesh=topic.time_in_mesh if topic.in_mesh else 0.0,
        first_message_deliveries=topic.first_deliveries,
        mesh_message_deliveries=topic.mesh_deliveries,
        mesh_failure_penalty=topic.mesh_failures,
        invalid_message_deliveries=topic.invalid_deliveries,
    )
