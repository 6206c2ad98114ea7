"""The report adds up."""

from __future__ import annotations

from gossipsub.testing import Link, Network, connect_line, connect_star


def star(leaves: int) -> Network:
    network = Network(link=Link(latency=0.1))
    connect_star(network, network.add_nodes(leaves + 1))
    for node in network.nodes:
        network.subscribe(node, "t")
    network.run_for(3.0)
    network.restart_report()
    return network


def test_a_message_through_a_star_is_told_of_in_full() -> None:
    network = star(4)
    network.publish(network.nodes[1], "t", 100)
    network.run_for(0.5)
    report = network.report()
    assert (report.nodes, report.simulated_seconds) == (5, 0.5)
    assert (report.messages, report.deliveries, report.missed) == (1, 4, 0)
    # The centre after one link, the other leaves after two.
    times = (report.latency_p50, report.latency_p90, report.latency_p99, report.latency_max)
    assert [round(seconds, 6) for seconds in times] == [0.2, 0.2, 0.2, 0.2]
    assert report.slow_deliveries == 0
    assert report.copies_per_message == 4.0
    assert report.copies_per_delivery == 1.0
    assert report.delivery_ratio == 1.0
    text = str(report)
    assert "1 messages, 4 deliveries, 0 missed (100.000% delivered)" in text
    assert "p50 200 ms" in text
    assert "4.0 per message, 1.00 per delivery" in text


def test_nothing_published_is_nothing_missed() -> None:
    report = star(2).report()
    assert (report.messages, report.deliveries, report.missed) == (0, 0, 0)
    assert report.delivery_ratio == 1.0
    assert (report.copies_per_message, report.copies_per_delivery) == (0.0, 0.0)
    assert (report.latency_p50, report.latency_max) == (0.0, 0.0)


def test_a_report_is_of_its_moment() -> None:
    network = star(2)
    network.publish(network.nodes[1], "t")
    network.run_for(1.0)
    early = network.report()
    copies = early.traffic["message"].count
    network.publish(network.nodes[1], "t")
    network.run_for(1.0)
    assert early.traffic["message"].count == copies
    assert network.report().traffic["message"].count == 2 * copies
    assert early.digest != network.report().digest


def test_a_delivery_after_three_heartbeats_is_slow() -> None:
    network = Network(link=Link(latency=3.5))
    connect_line(network, network.add_nodes(2))
    for node in network.nodes:
        network.subscribe(node, "t")
    network.run_for(10.0)
    network.publish(network.nodes[0], "t")
    network.run_for(4.0)
    report = network.report()
    assert (report.deliveries, report.slow_deliveries) == (1, 1)
