"""Where the CPU time of nodes goes, by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from gossipsub.benchmarks.harness.arguments import parse_arguments, wishes_of
from gossipsub.benchmarks.harness.layers import layer_figures, take_profiles
from gossipsub.benchmarks.harness.network import Network
from gossipsub.benchmarks.harness.workload import Workload
from gossipsub.conformance.driver import PeerLacks, PeerProcess


@dataclass
class PretendedNode:
    """Answers `profile` as a peer does that knows it, or does not."""

    layers: dict[str, float] | None
    asked: list[str] = field(default_factory=list)

    async def command(self, name: str) -> dict[str, Any]:
        self.asked.append(name)
        if self.layers is None:
            raise PeerLacks(name, "unknown command")
        return {"layers": self.layers, "cpu_s": sum(self.layers.values()), "samples": 1}


def network(*nodes: PretendedNode) -> Network:
    return Network(
        workload=Workload.named("pair"),
        nodes=cast("list[PeerProcess]", list(nodes)),
        topics=["t"],
    )


def test_seconds_become_microseconds_of_a_message_by_role() -> None:
    profiles = [{"noise": 0.5, "router": 0.25}, {"noise": 0.125}]
    assert layer_figures(profiles, Workload.named("pair"), 1000) == {
        "layer.publisher.noise": 500.0,
        "layer.publisher.router": 250.0,
        "layer.receiver.noise": 125.0,
    }


def test_nodes_in_one_role_are_their_mean() -> None:
    profiles = [{"noise": 1.0}, {"noise": 0.5}, {"router": 0.25}, {"noise": 2.0}]
    assert layer_figures(profiles, Workload.named("chain-4"), 1_000_000) == {
        "layer.publisher.noise": 1.0,
        "layer.relay.noise": 0.25,
        "layer.relay.router": 0.125,
        "layer.receiver.noise": 2.0,
    }
    mesh = layer_figures(profiles[:3], Workload.named("mesh-3"), 1_000_000)
    assert mesh == {
        "layer.publisher.noise": 1.0,
        "layer.node.noise": 0.25,
        "layer.node.router": 0.125,
    }


@pytest.mark.anyio
async def test_every_node_is_asked() -> None:
    nodes = [PretendedNode({"noise": 1.0}), PretendedNode({"router": 2.0})]
    assert await take_profiles(network(*nodes)) == [{"noise": 1.0}, {"router": 2.0}]
    assert [node.asked for node in nodes] == [["profile"], ["profile"]]


@pytest.mark.anyio
async def test_nodes_that_know_no_profiles_have_none() -> None:
    assert await take_profiles(network(PretendedNode({}), PretendedNode(None))) is None


def test_profiles_are_taken_where_they_are_asked_for() -> None:
    assert not wishes_of(parse_arguments([])).profile
    assert wishes_of(parse_arguments(["--profile"])).profile
