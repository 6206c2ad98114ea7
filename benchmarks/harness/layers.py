"""Where the CPU time of nodes goes, by layer: what a flood with `--profile` also tells.

Each node of ours divides its own time (`gossipsub.peer.profiling`). The figures are
`layer.ROLE.NAME`, microseconds of CPU for each message; those of a role sum up to the CPU of its
process, profiling included, which takes a thousandth of it or less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gossipsub.benchmarks.harness.network import Network
from gossipsub.benchmarks.harness.workload import Workload
from gossipsub.conformance.driver import PeerLacks

PREFIX = "layer."


async def take_profiles(network: Network) -> list[Mapping[str, float]] | None:
    """Of each node the seconds by layer since it was last asked; the first call begins that.

    None where nodes do not know: those of other implementations, or outside of Linux.
    """
    try:
        return [(await node.command("profile"))["layers"] for node in network.nodes]
    except PeerLacks:
        return None


def layer_figures(
    profiles: Sequence[Mapping[str, float]], workload: Workload, count: int
) -> dict[str, float]:
    """Microseconds for each of so many messages. Of several nodes in a role their mean."""
    figures = {}
    for role, numbers in _roles(workload).items():
        of_role = [profiles[number] for number in numbers]
        for name in sorted({name for layers in of_role for name in layers}):
            seconds = sum(layers.get(name, 0.0) for layers in of_role) / len(of_role)
            figures[f"{PREFIX}{role}.{name}"] = seconds / count * 1e6
    return figures


def _roles(workload: Workload) -> dict[str, Sequence[int]]:
    if workload.is_mesh:
        return {"publisher": (0,), "node": workload.receivers}
    roles = {"publisher": (0,), "relay": workload.relays, "receiver": workload.receivers}
    return {role: numbers for role, numbers in roles.items() if numbers}
