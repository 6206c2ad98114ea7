"""What a trace comes to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gossipsub.__main__ import main
from gossipsub.cli.trace_summary import summarize
from gossipsub.router.effects import TraceKind
from gossipsub.testing import GossipParams, Network, TraceObserver, connect_all
from gossipsub.tracing import MessageMeta, RpcMeta, TraceEvent, TraceFile
from gossipsub.wire.rpc import Control, Graft, IDontWant, IHave, IWant, SubOpts

MILLISECOND = 1_000_000
A, B, C = b"A", b"B", b"C"


def event(kind: TraceKind, node: bytes, milliseconds: int, **fields: object) -> TraceEvent:
    return TraceEvent(
        kind=kind,
        node=node,
        timestamp=milliseconds * MILLISECOND,
        **fields,  # type: ignore[arg-type]
    )


def publish(node: bytes, message_id: bytes, at: int) -> TraceEvent:
    return event(TraceKind.PUBLISH_MESSAGE, node, at, message_id=message_id, topic="t")


def deliver(node: bytes, message_id: bytes, at: int) -> TraceEvent:
    return event(TraceKind.DELIVER_MESSAGE, node, at, message_id=message_id, topic="t", peer=A)


META = RpcMeta(
    (MessageMeta(b"1", "t"),),
    (SubOpts("t"),),
    Control((IHave("t", (b"1", b"2")),), (IWant((b"1",)),), (Graft("t"),), (), (IDontWant(()),)),
)
EVENTS = [
    deliver(B, b"1", 12),  # B's file is read before A's
    event(TraceKind.DUPLICATE_MESSAGE, B, 13, message_id=b"1", peer=C),
    event(TraceKind.REJECT_MESSAGE, B, 14, message_id=b"9", peer=C, reason="bad\n"),
    event(TraceKind.REJECT_MESSAGE, B, 14, message_id=b"8", peer=C),
    publish(A, b"1", 10),
    deliver(A, b"1", 10),
    event(TraceKind.SEND_RPC, A, 10, peer=B, meta=META),
    event(TraceKind.RECV_RPC, A, 11, peer=B, meta=META),
    deliver(C, b"1", 40),
    deliver(C, b"7", 50),  # nobody traced who published it
    publish(A, b"1", 99),  # the first one counts
]


def test_messages_are_followed_from_publication_to_delivery_in_any_order() -> None:
    expected = {
        "events": 11,
        "nodes": 3,
        "seconds": 0.089,
        "kinds": {
            "PUBLISH_MESSAGE": 2,
            "REJECT_MESSAGE": 2,
            "DUPLICATE_MESSAGE": 1,
            "DELIVER_MESSAGE": 4,
            "RECV_RPC": 1,
            "SEND_RPC": 1,
        },
        "rejections": {"bad\n": 1, "": 1},
        "rpc_sent": {"messages": 1, "subscriptions": 1, "graft": 1, "ihave": 2, "iwant": 1},
        "deliveries": 3,
        "own_deliveries": 1,
        "duplicates_per_delivery": 1 / 3,
        "latencies": 2,
        "latency_seconds": {"min": 0.002, "median": 0.002, "p90": 0.03, "p99": 0.03, "max": 0.03},
    }
    assert summarize(EVENTS).as_json() == expected
    assert [json.loads(line) for line in summarize(EVENTS).lines(as_json=True)] == [expected]


def test_people_read_a_few_lines() -> None:
    assert "\n".join(summarize(EVENTS).lines(as_json=False)).splitlines() == [
        "11 events of 3 nodes in 0.089 s",
        "",
        "events:",
        "  PUBLISH_MESSAGE            2",
        "  REJECT_MESSAGE             2",
        "  DUPLICATE_MESSAGE          1",
        "  DELIVER_MESSAGE            4",
        "  RECV_RPC                   1",
        "  SEND_RPC                   1",
        "",
        "rejected because:",
        "  bad\\n          1",
        "                 1",
        "",
        "in RPCs sent:",
        "  messages               1",
        "  subscriptions          1",
        "  graft                  1",
        "  ihave                  2",
        "  iwant                  1",
        "",
        "3 deliveries to others, 1 to the publisher",
        "0.333 duplicates per delivery",
        "latency in ms of 2 deliveries: min 2.000, median 2.000, p90 30.000, p99 30.000, "
        "max 30.000",
    ]


def test_no_events_come_to_nothing() -> None:
    summary = summarize([])
    assert summary.as_json()["latency_seconds"]["max"] is None
    assert list(summary.lines(as_json=False)) == [
        "0 events of 0 nodes in 0.000 s",
        "\n0 deliveries to others, 0 to the publisher",
        "no latencies: no message has both its publication and a delivery in these files",
    ]


def test_the_trace_of_a_network_has_each_delivery_with_its_latency(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "network.pb.gz"
    file = TraceFile(path)
    network = Network(params=GossipParams(tracing=True), observer=TraceObserver(file))
    nodes = network.add_nodes(10)
    connect_all(network, nodes)
    for node in nodes:
        network.subscribe(node, "news")
    network.run_for(2)
    for _ in range(5):
        network.publish(nodes[0], "news")
        network.run_for(2)
    assert file.close(10.0)
    assert main(["trace", str(path), "--summary", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["nodes"], told["kinds"]["PUBLISH_MESSAGE"]) == (10, 5)
    assert (told["deliveries"], told["own_deliveries"], told["latencies"]) == (45, 5, 45)
    assert 0 < told["latency_seconds"]["min"] <= told["latency_seconds"]["max"] < 1
