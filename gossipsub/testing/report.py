"""What a simulation amounted to."""

from __future__ import annotations

from dataclasses import dataclass

from gossipsub.testing.deliveries import Deliveries, percentiles
from gossipsub.testing.traffic import Traffic, TrafficCounter


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Figures since the start, or since `Network.restart_report`. Times are virtual seconds."""

    nodes: int
    simulated_seconds: float
    events: int
    """RPCs that arrived, timers, verdicts and actions."""
    messages: int
    """Published."""
    deliveries: int
    """To nodes other than the publisher; each node and message once."""
    missed: int
    """Nodes and messages where one should have come and did not. Nodes that left a topic or
    stopped before the message could come are not counted."""
    repeated: int
    """Deliveries to a node that had got the message before it was restarted. Without restarts
    a router delivers nothing twice."""
    latency_p50: float
    latency_p90: float
    latency_p99: float
    latency_max: float
    slow_deliveries: int
    """Deliveries later than three heartbeats after the publication."""
    rpcs: int
    rpcs_dropped: int
    """RPCs the sender failed to queue: lost by chance, which are not among `rpcs`, or given up
    by a full queue, which are."""
    traffic: dict[str, Traffic]
    """What the RPCs held, by kind; sizes are estimates."""
    digest: str
    """SHA-256 over all deliveries and their times: equal for equal seeds."""

    @property
    def delivery_ratio(self) -> float:
        """Share of what should have been delivered that was; 1 where nothing was published."""
        wanted = self.deliveries + self.missed
        return self.deliveries / wanted if wanted else 1.0

    @property
    def copies_per_message(self) -> float:
        """Times the average message was sent over any link."""
        return self.traffic["message"].count / self.messages if self.messages else 0.0

    @property
    def copies_per_delivery(self) -> float:
        """Times a message was sent for each delivery; 1 is the least possible."""
        return self.traffic["message"].count / self.deliveries if self.deliveries else 0.0

    @property
    def duplicates_per_delivery(self) -> float:
        """Copies beyond the one that is needed."""
        return max(self.copies_per_delivery - 1.0, 0.0)

    def __str__(self) -> str:
        lines = [
            f"{self.nodes} nodes, {self.simulated_seconds:.1f} s simulated, {self.events} events",
            f"{self.messages} messages, {self.deliveries} deliveries, {self.missed} missed "
            f"({self.delivery_ratio:.3%} delivered), {self.repeated} repeated after a restart",
            f"latency: p50 {self.latency_p50 * 1e3:.0f} ms, p90 {self.latency_p90 * 1e3:.0f} ms, "
            f"p99 {self.latency_p99 * 1e3:.0f} ms, max {self.latency_max * 1e3:.0f} ms",
            f"copies: {self.copies_per_message:.1f} per message, "
            f"{self.copies_per_delivery:.2f} per delivery",
            f"RPCs: {self.rpcs} sent, {self.rpcs_dropped} dropped by the sender",
        ]
        for kind, traffic in self.traffic.items():
            if traffic.count:
                ids = f", {traffic.ids} ids" if traffic.ids else ""
                lines.append(f"  {kind:12} {traffic.count:10}, about {traffic.bytes} bytes{ids}")
        return "\n".join(lines)


def make_report(
    deliveries: Deliveries,
    traffic: TrafficCounter,
    *,
    nodes: int,
    seconds: float,
    events: int,
    heartbeat: float,
    patience: float,
) -> Report:
    publications = deliveries.publications.values()
    latencies = [seconds for publication in publications for seconds in publication.latencies()]
    p50, p90, p99, top = percentiles(latencies, (0.5, 0.9, 0.99, 1.0))
    return Report(
        nodes=nodes,
        simulated_seconds=seconds,
        events=events,
        messages=len(publications),
        deliveries=len(latencies),
        missed=sum(len(deliveries.missed_by(each, patience)) for each in publications),
        repeated=deliveries.repeated,
        latency_p50=p50,
        latency_p90=p90,
        latency_p99=p99,
        latency_max=top,
        slow_deliveries=sum(latency > 3 * heartbeat for latency in latencies),
        rpcs=traffic.rpcs,
        rpcs_dropped=traffic.dropped,
        traffic=traffic.by_kind(),
        digest=deliveries.digest(),
    )
