"""Groups of parts in simulated networks: the public experiments, chain and mesh."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gossipsub import ExtensionParams, PartExchange, PartialMode, TopicParams
from gossipsub.testing import (
    GossipParams,
    Link,
    Network,
    PartialTopic,
    connect_all,
    connect_line,
    connect_random,
)

PARTS, PART_BYTES = 8, 1024
TOPIC = "parts"


def params(mode: PartialMode = PartialMode.REQUEST) -> GossipParams:
    return GossipParams(
        extensions=ExtensionParams(partial_messages=True, partial_group_heartbeats=30),
        topics={TOPIC: TopicParams(partial_messages=mode)},
    )


def part(group: bytes, index: int) -> bytes:
    """Numbers that count up through all parts from the group's id."""
    first = int.from_bytes(group) + 128 * index
    return b"".join((first + word).to_bytes(8) for word in range(128))


def parts(group: bytes, bitmap: int) -> dict[int, bytes]:
    return {index: part(group, index) for index in range(PARTS) if bitmap >> index & 1}


class Experiment:
    """Nodes that exchange groups, and who completed which."""

    def __init__(
        self,
        count: int,
        connect: Callable[..., None],
        *,
        mode: PartialMode = PartialMode.REQUEST,
        link: Link | None = None,
        unsubscribed: int = 0,
        **options: object,
    ) -> None:
        self.network = Network(seed=7, params=params(mode), link=link or Link(latency=0.03))
        nodes = self.network.add_nodes(count)
        connect(self.network, nodes, **options)
        self.complete: list[dict[bytes, tuple[bytes, ...]]] = [{} for _ in nodes]
        self.exchanges = [
            PartExchange(
                PartialTopic(self.network, node, TOPIC),
                parts=PARTS,
                part_bytes=PART_BYTES,
                complete=self.complete[number].__setitem__,
                verify=lambda group, index, data: data == part(group, index),
            )
            for number, node in enumerate(nodes)
        ]
        for node in nodes[unsubscribed:]:
            self.network.subscribe(node, TOPIC)
        self.network.run_for(3.0)

    def incomplete(self, *groups: bytes) -> list[tuple[int, bytes]]:
        return [
            (number, group)
            for number, complete in enumerate(self.complete)
            for group in groups
            if complete.get(group) != tuple(part(group, i) for i in range(PARTS))
        ]


@pytest.mark.rule("PART-04")
@pytest.mark.parametrize("count", [2, 8, 20])
def test_nodes_with_a_few_parts_each_complete_the_group_together(count: int) -> None:
    experiment = Experiment(count, connect_all)
    group = (7).to_bytes(8)
    for number, exchange in enumerate(experiment.exchanges):
        bitmap = 0x55 if number % 2 else 0xAA
        exchange.add(group, parts(group, bitmap))
    experiment.network.run_for(2.0)
    assert experiment.incomplete(group) == []


@pytest.mark.rule("PART-04")
def test_parts_dealt_along_a_chain_reach_its_ends() -> None:
    experiment = Experiment(8, connect_line)
    groups = [number.to_bytes(8) for number in range(16)]
    for round_, group in enumerate(groups):
        for number, exchange in enumerate(experiment.exchanges):
            exchange.add(group, parts(group, 1 << (number + round_) % PARTS))
        experiment.network.run_for(2.0)
    assert experiment.incomplete(*groups) == []


@pytest.mark.rule("PART-04")
def test_a_publisher_that_is_not_subscribed_serves_the_others() -> None:
    experiment = Experiment(8, connect_all, unsubscribed=1)
    group = (5).to_bytes(8)
    experiment.exchanges[0].add(group, parts(group, 0xFF))
    experiment.network.run_for(2.0)
    assert experiment.incomplete(group) == []


def test_a_group_spreads_through_a_random_network() -> None:
    experiment = Experiment(20, connect_random, links=10)
    group = (9).to_bytes(8)
    experiment.exchanges[0].add(group, parts(group, 0xFF))
    experiment.network.run_for(5.0)
    assert experiment.incomplete(group) == []


def test_most_parts_travel_once_to_each_node() -> None:
    experiment = Experiment(8, connect_line)
    experiment.network.restart_report()
    group = (3).to_bytes(8)
    experiment.exchanges[0].add(group, parts(group, 0xFF))
    experiment.network.run_for(2.0)
    assert experiment.incomplete(group) == []
    sent = experiment.network.report().traffic["extension"].bytes
    assert 7 * PARTS * PART_BYTES < sent < 7 * PARTS * PART_BYTES * 1.1


def test_a_node_that_stopped_is_told_nothing() -> None:
    experiment = Experiment(2, connect_all)
    group = (4).to_bytes(8)
    experiment.exchanges[0].add(group, parts(group, 0xFF))
    experiment.network.stop(experiment.network.nodes[1])
    experiment.network.run_for(2.0)
    assert experiment.incomplete(group) == [(1, group)]
