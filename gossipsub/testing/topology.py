"""Who is connected to whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from gossipsub.testing.links import Link
from gossipsub.testing.network import Network
from gossipsub.testing.nodes import Node

LinkChoice = Link | Callable[[Node, Node], Link] | None
"""One link for all connections, a function of both ends, or None for the network's."""


def connect_random(
    network: Network, nodes: Sequence[Node], *, links: int, link: LinkChoice = None
) -> None:
    """Connect nodes at random, with `links` connections each on average, in one piece.

    A random ring keeps it in one piece; the rest is drawn from all pairs. Each node dials about
    half of its connections. With fewer than `links + 1` nodes all are connected to all.
    """
    count = len(nodes)
    if links < 2:
        raise ValueError(f"links must be at least 2: {links}")
    if links >= count - 1:
        connect_all(network, nodes, link=link)
        return
    rng = network.rng
    ring = list(nodes)
    rng.shuffle(ring)
    for one, other in zip(ring, ring[1:] + ring[:1], strict=True):
        _connect(network, one, other, link)
    wanted = count * links // 2 - count
    turn = 0
    while wanted > 0:
        dialler, turn = ring[turn % count], turn + 1
        listener = ring[rng.randrange(count)]
        if listener is not dialler and listener not in dialler.links:
            _connect(network, dialler, listener, link)
            wanted -= 1


def connect_line(network: Network, nodes: Sequence[Node], *, link: LinkChoice = None) -> None:
    """Each to the next."""
    for one, other in pairwise(nodes):
        _connect(network, one, other, link)


def connect_star(network: Network, nodes: Sequence[Node], *, link: LinkChoice = None) -> None:
    """All to the first, which they dial."""
    for node in nodes[1:]:
        _connect(network, node, nodes[0], link)


def connect_tree(
    network: Network, nodes: Sequence[Node], *, branches: int = 2, link: LinkChoice = None
) -> None:
    """The first is the root; each has up to `branches` below it."""
    for index, node in enumerate(nodes):
        if index:
            _connect(network, nodes[(index - 1) // branches], node, link)


def connect_all(network: Network, nodes: Sequence[Node], *, link: LinkChoice = None) -> None:
    """All to all. Of each pair one dials; each node dials about half of its connections."""
    for first, one in enumerate(nodes):
        for second in range(first + 1, len(nodes)):
            pair = (one, nodes[second]) if (first + second) % 2 else (nodes[second], one)
            _connect(network, *pair, link)


def _connect(network: Network, dialler: Node, listener: Node, link: LinkChoice) -> None:
    chosen = link(dialler, listener) if callable(link) else link
    network.connect(dialler, listener, link=chosen)
