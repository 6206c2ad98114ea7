"""Peer scores (v1.1, "The Score Function"): the counters of every peer, and what they add up to."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from gossipsub.router.heartbeat import HeartbeatClock
from gossipsub.router.score.addresses import AddressTable
from gossipsub.router.score.explanation import ScoreEvents, ScoreExplanation, ScorePart
from gossipsub.router.score.params import LARGEST, PeerScoreParams, TopicScoreParams
from gossipsub.router.score.retained import RetainedPeers
from gossipsub.router.score.snapshot import PeerScoreSnapshot, TopicScoreSnapshot
from gossipsub.router.score.topic_counters import TopicCounters


@dataclass(slots=True)
class _PeerCounters:
    addresses: tuple[str, ...] = ()
    topics: dict[str, TopicCounters] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)
    """What each topic contributes, but for those that changed since. A copy of a message changes
    one of many topics, and is followed by a look at the score."""
    changed: dict[str, TopicCounters] = field(default_factory=dict)
    behaviour_penalty: float = 0.0
    lost_sends: float = 0.0
    events: ScoreEvents | None = None
    """None while nothing cost the peer anything."""
    penalties: float | None = None
    """What does not come from topics, without P5; None: to be computed anew."""
    value: float | None = None
    """The score without P5; None: to be computed anew."""


class PeerScores:
    """Counters of connected peers, and of those that left in debt, the `max_retained` worst.

    A peer has counters only for topics with parameters. Peers never added score 0 and count
    nothing. `now` is as for the router.
    """

    def __init__(self, params: PeerScoreParams, *, max_retained: int, now: float) -> None:
        self._params = params
        self._topic_params = dict(params.topics)
        self._peers: dict[bytes, _PeerCounters] = {}
        self._retained = RetainedPeers(limit=max_retained)
        self._addresses = AddressTable(whitelist=params.ip_colocation_factor_whitelist)
        self._clock = HeartbeatClock(
            start=now + params.decay_interval, interval=params.decay_interval
        )
        self._time = now
        """Of the last refresh; what happens is dated by it."""
        self.penalties: dict[str, int] = {}
        """How often peers lost score by what they did, by component."""
        self.app_failures = 0
        """How often the application's function raised, or gave no finite number."""

    def __len__(self) -> int:
        return len(self._peers)

    def retained_count(self) -> int:
        """How many of them left."""
        return len(self._retained)

    # Peers

    def add_peer(self, peer: bytes, ips: Iterable[str]) -> None:
        """A peer connected; one that left in debt takes its counters up again."""
        self._retained.discard(peer)
        if peer not in self._peers:
            self._peers[peer] = _PeerCounters()
        self.set_addresses(peer, ips)

    def set_addresses(self, peer: bytes, ips: Iterable[str]) -> None:
        """All addresses the peer is connected from; relayed connections have none."""
        counters = self._peers.get(peer)
        if counters is not None:
            self._clear_addresses(peer, counters)
            counters.addresses = self._addresses.add(peer, ips)
            counters.value = counters.penalties = None
            self._addresses_changed(counters.addresses)

    def remove_peer(self, peer: bytes, now: float) -> None:
        """A peer disconnected. A good score is forgotten, so that nobody can save one up for an
        attack; any other is kept for a while, so that reconnecting does not clear it. One of 0 as
        well: the verdict on its last message, or a promise it breaks, may be still to come."""
        counters = self._peers.get(peer)
        if counters is None or peer in self._retained:
            return
        if self.score(peer) > 0.0:
            self._forget(peer)
            return
        for name, topic in counters.topics.items():
            if topic.in_mesh:
                self._leave_mesh(counters, name, topic)
            topic.first_deliveries = 0.0
        counters.changed.update(counters.topics)
        counters.value = None
        expiry = now + self._params.retain_score
        surplus = self._retained.add(peer, self._badness(counters), expiry)
        if surplus is not None:
            self._forget(surplus)

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
            self._leave_mesh(record, topic, counters)
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

    def invalid_delivery(self, peer: bytes, topic: str, reason: str = "invalid message") -> None:
        """The peer delivered a message that is not valid (P4)."""
        counters = self._counters(peer, topic)
        if counters is not None:
            before, after = counters.invalid_deliveries, counters.invalid_deliveries + 1.0
            counters.invalid_deliveries = after
            weight = counters.params.topic_weight
            weight *= counters.params.invalid_message_deliveries_weight
            cost = weight * (after * after - before * before)
            self._note(self._peers[peer], "P4", topic, reason, 1, cost)
            self._misbehaved(peer, self._peers[peer])

    def penalise(self, peer: bytes, count: int, reason: str) -> None:
        """The peer broke the rules of good behaviour so many times (P7)."""
        counters = self._peers.get(peer)
        if counters is not None:
            before = self._misdeeds(counters)
            counters.behaviour_penalty += count
            cost = self._params.behaviour_penalty_weight * (self._misdeeds(counters) - before)
            counters.value = counters.penalties = None
            self._note(counters, "P7", None, reason, count, cost)
            self._misbehaved(peer, counters)

    def send_lost(self, peer: bytes, count: int) -> None:
        """So many messages for the peer found no room in its queue: it reads too slowly."""
        counters = self._peers.get(peer)
        if counters is not None and self._params.slow_peer_weight:
            before = self._slowness(counters)
            counters.lost_sends += count
            cost = self._params.slow_peer_weight * (self._slowness(counters) - before)
            counters.value = counters.penalties = None
            self._note(counters, "slow peer", None, "its queue was full", count, cost)

    # Time and parameters

    def next_deadline(self) -> float:
        return self._clock.deadline

    def refresh_if_due(self, now: float) -> None:
        """Decay all counters of connected peers, and forget debts that were kept long enough."""
        if not self._clock.is_due(now):
            return
        self._time = now
        retained = self._retained
        for peer in retained.take_expired(now):
            self._forget(peer)
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

    def explain(self, peer: bytes) -> ScoreExplanation | None:
        """What the score is made of, and what cost it; None where the peer has no counters."""
        counters = self._peers.get(peer)
        if counters is None:
            return None
        params = self._params
        parts: list[tuple[str, str | None, float, float]] = [
            (name, topic, counter, weight)
            for topic, topic_counters in counters.topics.items()
            for name, counter, weight in topic_counters.parts()
        ]
        topics = math.fsum(topic.contribution() for topic in counters.topics.values())
        cap = params.topic_score_cap or math.inf
        parts += [
            ("P5", None, self._app_score(peer), params.app_specific_weight),
            ("P6", None, self._ip_colocation(counters), params.ip_colocation_factor_weight),
            ("P7", None, self._misdeeds(counters), params.behaviour_penalty_weight),
            ("slow peer", None, self._slowness(counters), params.slow_peer_weight),
        ]
        return ScoreExplanation(
            score=self.score(peer),
            parts=tuple(
                ScorePart(component=name, topic=topic, counter=counter, weight=weight)
                for name, topic, counter, weight in parts
                if counter * weight
            ),
            cut_by_topic_cap=min(cap - topics, 0.0),
            events=() if counters.events is None else counters.events.all(),
        )

    def _snapshot(self, peer: bytes, counters: _PeerCounters) -> PeerScoreSnapshot:
        return PeerScoreSnapshot(
            score=self.score(peer),
            topics={name: _topic_snapshot(topic) for name, topic in counters.topics.items()},
            app_specific_score=self._app_score(peer),
            ip_colocation_factor=self._ip_colocation(counters),
            behaviour_penalty=counters.behaviour_penalty,
            lost_sends=counters.lost_sends,
        )

    # Parts

    def _counters(self, peer: bytes, topic: str) -> TopicCounters | None:
        """The counters to change; None where there are none for this peer or topic."""
        record = self._peers.get(peer)
        if record is None:
            return None
        counters = record.topics.get(topic)
        if counters is None:
            params = self._topic_params.get(topic, self._params.other_topics)
            if params is None:
                return None
            counters = record.topics[topic] = TopicCounters(params)
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
        if counters.penalties is None:
            counters.penalties = self._penalties(counters)
        return value + counters.penalties

    def _badness(self, counters: _PeerCounters) -> float:
        """What the peer's own doing cost it: P5 is the application's, and P6 anybody can make as
        bad as he likes by coming often."""
        cost = math.fsum(topic.contribution() for topic in counters.topics.values())
        cost += self._params.behaviour_penalty_weight * self._misdeeds(counters)
        return -cost - self._params.slow_peer_weight * self._slowness(counters)

    def _misbehaved(self, peer: bytes, counters: _PeerCounters) -> None:
        if peer in self._retained:
            self._retained.change(peer, self._badness(counters))

    def _penalties(self, counters: _PeerCounters) -> float:
        params = self._params
        value = params.ip_colocation_factor_weight * self._ip_colocation(counters)
        value += params.behaviour_penalty_weight * self._misdeeds(counters)
        return value + params.slow_peer_weight * self._slowness(counters)

    def _misdeeds(self, counters: _PeerCounters) -> float:
        """P7 before its weight."""
        excess = counters.behaviour_penalty - self._params.behaviour_penalty_threshold
        return excess * excess if excess > 0.0 else 0.0

    def _slowness(self, counters: _PeerCounters) -> float:
        return max(counters.lost_sends - self._params.slow_peer_threshold, 0.0)

    def _leave_mesh(self, record: _PeerCounters, name: str, topic: TopicCounters) -> None:
        failure = topic.leave_mesh()
        if failure:
            cost = failure * topic.params.topic_weight * topic.params.mesh_failure_penalty_weight
            self._note(record, "P3b", name, "left the mesh owing deliveries", 1, cost)

    def _note(
        self,
        record: _PeerCounters,
        component: str,
        topic: str | None,
        reason: str,
        count: int,
        cost: float,
    ) -> None:
        if cost:
            self.penalties[component] = self.penalties.get(component, 0) + count
            if record.events is None:
                record.events = ScoreEvents()
            record.events.note(self._time, component, topic, reason, count, cost)

    def _ip_colocation(self, counters: _PeerCounters) -> float:
        threshold = self._params.ip_colocation_factor_threshold
        return self._addresses.surplus(counters.addresses, threshold)

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
        lost = counters.lost_sends * params.slow_peer_decay
        counters.lost_sends = 0.0 if lost < to_zero else lost
        counters.value = counters.penalties = None

    def _forget(self, peer: bytes) -> None:
        self._clear_addresses(peer, self._peers.pop(peer))

    def _clear_addresses(self, peer: bytes, counters: _PeerCounters) -> None:
        keys, counters.addresses = counters.addresses, ()
        self._addresses.remove(peer, keys)
        self._addresses_changed(keys)

    def _addresses_changed(self, keys: Iterable[str]) -> None:
        for key in keys:
            for peer in self._addresses.peers_at(key):
                counters = self._peers[peer]
                counters.value = counters.penalties = None


def _topic_snapshot(topic: TopicCounters) -> TopicScoreSnapshot:
    return TopicScoreSnapshot(
        score=topic.contribution(),
        in_mesh=topic.in_mesh,
        time_in_mesh=topic.time_in_mesh if topic.in_mesh else 0.0,
        first_message_deliveries=topic.first_deliveries,
        mesh_message_deliveries=topic.mesh_deliveries,
        mesh_failure_penalty=topic.mesh_failures,
        invalid_message_deliveries=topic.invalid_deliveries,
    )
