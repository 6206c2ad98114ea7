"""Links: order, loss, bandwidth, and what a full queue gives up."""

from __future__ import annotations

from typing import Any

import pytest

from gossipsub.router.effects import Lane
from gossipsub.testing import Link, Network, Node, Observer, connect_line
from gossipsub.testing.links import SendQueue
from gossipsub.wire.rpc import Control, IDontWant, Message, Rpc

TOPIC = "t"


class Arrivals(Observer):
    """Times and seqnos of the messages that arrive at node 1."""

    def __init__(self) -> None:
        self.messages: list[tuple[float, int]] = []
        self.lost: list[Rpc] = []

    def arrived(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        if receiver.index == 1:
            self.messages += [
                (now, int.from_bytes(message.seqno or b"", "big")) for message in rpc.publish
            ]

    def dropped(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        self.lost.append(rpc)


def two_nodes(link: Link) -> tuple[Network, Arrivals]:
    arrivals = Arrivals()
    network = Network(link=link, observer=arrivals)
    connect_line(network, network.add_nodes(2))
    for node in network.nodes:
        network.subscribe(node, TOPIC)
    network.run_for(5.0)
    return network, arrivals


def test_jitter_changes_the_delay_but_never_the_order() -> None:
    network, arrivals = two_nodes(Link(latency=0.05, jitter=0.05))
    start = network.now
    for _ in range(200):
        network.publish(network.nodes[0], TOPIC)
        network.run_for(0.001)
    network.run_for(1.0)
    assert [seqno for _, seqno in arrivals.messages] == list(range(1, 201))
    delays = [time - start - (seqno - 1) / 1000 for time, seqno in arrivals.messages]
    assert min(delays) >= 0.0
    assert max(delays) <= 0.1005  # rounded to a tick
    assert len({round(delay, 3) for delay in delays}) > 20


def test_the_bandwidth_spaces_messages_out_exactly() -> None:
    # Topic, peer id, seqno and signature, and the tags and lengths of six fields.
    size = 1000 + 1 + 38 + 8 + 64 + 12
    network, arrivals = two_nodes(Link(latency=0.05, bandwidth=size * 4.0))
    start = network.now
    for _ in range(4):
        network.publish(network.nodes[0], TOPIC, 1000)
    network.run_for(3.0)
    assert [round(time - start, 3) for time, _ in arrivals.messages] == [0.3, 0.55, 0.8, 1.05]


def test_rpcs_shorter_than_a_tick_take_their_time_together() -> None:
    size = 32 + 1 + 38 + 8 + 64 + 12
    network, arrivals = two_nodes(Link(latency=0.0, bandwidth=size * 10_000.0))
    start = network.now
    for _ in range(1000):
        network.publish(network.nodes[0], TOPIC, 32)
    network.run_for(1.0)
    assert round(arrivals.messages[-1][0] - start, 2) == 0.1


def test_a_full_queue_gives_up_messages_and_still_delivers_in_order() -> None:
    network, arrivals = two_nodes(Link(bandwidth=100_000.0, queue_rpcs=4))
    for _ in range(10):
        network.publish(network.nodes[0], TOPIC, 1000)
    network.run_for(0.5)
    # One is on its way at once, four wait; own messages do not displace each other.
    assert [seqno for _, seqno in arrivals.messages] == [1, 2, 3, 4, 5]
    assert len(arrivals.lost) == 5
    assert network.report().rpcs_dropped == 5


@pytest.mark.parametrize("seed", range(5))
def test_lost_announcements_and_grafts_are_made_up_for(seed: int) -> None:
    arrivals = Arrivals()
    network = Network(seed=seed, link=Link(loss=0.6), observer=arrivals)
    connect_line(network, network.add_nodes(2))
    for node in network.nodes:
        network.subscribe(node, TOPIC)
    network.run_for(30.0)
    assert arrivals.lost
    one, other = network.nodes
    assert one.router.mesh(TOPIC) == [other.id]
    assert other.router.mesh(TOPIC) == [one.id]


def test_a_link_that_loses_everything_carries_nothing() -> None:
    network, arrivals = two_nodes(Link(loss=1.0))
    network.publish(network.nodes[0], TOPIC)
    network.run_for(5.0)
    assert arrivals.messages == []
    assert network.report().rpcs == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latency": -1.0}, "need 0 <= jitter <= latency: 0.0, -1.0"),
        ({"latency": 0.01, "jitter": 0.02}, "need 0 <= jitter <= latency: 0.02, 0.01"),
        ({"latency": float("inf")}, "need 0 <= jitter <= latency: 0.0, inf"),
        ({"loss": 1.5}, "loss must be in 0..1: 1.5"),
        ({"bandwidth": 0.0}, "bandwidth must be positive: 0.0"),
        ({"queue_rpcs": 0}, "queue_rpcs and queue_bytes must be positive: 0, 8388608"),
    ],
)
def test_a_link_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Link(**options)


# The queue alone


def rpc(name: str) -> Rpc:
    return Rpc(publish=(Message(name),))


def test_lanes_leave_in_their_order_and_each_in_its_own() -> None:
    queue = SendQueue(max_rpcs=10, max_bytes=1000)
    for name, lane in (
        ("f1", Lane.FORWARDED),
        ("c1", Lane.CONTROL),
        ("f2", Lane.FORWARDED),
        ("u1", Lane.URGENT),
        ("c2", Lane.CONTROL),
    ):
        assert queue.push(rpc(name), 1, lane) == []
    names = []
    while (item := queue.pop()) is not None:
        names.append(item[0].publish[0].topic)
    assert names == ["u1", "c1", "c2", "f1", "f2"]


def test_a_full_queue_gives_up_the_newest_of_the_lowest_class() -> None:
    queue = SendQueue(max_rpcs=3, max_bytes=1000)
    first, second, own, urgent = rpc("f1"), rpc("f2"), rpc("o"), rpc("u")
    for item, lane in ((first, Lane.FORWARDED), (second, Lane.FORWARDED), (own, Lane.OWN)):
        queue.push(item, 1, lane)
    assert queue.push(urgent, 1, Lane.URGENT) == [second]
    late = rpc("f3")
    assert queue.push(late, 1, Lane.FORWARDED) == [late]


def test_a_queue_full_of_bytes_gives_up_as_many_as_it_takes() -> None:
    queue = SendQueue(max_rpcs=10, max_bytes=100)
    small = [rpc("a"), rpc("b"), rpc("c")]
    for item in small:
        queue.push(item, 30, Lane.FORWARDED)
    big = rpc("big")
    assert queue.push(big, 60, Lane.OWN) == [small[2], small[1]]


def test_a_refused_message_is_taken_out_of_the_queue() -> None:
    queue = SendQueue(max_rpcs=2, max_bytes=100)
    one, other = Message(TOPIC, b"1"), Message(TOPIC, b"2")
    queue.push(Rpc(publish=(one,)), 60, Lane.FORWARDED)
    both = Rpc(publish=(one, other))
    queue.push(both, 40, Lane.FORWARDED)
    assert queue.remove(one)
    assert not queue.remove(one)
    assert not queue.remove(other)
    assert queue.push(Rpc(), 60, Lane.FORWARDED) == []
    assert queue.pop() == (both, 40)


def test_a_message_that_waits_for_a_slow_link_is_not_sent_to_a_peer_that_refused_it() -> None:
    network, arrivals = two_nodes(Link(latency=0.01, bandwidth=1000.0))
    sender, receiver = network.nodes
    network.publish(sender, TOPIC, 5000)
    network.publish(sender, TOPIC, 5000)  # waits for about five seconds
    second = sender.id + (2).to_bytes(8, "big")
    sender.router.receive_rpc(
        receiver.id, Rpc(control=Control(idontwant=(IDontWant((second,)),))), now=network.now
    )
    network.run_for(30.0)
    assert [seqno for _, seqno in arrivals.messages] == [1]
