"""What is measured: who is connected to whom, and who publishes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

SIZES = (256, 1024, 16384, 65536)
"""Bytes of a message's data."""
LOADS = ("flood", "half", "gentle")
"""As many messages as arrive without loss, half as many, and a few a second."""
MESH_DEGREE = 6
"""Connections of a node in a random network, about: as many as gossipsub wants in a mesh (D)."""
MAX_NODES = 100
MAX_FAN = 8
"""Receivers of a relay: with the publisher they are fewer than D_high of all implementations, so
that the relay keeps all of them in its mesh."""
_MESH = re.compile(r"mesh-([1-9][0-9]*)")
_CHAIN = re.compile(r"chain-([1-9][0-9]*)")
_FAN = re.compile(r"fan-([1-9][0-9]*)")

Edge = tuple[int, int]
"""Who dials and who listens, by number."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Some nodes, of which the first publishes and others receive.

    In a pair and a chain the last one receives and those between relay; in a fan the second one
    relays to all further ones; in a mesh all but the publisher do both.
    """

    name: str
    nodes: int

    @classmethod
    def named(cls, name: str) -> Workload:
        """`pair`, `relay` (three in a row), `chain-N`, `mesh-N` or `fan-N` (one relay with N
        receivers); ValueError for anything else."""
        if name in ("pair", "relay"):
            return cls(name, 2 if name == "pair" else 3)
        fan = _FAN.fullmatch(name)
        if fan and int(fan[1]) <= MAX_FAN:
            return cls(name, 2 + int(fan[1]))
        found = _MESH.fullmatch(name) or _CHAIN.fullmatch(name)
        if found is None or not 3 <= int(found[1]) <= MAX_NODES:
            raise ValueError(
                f"no workload is called {name!r}; there are pair, relay, chain-N and mesh-N "
                f"(N from 3 to {MAX_NODES}), fan-N (from 1 to {MAX_FAN})"
            )
        return cls(name, int(found[1]))

    @property
    def is_mesh(self) -> bool:
        return self.name.startswith("mesh-")

    @property
    def is_fan(self) -> bool:
        return self.name.startswith("fan-")

    @property
    def receivers(self) -> tuple[int, ...]:
        """Whose deliveries count, and are waited for."""
        if self.is_fan:
            return tuple(range(2, self.nodes))
        return tuple(range(1, self.nodes)) if self.is_mesh else (self.nodes - 1,)

    @property
    def relays(self) -> tuple[int, ...]:
        """Who forwards; in a mesh nobody is told from those who receive."""
        if self.is_fan:
            return (1,)
        return () if self.is_mesh else tuple(range(1, self.nodes - 1))

    def edges(self, seed: int) -> list[Edge]:
        """The connections. Those of a mesh are drawn, and every node can be reached."""
        if self.is_mesh:
            return _random_edges(self.nodes, Random(f"{self.name} {seed}"))
        if self.is_fan:
            return [(1, 0), *((number, 1) for number in self.receivers)]
        return [(number, number - 1) for number in range(1, self.nodes)]


def _random_edges(nodes: int, rng: Random) -> list[Edge]:
    """A random tree, and pairs that want more neighbours until hardly anybody does."""
    degree = dict.fromkeys(range(nodes), 0)
    edges: dict[Edge, None] = {}

    def join(one: int, other: int) -> None:
        edges[max(one, other), min(one, other)] = None
        degree[one] += 1
        degree[other] += 1

    for number in range(1, nodes):
        open_to_more = [each for each in range(number) if degree[each] < MESH_DEGREE]
        join(number, rng.choice(open_to_more))
    wanted = [(one, other) for one in range(nodes) for other in range(one)]
    rng.shuffle(wanted)
    for one, other in wanted:
        if (one, other) not in edges and max(degree[one], degree[other]) < MESH_DEGREE:
            join(one, other)
    return sorted(edges)
