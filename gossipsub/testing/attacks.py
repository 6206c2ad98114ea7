"""Attacks with sybils: what attackers do, how long it takes to be rid of them, what it costs.

The sybils are those of the published evaluation of v1.1 (Vyzovitis, Napora, McCormick, Dias,
Psaras, "GossipSub: Attack-Resilient Message Propagation in the Filecoin and ETH2.0 Networks"):
they graft every honest peer they are connected to, again and again when the backoff allows it,
never earn a behaviour penalty, and do not forward what they should.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from gossipsub.router.effects import SendRpc
from gossipsub.router.params import GossipParams, LazyParams, MeshParams
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from gossipsub.testing.deliveries import percentiles
from gossipsub.testing.network import Network
from gossipsub.testing.nodes import Node
from gossipsub.testing.report import Report
from gossipsub.testing.scenarios import TOPIC, Setup, load, without_forwarding
from gossipsub.testing.topology import connect_random
from gossipsub.wire.rpc import Rpc

SAMPLE_INTERVAL = 1.0
"""Seconds between two looks at the victims' meshes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sybils:
    """The attackers. Times are virtual seconds since the start of the simulation."""

    count: int = 100
    links: int = 20
    """Honest peers each dials, at random among the victims; at most all of them."""
    withhold: float = 1.0
    """Share of other nodes' messages they do not send on. At 1 they send no IHAVE either."""
    connect_at: float = 0.0
    misbehave_at: float = 0.0
    """Until then they forward like anybody else, and earn a score (a covert attack)."""
    addresses: int | None = None
    """Number of IP addresses they share; None: each has its own."""

    def __post_init__(self) -> None:
        if self.count < 1 or self.links < 1:
            raise ValueError(f"count and links must be positive: {self.count}, {self.links}")
        if not 0.0 <= self.withhold <= 1.0:
            raise ValueError(f"withhold must be in 0..1: {self.withhold}")
        if self.connect_at < 0.0 or self.misbehave_at < 0.0:
            raise ValueError(f"times must not be past: {self.connect_at}, {self.misbehave_at}")
        if self.addresses is not None and not 0 < self.addresses <= 65536:
            raise ValueError(f"addresses must be in 1..65536: {self.addresses}")

    @property
    def attack_at(self) -> float:
        """From when on there are sybils that misbehave."""
        return max(self.connect_at, self.misbehave_at)


@dataclass(frozen=True, slots=True)
class MeshSample:
    """Who was in the victims' meshes at one moment, on average."""

    time: float
    """Seconds since the attack began; negative before."""
    honest: float
    sybils: float
    most_sybils: int
    """In any one mesh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackReport:
    """What an attack did. The victims are all honest nodes, or those that were singled out."""

    report: Report
    """Deliveries among the honest nodes; the traffic is that of the sybils too."""
    victims: int
    sybils: int
    victims_missed: int
    """Messages that should have reached a victim and did not, summed over the victims."""
    victims_latency_p99: float
    victims_latency_max: float
    meshes: tuple[MeshSample, ...]
    """Once a second, from the start to the end."""
    stays: tuple[float, ...] = field(repr=False)
    """How long each sybil stayed in each victim's mesh while it misbehaved, in seconds,
    ascending; a stay that had not ended counts to the end."""

    @property
    def evicted_after(self) -> float | None:
        """Seconds from the beginning of the attack until no victim had a sybil in its mesh any
        more, for good; None where one was left at the end."""
        ended: float | None = None
        for sample in reversed(self.meshes):
            if sample.sybils or sample.time < 0.0:
                break
            ended = sample.time
        return ended

    def __str__(self) -> str:
        first = next((sample for sample in self.meshes if sample.time >= 0.0), self.meshes[-1])
        worst = max(self.meshes, key=lambda sample: sample.sybils)
        last = self.meshes[-1]
        stay_p50, stay_p99, stay_max = percentiles(self.stays, (0.5, 0.99, 1.0))
        after = self.evicted_after
        lines = [
            str(self.report),
            f"{self.sybils} sybils, {self.victims} victims: {self.victims_missed} missed, "
            f"latency p99 {self.victims_latency_p99 * 1e3:.0f} ms, "
            f"max {self.victims_latency_max * 1e3:.0f} ms",
        ]
        for name, sample in (("attack begins", first), ("worst", worst), ("end", last)):
            lines.append(
                f"mesh, {name} ({sample.time:+.0f} s): {sample.honest:.1f} honest, "
                f"{sample.sybils:.1f} sybils, at most {sample.most_sybils}"
            )
        lines.append(
            f"stays of sybils in a mesh: {len(self.stays)}, p50 {stay_p50:.0f} s, "
            f"p99 {stay_p99:.0f} s, max {stay_max:.0f} s; all gone for good: "
            + ("no" if after is None else f"after {after:.0f} s")
        )
        return "\n".join(lines)


def attack(
    setup: Setup, sybils: Sybils, *, victims: int | None = None, honest_at: float = 0.0
) -> AttackReport:
    """Run a network under attack.

    `victims`: how many of the honest nodes the sybils connect to, None for all. The honest nodes
    are connected to each other at `honest_at`; the load begins a warm-up later, and lasts.
    """
    network = Network(
        seed=setup.seed, params=setup.params, link=setup.link, observer=setup.observer
    )
    honest = network.add_nodes(setup.nodes, validation_delay=setup.validation_delay)
    for node in honest:
        network.subscribe(node, TOPIC)
    attacked = honest if victims is None else honest[:victims]
    watch = _Watch(network, attacked, sybils)
    if honest_at > 0.0:
        network.at(honest_at, partial(connect_random, network, honest, links=setup.links))
    else:
        connect_random(network, honest, links=setup.links)
    network.at(sybils.connect_at, watch.connect_sybils)
    watch.sample()
    network.run_until(honest_at + setup.warm_up)
    network.restart_report()
    published = load(network, setup, honest)
    network.run_for(setup.load_seconds + setup.cool_down)
    return watch.report(published)


def sybil_flood(setup: Setup, sybils: Sybils | None = None) -> AttackReport:
    """Sybils connect to all honest nodes, graft them and forward nothing, while messages are
    published: by default from a warm-up's end on, as many as there are honest nodes."""
    if sybils is None:
        sybils = Sybils(count=setup.nodes, links=setup.links, connect_at=setup.warm_up)
    return attack(setup, sybils)


def eclipse(
    setup: Setup, sybils: Sybils | None = None, *, victims: int = 1, head_start: float = 0.0
) -> AttackReport:
    """Sybils surround some of the honest nodes, by default one, that keeps its honest peers.

    With a `head_start`, in seconds, they are there before the victim's first honest peer.
    """
    if sybils is None:
        sybils = Sybils(connect_at=0.0 if head_start else setup.warm_up)
    return attack(setup, sybils, victims=victims, honest_at=head_start)


def evaluated_params(topic: str = TOPIC, *, activation: float = 60.0) -> GossipParams:
    """The parameters of the published evaluation: D 8 of 6 to 12, scores as for its topic.

    `activation` are the seconds in the mesh after which missing deliveries count (P3).
    """
    score = PeerScoreParams(
        topics={
            topic: TopicScoreParams(
                topic_weight=0.25,
                time_in_mesh_weight=0.0027,
                first_message_deliveries_weight=0.664,
                first_message_deliveries_decay=0.9916,
                first_message_deliveries_cap=1500.0,
                mesh_message_deliveries_weight=-0.25,
                mesh_message_deliveries_decay=0.997,
                mesh_message_deliveries_cap=400.0,
                mesh_message_deliveries_threshold=10.0,
                mesh_message_deliveries_window=0.005,
                mesh_message_deliveries_activation=activation,
                mesh_failure_penalty_weight=-0.25,
                mesh_failure_penalty_decay=0.997,
                invalid_message_deliveries_weight=-99.0,
                invalid_message_deliveries_decay=0.9994,
            )
        },
        retain_score=30.0,
    )
    thresholds = PeerScoreThresholds(
        gossip=-4000.0, publish=-5000.0, graylist=-10000.0, accept_px=0.0, opportunistic_graft=0.0
    )
    mesh = MeshParams(d=8, d_low=6, d_high=12, d_score=6, d_out=3)
    return GossipParams(mesh=mesh, lazy=LazyParams(d_lazy=12), score=score, thresholds=thresholds)


class _Watch:
    """The sybils, and what becomes of them."""

    def __init__(self, network: Network, victims: Sequence[Node], sybils: Sybils) -> None:
        self._network = network
        self._victims = victims
        self._sybils = sybils
        self._nodes = self._add_sybils()
        self._ids = {node.id: None for node in self._nodes}
        self._samples: list[MeshSample] = []
        self._present: dict[tuple[int, bytes], float] = {}
        self._stays: list[float] = []

    def _add_sybils(self) -> list[Node]:
        """Relays that do not relay: nobody expects messages to reach them, so reports do not
        count them. They want everybody in their mesh, so they graft all, and again after each
        backoff; they do not score."""
        network, sybils = self._network, self._sybils
        everybody = len(self._victims) + 1
        mesh = MeshParams(d=everybody, d_low=everybody, d_high=everybody, d_out=0, d_score=0)
        params = replace(network.params, mesh=mesh, score=None)
        nodes = []
        for number in range(sybils.count):
            shared = None
            if sybils.addresses is not None:
                place = number % sybils.addresses
                shared = f"172.16.{place >> 8}.{place & 255}"
            node = network.add_node(params=params, ip=shared)
            node.router.subscribe(TOPIC, deliver=False, now=network.now)
            node.outgoing = _Withholding(network, node, sybils)
            nodes.append(node)
        return nodes

    def connect_sybils(self) -> None:
        network, sybils = self._network, self._sybils
        count = min(sybils.links, len(self._victims))
        for node in self._nodes:
            for victim in network.rng.sample(self._victims, count):
                network.connect(node, victim)

    def sample(self) -> None:
        """Look at the victims' meshes, now and once a second from now on."""
        network = self._network
        time = network.now - self._sybils.attack_at
        honest = sybils = most = 0
        present: dict[tuple[int, bytes], float] = {}
        for victim in self._victims:
            mesh = victim.router.mesh(TOPIC)
            bad = [peer for peer in mesh if peer in self._ids]
            honest += len(mesh) - len(bad)
            sybils += len(bad)
            most = max(most, len(bad))
            if time >= 0.0:
                for peer in bad:
                    key = (victim.index, peer)
                    present[key] = self._present.pop(key, time)
        self._stays += [time - since for since in self._present.values()]
        self._present = present
        count = len(self._victims)
        self._samples.append(MeshSample(time, honest / count, sybils / count, most))
        network.after(SAMPLE_INTERVAL, self.sample)

    def report(self, published: Sequence[bytes]) -> AttackReport:
        network = self._network
        attacked = dict.fromkeys(self._victims)
        latencies: list[float] = []
        missed = 0
        for message_id in published:
            times = network.delivered_to(message_id)
            start = min(times.values())  # the publisher's own
            latencies += [at - start for node, at in times.items() if node in attacked]
            missed += sum(node in attacked for node in network.missed_by(message_id))
        p99, top = percentiles(latencies, (0.99, 1.0))
        end = network.now - self._sybils.attack_at
        staying = [end - since for since in self._present.values()]
        return AttackReport(
            report=network.report(),
            victims=len(self._victims),
            sybils=len(self._nodes),
            victims_missed=missed,
            victims_latency_p99=p99,
            victims_latency_max=top,
            meshes=tuple(self._samples),
            stays=tuple(sorted(self._stays + staying)),
        )


class _Withholding:
    """What a sybil sends; for `Node.outgoing`."""

    def __init__(self, network: Network, node: Node, sybils: Sybils) -> None:
        self._network = network
        self._sybils = sybils
        self._rng = Random(f"{network.seed} sybil {node.index}")

    def __call__(self, effect: SendRpc) -> Rpc | None:
        sybils = self._sybils
        if self._network.now < sybils.misbehave_at:
            return effect.rpc
        if sybils.withhold < 1.0 and self._rng.random() >= sybils.withhold:
            return effect.rpc
        return without_forwarding(effect)
