"""Prometheus metrics of a host, under the names of libp2p's draft "GossipSub Metrics".

Everything is computed when somebody collects, from numbers the host counts anyway. Needs
`pip install gossipsub[metrics]`. docs/running.md lists the names.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel

from gossipsub.pubsub.measures import Distribution
from gossipsub.router.counts import OTHER_TOPICS, TopicCounts
from gossipsub.threads.host import Host as ThreadsHost
from gossipsub.wire.errors import LocalProtocolError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from gossipsub.host import Host
    from gossipsub.measurements import HostMeasurements

OTHER = "other"
"""The label of all topics above `max_topics`."""

ACCEPTED, REJECTED, IGNORED = "accept", "reject", "ignore"
_BLAMED = {
    "invalid sequence number",
    "invalid signature",
    "message too large",
    "missing signature",
    "self originated message",
    "unexpected auth info",
    "unexpected signature",
    "validation failed",
}
"""Reasons that cost the sender score."""


class HostCollector:
    """`prometheus_client.REGISTRY.register(HostCollector(host))`, where the host is open; one of
    `gossipsub.threads` will do.

    May be asked in any thread: the numbers are read in the host's own. A closed host has no
    metrics. At most `max_topics` topics have labels of their own, those longest known; the others
    are summed up as `other`. `labels` are added to every metric: where a process has several
    hosts, they tell them apart. LocalProtocolError where the host is not open, `max_topics` is
    negative, or a label's name is taken; ImportError without prometheus_client.
    """

    def __init__(
        self,
        host: Host | ThreadsHost,
        *,
        max_topics: int = 300,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        host.measurements()
        _families()
        if max_topics < 0:
            raise LocalProtocolError(f"max_topics must not be negative: {max_topics}")
        self._host = host
        self._max_topics = max_topics
        self._labels = dict(labels or {})
        taken = self._labels.keys() & _OWN_LABELS
        if taken:
            raise LocalProtocolError(f"a metric has these labels already: {', '.join(taken)}")
        self._thread = threading.get_ident()
        self._token = None
        if not isinstance(host, ThreadsHost):  # which finds the way itself
            self._token = anyio.lowlevel.current_token()

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not collect to know the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client."""
        try:
            measured = self._measure()
        except (LocalProtocolError, anyio.RunFinishedError):
            return  # the host is closed
        yield from _Metrics(measured, self._max_topics, self._labels).all()

    def _measure(self) -> HostMeasurements:
        if self._token is None or threading.get_ident() == self._thread:
            return self._host.measurements()
        return anyio.from_thread.run_sync(self._host.measurements, token=self._token)


_TOLD = {
    "connections", "delivered", "duplicates", "published", "rejections", "rpc_dropped", "rpc_in",
    "rpc_out", "rpc_refused", "validation_waiting",
}  # fmt: skip
"""What of `HostStatistics` has a metric of its own; the others go by their own names."""

_OWN_LABELS = {"topic", "reason", "validation_result", "message_type", "penalty_type", "protocol"}
_OWN_LABELS |= {"table", "le"}


def _families() -> Any:
    try:
        from prometheus_client import core
    except ImportError as error:
        raise ImportError(
            "metrics need prometheus_client: pip install gossipsub[metrics]"
        ) from error
    return core


class _Metrics:
    """One collection."""

    def __init__(
        self, measured: HostMeasurements, max_topics: int, labels: Mapping[str, str]
    ) -> None:
        self._measured = measured
        self._core = _families()
        self._names = tuple(labels)
        self._values = tuple(labels.values())
        counted = [topic for topic in measured.counts.topics if topic != OTHER_TOPICS]
        known = list(dict.fromkeys([*counted, *measured.topics]))[:max_topics]
        self._known = dict.fromkeys(known)

    def all(self) -> Iterator[Metric]:
        yield from self._peers()
        yield from self._messages()
        yield from self._rpcs()
        yield from self._health()
        yield from self._host()

    def _peers(self) -> Iterator[Metric]:
        measured = self._measured
        gauge, by_topic = self._gauge, self._by_topic
        sizes = measured.topics
        yield gauge("peers_total", "Connected peers.", "protocol", measured.protocols)
        yield gauge(
            "topic_peers", "Connected peers subscribed to a topic.", "topic",
            by_topic({name: size.peers for name, size in sizes.items()}),
        )  # fmt: skip
        yield gauge(
            "mesh_peers_total", "Peers in the mesh of a topic.", "topic",
            by_topic({name: size.mesh for name, size in sizes.items() if size.mesh is not None}),
        )  # fmt: skip
        yield self._topic_counter("peer_graft_total", "GRAFTs for peers.", lambda c: c.grafts)
        yield self._reason_counter("peer_prune_total", "PRUNEs for peers.", lambda c: c.prunes)
        yield self._reason_counter(
            "mesh_left_total", "Peers that left a mesh, for whatever reason.", lambda c: c.mesh_left
        )
        if measured.scores is not None:
            yield self._histogram(
                "peer_score", "Scores of the peers connected now.", measured.scores
            )

    def _messages(self) -> Iterator[Metric]:
        topic_counter = self._topic_counter
        yield self._reason_counter(
            "message_received_total",
            "Messages of others that were no duplicates, by what became of them.",
            _by_result,
            label="validation_result",
        )
        yield topic_counter(
            "message_delivered_total", "Messages handed to subscribers.", lambda c: c.delivered
        )
        yield self._reason_counter(
            "message_rejected_total", "Messages not delivered.", lambda c: c.undelivered
        )
        yield topic_counter("message_duplicate_total", "Duplicates.", lambda c: c.duplicates)
        yield topic_counter("message_published_total", "Own messages.", lambda c: c.published)
        yield self._histogram(
            "message_latency_seconds",
            "From a message's arrival here to the verdict on it; of one in 16 messages.",
            self._measured.validation,
        )

    def _rpcs(self) -> Iterator[Metric]:
        measured, counter = self._measured, self._counter
        statistics, sent = measured.statistics, measured.rpc_sent
        yield counter(
            "rpc_received_total", "Messages, subscriptions and entries of control messages.",
            "message_type", measured.rpc_received,
        )  # fmt: skip
        yield counter("rpc_sent_total", "The same, given to queues.", "message_type", sent)
        yield counter("ihave_sent_total", "IHAVEs given to queues.", None, {"": sent["ihave"]})
        yield counter("iwant_sent_total", "IWANTs given to queues.", None, {"": sent["iwant"]})
        yield counter(
            "idontwant_sent_total", "IDONTWANTs given to queues.", None, {"": sent["idontwant"]}
        )
        yield counter("rpc_frames_in_total", "RPCs received.", None, {"": statistics.rpc_in})
        yield counter(
            "rpc_frames_out_total", "RPCs given to queues.", None, {"": statistics.rpc_out}
        )
        yield counter(
            "rpc_frames_dropped_total", "RPCs for which a queue had no room.", None,
            {"": statistics.rpc_dropped},
        )  # fmt: skip

    def _health(self) -> Iterator[Metric]:
        measured, counter = self._measured, self._counter
        duration, lateness = measured.heartbeat_duration, measured.heartbeat_lateness
        yield self._histogram("heartbeat_duration_seconds", "Work in a heartbeat.", duration)
        yield self._histogram(
            "heartbeat_lateness_seconds", "How late heartbeats begin: the loop's delay.", lateness
        )
        throttled = sum(
            [c.undelivered.get("peer throttled", 0) for c in measured.counts.topics.values()]
        )
        yield counter(
            "peer_throttled_total",
            "What peers sent and nobody looked at: messages (gater), RPCs (overhead, refused).",
            "reason",
            {
                "gater": throttled,
                "overhead": measured.statistics.rpc_refused,
                "refused": measured.refused_rpcs,
            },
        )
        yield counter(
            "callback_failures_total", "How often the application's functions raised.", "reason",
            measured.callback_failures,
        )  # fmt: skip
        yield counter(
            "backoff_violations_total", "GRAFTs during the backoff.", None,
            {"": measured.counts.backoff_violations},
        )  # fmt: skip
        yield counter(
            "score_penalty_total", "How often peers lost score by what they did.", "penalty_type",
            measured.counts.penalties,
        )  # fmt: skip

    def _host(self) -> Iterator[Metric]:
        measured, gauge = self._measured, self._gauge
        statistics = measured.statistics
        yield self._counter("bytes_in_total", "Read from sockets.", None, {"": measured.bytes_in})
        yield self._counter(
            "bytes_out_total", "Written to sockets.", None, {"": measured.bytes_out}
        )
        yield gauge("connections", "Open connections.", None, {"": statistics.connections})
        yield gauge(
            "validation_queue", "Messages waiting for their signature check.", None,
            {"": statistics.validation_waiting},
        )  # fmt: skip
        yield gauge("table_size", "Entries of the router's tables.", "table", measured.tables)
        yield gauge("table_limit", "What bounds them.", "table", measured.limits)
        for field in fields(statistics):
            if field.name not in _TOLD:
                yield self._total(field.name, getattr(statistics, field.name))
        yield gauge("uptime_seconds", "Since the host was opened.", None, {"": measured.uptime})

    def _total(self, name: str, counted: int | Mapping[str, int]) -> Metric:
        text = f"See HostStatistics.{name}."
        if isinstance(counted, Mapping):
            return self._counter(f"{name}_total", text, "reason", counted)
        return self._counter(f"{name}_total", text, None, {"": counted})

    # -- families ----------------------------------------------------------------------------

    def _gauge(
        self, name: str, text: str, label: str | None, values: Mapping[str, float]
    ) -> Metric:
        labels = self._names if label is None else (*self._names, label)
        return self._filled(
            self._core.GaugeMetricFamily(f"gossipsub_{name}", text, labels=labels), label, values
        )

    def _counter(
        self, name: str, text: str, label: str | None, values: Mapping[str, float]
    ) -> Metric:
        labels = self._names if label is None else (*self._names, label)
        return self._filled(
            self._core.CounterMetricFamily(f"gossipsub_{name}", text, labels=labels), label, values
        )

    def _filled(self, family: Any, label: str | None, values: Mapping[str, float]) -> Metric:
        for value, number in values.items():
            own = () if label is None else (value,)
            family.add_metric((*self._values, *own), number)
        return family  # type: ignore[no-any-return]

    def _topic_counter(self, name: str, text: str, of: Callable[[TopicCounts], int]) -> Metric:
        topics = self._measured.counts.topics
        values = self._by_topic({topic: of(counts) for topic, counts in topics.items()})
        return self._counter(name, text, "topic", values)

    def _reason_counter(
        self,
        name: str,
        text: str,
        of: Callable[[TopicCounts], Mapping[str, int]],
        *,
        label: str = "reason",
    ) -> Metric:
        family = self._core.CounterMetricFamily(
            f"gossipsub_{name}", text, labels=(*self._names, "topic", label)
        )
        totals: dict[tuple[str, str], int] = {}
        for topic, counts in self._measured.counts.topics.items():
            for reason, number in of(counts).items():
                key = (self._label(topic), reason)
                totals[key] = totals.get(key, 0) + number
        for key, number in totals.items():
            family.add_metric((*self._values, *key), number)
        return family  # type: ignore[no-any-return]

    def _histogram(self, name: str, text: str, values: Distribution) -> Metric:
        family = self._core.HistogramMetricFamily(f"gossipsub_{name}", text, labels=self._names)
        buckets, total = [], 0
        for bound, number in zip((*values.bounds, None), values.counts, strict=True):
            total += number
            buckets.append(("+Inf" if bound is None else str(bound), total))
        family.add_metric(self._values, buckets, values.sum)
        return family  # type: ignore[no-any-return]

    def _by_topic(self, values: Mapping[str, int]) -> dict[str, int]:
        totals: dict[str, int] = {}
        for topic, number in values.items():
            label = self._label(topic)
            totals[label] = totals.get(label, 0) + number
        return totals

    def _label(self, topic: str) -> str:
        return topic if topic in self._known else OTHER


def _by_result(counts: TopicCounts) -> Mapping[str, int]:
    rejected = sum([counts.undelivered.get(reason, 0) for reason in _BLAMED])
    return {
        ACCEPTED: counts.accepted,
        REJECTED: rejected,
        IGNORED: sum(counts.undelivered.values()) - rejected,
    }
