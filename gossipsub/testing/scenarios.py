"""Whole simulations: a network that settles, a load, and something that goes wrong.

All nodes are in one topic and connected at random. Reports leave out the warm-up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gossipsub.router.effects import Lane, SendRpc
from gossipsub.router.params import GossipParams
from gossipsub.testing.disturbance import churn, partition
from gossipsub.testing.links import Link
from gossipsub.testing.network import Network
from gossipsub.testing.nodes import Node
from gossipsub.testing.observer import Observer
from gossipsub.testing.report import Report
from gossipsub.testing.topology import LinkChoice, connect_random
from gossipsub.wire.rpc import Control, Rpc

TOPIC = "simulation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the scenarios have in common."""

    nodes: int = 100
    links: int = 20
    """Connections of a node, on average."""
    link: Link = field(default_factory=Link)
    messages: int = 100
    rate: float = 10.0
    """Messages per second, of the whole network; each from a random node."""
    size: int = 1024
    """Bytes of data in a message."""
    warm_up: float = 5.0
    """Seconds between the start and the first message."""
    cool_down: float = 5.0
    """Seconds after the last message: as long as it can be asked for."""
    seed: object = 0
    params: GossipParams = field(default_factory=GossipParams)
    validation_delay: float = 0.0
    observer: Observer | None = None

    @property
    def load_seconds(self) -> float:
        """From the first message to one interval after the last."""
        return self.messages / self.rate

    @property
    def seconds(self) -> float:
        """The whole simulation."""
        return self.warm_up + self.load_seconds + self.cool_down


def build(setup: Setup, *, link: LinkChoice = None) -> Network:
    """The network at time 0: connected, and all nodes in `TOPIC`."""
    network = Network(
        seed=setup.seed, params=setup.params, link=setup.link, observer=setup.observer
    )
    nodes = network.add_nodes(setup.nodes, validation_delay=setup.validation_delay)
    connect_random(network, nodes, links=setup.links, link=link)
    for node in nodes:
        network.subscribe(node, TOPIC)
    return network


def load(network: Network, setup: Setup, publishers: Sequence[Node]) -> list[bytes]:
    """Schedule the messages, from now on, each from a random one of the publishers; where that
    is stopped, from the next that runs. Returns a list to which each message's id is appended
    when it is published."""
    published: list[bytes] = []
    for number in range(setup.messages):
        first = network.rng.randrange(len(publishers))
        publish = partial(_publish, network, publishers, first, setup.size, published)
        network.at(network.now + number / setup.rate, publish)
    return published


def _publish(
    network: Network,
    publishers: Sequence[Node],
    first: int,
    size: int,
    published: list[bytes],
) -> None:
    for node in (*publishers[first:], *publishers[:first]):
        receipt = network.publish(node, TOPIC, size)
        if receipt is not None:
            published.append(receipt.message_id)
            return


def _run(network: Network, setup: Setup, publishers: Sequence[Node]) -> Report:
    """From the end of the warm-up to the end; the network is at the end of the warm-up."""
    network.restart_report()
    load(network, setup, publishers)
    network.run_for(setup.load_seconds + setup.cool_down)
    return network.report()


def steady_state(setup: Setup) -> Report:
    """Nothing goes wrong but what the link loses."""
    network = build(setup)
    network.run_for(setup.warm_up)
    return _run(network, setup, network.nodes)


def nodes_restart(setup: Setup, *, fraction: float = 0.2, downtime: float = 5.0) -> Report:
    """Churn: a fraction of the nodes restarts while messages are published."""
    network = build(setup)
    network.run_for(setup.warm_up)
    end = network.now + setup.load_seconds
    churn(network, network.nodes, fraction=fraction, start=network.now, end=end, downtime=downtime)
    return _run(network, setup, network.nodes)


def partition_and_heal(setup: Setup, *, fraction: float = 0.5) -> tuple[Report, Report]:
    """A fraction of the nodes is cut off for half of the messages; reports of both halves.

    While it lasts each part still reaches itself: `missed` of the first report is the other
    part. It is healed when messages of that time can be asked for no more.
    """
    network = build(setup)
    network.run_for(setup.warm_up)
    group = network.rng.sample(network.nodes, round(fraction * setup.nodes))
    cut = partition(network, group)
    network.restart_report()
    load(network, setup, network.nodes)
    network.run_for(setup.load_seconds + setup.cool_down)
    during = network.report()
    cut.heal()
    network.run_for(setup.warm_up)
    return during, _run(network, setup, network.nodes)


def slow_peers(setup: Setup, *, fraction: float = 0.2, link: Link | None = None) -> Report:
    """A fraction of the nodes has slow links, by default ten times the latency, 64 KiB/s each
    way and a queue of 32 RPCs."""
    slow = link or Link(latency=setup.link.latency * 10, bandwidth=65536.0, queue_rpcs=32)
    count = round(fraction * setup.nodes)

    def choose(one: Node, other: Node) -> Link:
        return slow if min(one.index, other.index) < count else setup.link

    network = build(setup, link=choose)
    network.run_for(setup.warm_up)
    return _run(network, setup, network.nodes)


def peers_not_forwarding(setup: Setup, *, fraction: float = 0.8) -> Report:
    """A fraction of the nodes takes part in the mesh and forwards nothing; the others publish.

    Those nodes still subscribe, graft, and ask for what they miss; see `without_forwarding`.
    """
    network = build(setup)
    silent = network.rng.sample(network.nodes, round(fraction * setup.nodes))
    for node in silent:
        node.outgoing = without_forwarding
    network.run_for(setup.warm_up)
    keep = dict.fromkeys(silent)
    return _run(network, setup, [node for node in network.nodes if node not in keep])


def with_and_without_idontwant(setup: Setup) -> tuple[Report, Report]:
    """The same load twice: large messages announced with IDONTWANT, and not; see
    `Report.duplicates_per_delivery`."""
    lazy = replace(setup.params.lazy, idontwant_threshold=sys.maxsize)
    without = replace(setup, params=replace(setup.params, lazy=lazy))
    return steady_state(setup), steady_state(without)


def without_forwarding(effect: SendRpc) -> Rpc | None:
    """What a node sends that helps nobody: no messages of others, no answers to IWANT, no IHAVE
    (it would promise what is not kept). For `Node.outgoing`."""
    rpc = effect.rpc
    if effect.lane is Lane.FORWARDED and rpc.publish:
        return None
    control = rpc.control
    if control is None or not control.ihave:
        return rpc
    rest = Control(
        iwant=control.iwant,
        graft=control.graft,
        prune=control.prune,
        idontwant=control.idontwant,
        extensions=control.extensions,
    )
    if not _says_something((rest.iwant, rest.graft, rest.prune, rest.idontwant)):
        return None
    return Rpc(subscriptions=rpc.subscriptions, publish=rpc.publish, control=rest)


def _says_something(parts: Iterable[Sequence[object]]) -> bool:
    return any(parts)
