"""What a trace comes to, as go's tracestat sums it up: counts, latencies, duplicates."""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gossipsub.cli.text import printable
from gossipsub.router.effects import TraceKind
from gossipsub.tracing.event import RpcMeta, TraceEvent

CARRIED = ("messages", "subscriptions", "graft", "prune", "ihave", "iwant", "idontwant")
QUANTILES = {"min": 0.0, "median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


@dataclass(slots=True)
class TraceSummary:
    """Totals over all events, of one node or of several that were traced together."""

    events: int = 0
    nodes: dict[bytes, None] = field(default_factory=dict)
    first: int | None = None
    """Nanoseconds since 1970 of the earliest event, and of the latest."""
    last: int | None = None
    kinds: Counter[TraceKind] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)
    """By reason."""
    rpc: Counter[str] = field(default_factory=Counter)
    """What the RPCs sent held: `messages`, `subscriptions`, `ihave`…; of gossip, message ids."""
    own_deliveries: int = 0
    """Deliveries to the node that published the message."""
    latencies: list[int] = field(default_factory=list)
    """Nanoseconds from publication to each other delivery, in order, where both were traced.
    They are as good as the nodes' clocks, and can be negative."""

    @property
    def deliveries(self) -> int:
        """Deliveries to others than the publisher."""
        return self.kinds[TraceKind.DELIVER_MESSAGE] - self.own_deliveries

    @property
    def duplicates_per_delivery(self) -> float | None:
        duplicates = self.kinds[TraceKind.DUPLICATE_MESSAGE]
        return duplicates / self.deliveries if self.deliveries else None

    def latency(self, quantile: float) -> float | None:
        """Seconds; the nearest rank."""
        if not self.latencies:
            return None
        rank = max(math.ceil(quantile * len(self.latencies)), 1)
        return self.latencies[rank - 1] / 1e9

    def as_json(self) -> dict[str, Any]:
        return {
            "events": self.events,
            "nodes": len(self.nodes),
            "seconds": self._seconds(),
            "kinds": {kind.name: self.kinds[kind] for kind in sorted(self.kinds)},
            "rejections": dict(self.rejections.most_common()),
            "rpc_sent": self._carried(),
            "deliveries": self.deliveries,
            "own_deliveries": self.own_deliveries,
            "duplicates_per_delivery": self.duplicates_per_delivery,
            "latencies": len(self.latencies),
            "latency_seconds": {name: self.latency(share) for name, share in QUANTILES.items()},
        }

    def lines(self, *, as_json: bool) -> Iterator[str]:
        """For people, or one JSON object."""
        if as_json:
            yield json.dumps(self.as_json())
            return
        yield f"{self.events} events of {len(self.nodes)} nodes in {self._seconds():.3f} s"
        yield from _table("events", {kind.name: self.kinds[kind] for kind in sorted(self.kinds)})
        yield from _table(
            "rejected because",
            {printable(why): number for why, number in self.rejections.most_common()},
        )
        yield from _table("in RPCs sent", self._carried())
        yield f"\n{self.deliveries} deliveries to others, {self.own_deliveries} to the publisher"
        if (duplicates := self.duplicates_per_delivery) is not None:
            yield f"{duplicates:.3f} duplicates per delivery"
        if self.latencies:
            shown = [
                f"{name} {seconds * 1000:.3f}"
                for name, share in QUANTILES.items()
                if (seconds := self.latency(share)) is not None
            ]
            yield f"latency in ms of {len(self.latencies)} deliveries: {', '.join(shown)}"
        else:
            yield "no latencies: no message has both its publication and a delivery in these files"

    def _carried(self) -> dict[str, int]:
        return {name: self.rpc[name] for name in CARRIED if self.rpc[name]}

    def _seconds(self) -> float:
        return 0.0 if self.first is None or self.last is None else (self.last - self.first) / 1e9


def summarize(events: Iterable[TraceEvent]) -> TraceSummary:
    """Sum up events in any order: files of several nodes are read one after the other."""
    summary = TraceSummary()
    messages = _Messages()
    for event in events:
        summary.events += 1
        summary.nodes[event.node] = None
        when = event.timestamp
        summary.first = when if summary.first is None else min(when, summary.first)
        summary.last = when if summary.last is None else max(when, summary.last)
        summary.kinds[event.kind] += 1
        if event.kind is TraceKind.REJECT_MESSAGE:
            summary.rejections[event.reason or ""] += 1
        elif event.kind is TraceKind.SEND_RPC and event.meta is not None:
            summary.rpc.update(_carried(event.meta))
        messages.note(event)
    messages.settle(summary)
    return summary


class _Messages:
    """Who published what when, and all deliveries, until both are known: 24 bytes a delivery."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._nodes: dict[bytes, int] = {}
        self._published: dict[int, tuple[int, int]] = {}
        self._deliveries = array("q")

    def note(self, event: TraceEvent) -> None:
        if event.message_id is None:
            return
        if event.kind is TraceKind.PUBLISH_MESSAGE:
            number, node = self._number(event), self._node(event)
            self._published.setdefault(number, (node, event.timestamp))
        elif event.kind is TraceKind.DELIVER_MESSAGE:
            self._deliveries.extend((self._number(event), self._node(event), event.timestamp))

    def settle(self, summary: TraceSummary) -> None:
        """Tell the latencies and how many deliveries were the publishers' own."""
        values = iter(self._deliveries)
        for number, node, timestamp in zip(values, values, values, strict=True):
            publisher, published = self._published.get(number, (-1, 0))
            if publisher == node:
                summary.own_deliveries += 1
            elif publisher >= 0:
                summary.latencies.append(timestamp - published)
        summary.latencies.sort()

    def _number(self, event: TraceEvent) -> int:
        return self._numbers.setdefault(event.message_id or b"", len(self._numbers))

    def _node(self, event: TraceEvent) -> int:
        return self._nodes.setdefault(event.node, len(self._nodes))


def _carried(meta: RpcMeta) -> dict[str, int]:
    told = {"messages": len(meta.messages), "subscriptions": len(meta.subscriptions)}
    if (control := meta.control) is not None:
        told |= {
            "graft": len(control.graft),
            "prune": len(control.prune),
            "ihave": sum(len(each.message_ids) for each in control.ihave),
            "iwant": sum(len(each.message_ids) for each in control.iwant),
            "idontwant": sum(len(each.message_ids) for each in control.idontwant),
        }
    return told


def _table(title: str, counts: dict[str, int]) -> Iterator[str]:
    if counts:
        yield f"\n{title}:"
        width = max(len(name) for name in counts)
        for name, number in counts.items():
            yield f"  {name:<{width}} {number:>10}"
