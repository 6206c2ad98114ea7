from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from gossipsub.router.effects import TraceKind
from gossipsub.testing import GossipParams, Link, Network, Node, TraceObserver, connect_random
from gossipsub.tracing.event import TraceEvent
from gossipsub.tracing.trace_reader import read_trace
from gossipsub.tracing.trace_writer import TraceFile

NODES, MESSAGES = 20, 15


def simulate(sink: object, *, link: Link | None = None) -> list[Node]:
    """All join, some publish, one goes at once, the others leave."""
    assert callable(sink)
    network = Network(
        seed=1, params=GossipParams(tracing=True), link=link, observer=TraceObserver(sink)
    )
    nodes = network.add_nodes(NODES)
    connect_random(network, nodes, links=8)
    for node in nodes:
        network.subscribe(node, "t")
    network.run_for(3.0)
    for number in range(MESSAGES):
        network.publish(nodes[number], "t", 100)
    network.run_for(5.0)
    network.stop(nodes[-1])
    for node in nodes:
        network.unsubscribe(node, "t")
    network.run_for(1.0)
    return nodes


@pytest.mark.rule("TRC-01")
def test_the_trace_of_twenty_nodes_adds_up() -> None:
    events: list[TraceEvent] = []
    nodes = simulate(events.append)
    counts = Counter(event.kind for event in events)
    assert counts[TraceKind.PUBLISH_MESSAGE] == MESSAGES
    assert counts[TraceKind.DELIVER_MESSAGE] == NODES * MESSAGES
    assert counts[TraceKind.REJECT_MESSAGE] == counts[TraceKind.DROP_RPC] == 0
    assert counts[TraceKind.SEND_RPC] >= counts[TraceKind.RECV_RPC] > 0
    assert counts[TraceKind.JOIN] == NODES
    for node in nodes:
        own = [event for event in events if event.node == node.id]
        assert pairs(own, TraceKind.ADD_PEER, TraceKind.REMOVE_PEER) <= 8 * 3
        # The one that stopped is out of the network before it could leave.
        assert pairs(own, TraceKind.JOIN, TraceKind.LEAVE) == (node is nodes[-1])
        assert (pairs(own, TraceKind.GRAFT, TraceKind.PRUNE) == 0) == (node is not nodes[-1])
        delivered = [e.message_id for e in own if e.kind is TraceKind.DELIVER_MESSAGE]
        assert len(set(delivered)) == len(delivered) == MESSAGES
    # Every message that came is told of once: it was delivered, or it was a duplicate.
    came = sum(
        len(event.meta.messages)
        for event in events
        if event.kind is TraceKind.RECV_RPC and event.meta is not None
    )
    told = counts[TraceKind.DELIVER_MESSAGE] - MESSAGES + counts[TraceKind.DUPLICATE_MESSAGE]
    assert came == told


def pairs(events: list[TraceEvent], begin: TraceKind, end: TraceKind) -> int:
    """Never ends what did not begin, nor begins what did; how many have not ended."""
    open_ones: set[tuple[bytes | None, str | None]] = set()
    for event in events:
        key = (event.peer, event.topic)
        if event.kind is begin:
            assert key not in open_ones
            open_ones.add(key)
        elif event.kind is end:
            open_ones.remove(key)
    return len(open_ones)


def test_what_links_lose_is_traced_as_dropped() -> None:
    events: list[TraceEvent] = []
    simulate(events.append, link=Link(loss=0.2))
    counts = Counter(event.kind for event in events)
    assert counts[TraceKind.SEND_RPC] == counts[TraceKind.RECV_RPC] + counts[TraceKind.DROP_RPC]
    assert counts[TraceKind.DROP_RPC] > 0


def test_a_simulation_writes_the_same_file_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("a.pb", "b.pb"):
        file = TraceFile(tmp_path / name)
        simulate(file)
        assert file.close(10.0)
    assert (tmp_path / "a.pb").read_bytes() == (tmp_path / "b.pb").read_bytes()
    times = [event.timestamp for event in read_trace(tmp_path / "a.pb")]
    assert times == sorted(times)
    assert times[-1] <= 9 * 10**9
