"""Whole networks: everybody gets everything, also when a good part of them misbehaves."""

from __future__ import annotations

import pytest

from gossipsub.router.effects import Lane
from gossipsub.testing import (
    FLOODSUB,
    GossipParams,
    LazyParams,
    Link,
    MeshParams,
    Network,
    SendRpc,
    connect_line,
    connect_random,
    connect_star,
    connect_tree,
)
from gossipsub.testing.scenarios import (
    TOPIC,
    Setup,
    nodes_restart,
    partition_and_heal,
    peers_not_forwarding,
    slow_peers,
    steady_state,
    with_and_without_idontwant,
    without_forwarding,
)
from gossipsub.wire.rpc import Control, Graft, IHave, IWant, Message, Rpc

# The catalogue's network: 100 nodes with 20 links each and default parameters. The messages are
# small, so that IDONTWANT, which does not matter here, does not double the work.
CATALOGUE = {"nodes": 100, "links": 20, "messages": 1000, "rate": 100.0, "size": 64}


@pytest.mark.rule("SIM-01")
@pytest.mark.parametrize(("loss", "least"), [(0.0, 1.0), (0.1, 0.999)])
def test_a_thousand_messages_reach_a_hundred_nodes(loss: float, least: float) -> None:
    setup = Setup(**CATALOGUE, link=Link(latency=0.05, loss=loss))  # type: ignore[arg-type]
    report = steady_state(setup)
    assert report.messages == 1000
    assert (report.rpcs_dropped > 0) is (loss > 0)
    assert report.repeated == 0
    wanted = report.deliveries + report.missed
    assert wanted == 99_000
    # Within three heartbeats, which is as long as a message is gossiped about.
    assert (report.deliveries - report.slow_deliveries) / wanted >= least


def test_gossip_makes_up_for_what_the_mesh_loses() -> None:
    reports = []
    for windows in (0, 3):
        params = GossipParams(
            mesh=MeshParams(d=3, d_low=2, d_high=4, d_out=1, d_score=2),
            lazy=LazyParams(history_gossip=windows),
            flood_publish=False,
        )
        link = Link(latency=0.05, loss=0.3)
        reports.append(steady_state(Setup(link=link, links=10, params=params, size=64)))
    without, with_gossip = reports
    assert without.delivery_ratio < 0.97
    assert with_gossip.delivery_ratio >= 0.999
    assert without.traffic["ihave"].count == 0


@pytest.mark.parametrize("fraction", [0.2, 0.4])
def test_nodes_that_restart_disturb_nobody_else(fraction: float) -> None:
    report = nodes_restart(Setup(rate=5.0, size=64), fraction=fraction, downtime=1.5)
    assert report.delivery_ratio >= 0.999
    assert report.repeated > 0  # they restarted indeed, and forgot


def test_both_parts_of_a_cut_network_go_on_and_come_together_again() -> None:
    during, after = partition_and_heal(Setup(messages=50, size=64))
    # Publishers and receivers are halves of the network: half of all pairs are apart.
    assert 0.45 < during.delivery_ratio < 0.52
    assert during.deliveries == 50 * 49
    assert after.delivery_ratio == 1.0


def test_slow_peers_get_everything_and_keep_nobody_waiting() -> None:
    report = slow_peers(Setup(messages=50), fraction=0.1)
    assert report.delivery_ratio == 1.0
    assert report.latency_p50 < 0.2
    assert report.latency_max > 0.5


def test_a_fifth_of_the_nodes_can_serve_all() -> None:
    everybody = steady_state(Setup(size=64))
    few = peers_not_forwarding(Setup(size=64), fraction=0.8)
    assert few.delivery_ratio >= 0.99
    assert few.copies_per_delivery < everybody.copies_per_delivery / 3


def test_without_gossip_a_fifth_of_the_nodes_cannot_serve_all() -> None:
    params = GossipParams(lazy=LazyParams(history_gossip=0))
    report = peers_not_forwarding(Setup(size=64, params=params), fraction=0.8)
    assert report.delivery_ratio < 0.99


@pytest.mark.rule("SIM-06")
@pytest.mark.parametrize("seed", range(3))
def test_idontwant_saves_copies_of_large_messages(seed: int) -> None:
    mesh = MeshParams(d=8, d_low=6, d_high=12, d_out=3)
    # 50 ms each way and 100 Mbit/s; 5 ms to validate, in which refusals overtake messages.
    link = Link(latency=0.05, jitter=0.01, bandwidth=12.5e6)
    setup = Setup(
        nodes=50, messages=20, rate=2.0, size=100 * 1024, seed=seed, link=link,
        validation_delay=0.005, params=GossipParams(mesh=mesh),
    )  # fmt: skip
    with_it, without = with_and_without_idontwant(setup)
    assert with_it.delivery_ratio == without.delivery_ratio == 1.0
    assert with_it.traffic["idontwant"].count > 0
    assert without.traffic["idontwant"].count == 0
    # 6.5 to 7.0 duplicates against 7.4 to 8.1.
    assert with_it.duplicates_per_delivery < 0.9 * without.duplicates_per_delivery
    assert with_it.latency_p50 <= 1.1 * without.latency_p50


# Shapes


@pytest.mark.parametrize(
    ("shape", "count"), [("sparse", 20), ("dense", 20), ("line", 6), ("tree", 10), ("star", 20)]
)
def test_networks_of_any_shape_deliver_everything_once(shape: str, count: int) -> None:
    network = Network(seed=shape)
    nodes = network.add_nodes(count)
    match shape:
        case "sparse":
            connect_random(network, nodes, links=3)
        case "dense":
            connect_random(network, nodes, links=10)
        case "line":
            connect_line(network, nodes)
        case "tree":
            connect_tree(network, nodes)
        case _:
            connect_star(network, nodes)
    for node in nodes:
        network.subscribe(node, TOPIC)
    network.run_for(3.0)
    for number in range(100):
        network.publish(nodes[number % count], TOPIC, 64)
        network.run_for(0.05)
    network.run_for(5.0)
    report = network.report()
    assert (report.messages, report.deliveries) == (100, 100 * (count - 1))
    assert (report.missed, report.repeated) == (0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_floodsub_and_gossipsub_nodes_deliver_to_each_other(seed: int) -> None:
    network = Network(seed=seed)
    for index in range(30):
        network.add_node(protocols=(FLOODSUB,) if index % 3 == 2 else None)
    connect_random(network, network.nodes, links=8)
    for node in network.nodes:
        network.subscribe(node, TOPIC)
    network.run_for(3.0)
    for node in network.nodes:
        network.publish(node, TOPIC, 64)
        network.run_for(0.1)
    network.run_for(5.0)
    report = network.report()
    assert (report.deliveries, report.missed, report.repeated) == (30 * 29, 0, 0)


# What a node that forwards nothing still sends

GRAFTS, WANTS = (Graft("t"),), (IWant((b"id",)),)


@pytest.mark.parametrize(
    ("rpc", "lane", "expected"),
    [
        (Rpc(publish=(Message("t"),)), Lane.FORWARDED, None),
        (Rpc(publish=(Message("t"),)), Lane.OWN, Rpc(publish=(Message("t"),))),
        (Rpc(control=Control(ihave=(IHave("t"),))), Lane.FORWARDED, None),
        (
            Rpc(control=Control(ihave=(IHave("t"),), graft=GRAFTS)),
            Lane.CONTROL,
            Rpc(control=Control(graft=GRAFTS)),
        ),
        (Rpc(control=Control(iwant=WANTS)), Lane.FORWARDED, Rpc(control=Control(iwant=WANTS))),
    ],
)
def test_who_forwards_nothing_still_grafts_asks_and_publishes(
    rpc: Rpc, lane: Lane, expected: Rpc | None
) -> None:
    assert without_forwarding(SendRpc(b"peer", rpc, lane)) == expected
