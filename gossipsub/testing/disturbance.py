"""Nodes that restart, and networks that fall apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from gossipsub.testing.links import Link
from gossipsub.testing.network import Network
from gossipsub.testing.nodes import Node


def churn(
    network: Network,
    nodes: Sequence[Node],
    *,
    fraction: float,
    start: float,
    end: float,
    downtime: float = 5.0,
) -> list[Node]:
    """Restart a random `fraction` of the nodes, each once, at random times from `start` to `end`.

    A node is down for `downtime` seconds and comes back with an empty memory. Returns the nodes.
    """
    chosen = network.rng.sample(nodes, round(fraction * len(nodes)))
    for node in chosen:
        time = network.rng.uniform(start, end)
        network.at(time, partial(network.stop, node))
        network.at(time + downtime, partial(network.start, node))
    return chosen


@dataclass(slots=True)
class Partition:
    """Connections cut between a group of nodes and all others."""

    network: Network
    cut: list[tuple[Node, Node, Link]] = field(default_factory=list)

    def heal(self) -> None:
        """Connect again what was cut, dialled by the node of the group."""
        for one, other, link in self.cut:
            if other not in one.links:
                self.network.connect(one, other, link=link)
        self.cut.clear()


def partition(network: Network, group: Iterable[Node]) -> Partition:
    """Cut all connections between `group` and the other nodes, at once."""
    members = dict.fromkeys(group)
    done = Partition(network)
    for node in members:
        for other, link in list(node.links.items()):
            if other not in members:
                done.cut.append((node, other, link))
                network.disconnect(node, other)
    return done
