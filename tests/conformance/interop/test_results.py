from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gossipsub.conformance.interop.results import read_results, summary, table
from gossipsub.conformance.interop.scenarios import build_script

INIT = {"type": "initGossipSub", "gossipSubParams": {}}


def only(node: int, instruction: dict[str, Any]) -> dict[str, Any]:
    return {"type": "ifNodeIDEquals", "nodeID": node, "instruction": instruction}


SCRIPT = [
    INIT,
    only(0, {"type": "subscribeToTopic", "topicID": "t"}),
    only(1, {"type": "subscribeToTopic", "topicID": "t"}),
    only(2, {"type": "publish", "messageID": 5, "messageSizeBytes": 8, "topicID": "t"}),
]


def line(msg: str, seconds: float, **fields: object) -> str:
    return json.dumps({"time": f"2026-01-01T00:00:{seconds:09.6f}Z", "msg": msg, **fields})


def write(output: Path, **logs: list[str]) -> Path:
    for node, lines in logs.items():
        home = output / "hosts" / node
        home.mkdir(parents=True)
        (home / f"{node}.stdout").write_text("\n".join(lines) + "\n")
    return output


def test_reach_copies_and_latency_are_read_from_the_logs(tmp_path: Path) -> None:
    output = write(
        tmp_path,
        node0=[
            line("PeerID", 0, id="x", node_id=0),
            "no JSON at all",
            "[1]",
            line("Received Message", 10.5, id="5"),
            line("Received Message", 10.7, id="5"),
            line("Sent Message", 10.1, id="5"),  # by a clock that is slow
        ],
        node1=[line("Received Message", 11, id="5"), line("Received Message", 12, id="99")],
        node2=[
            line("Sent Message", 10.25, id="5"),
            line("Sent Message", 10.5, id="5"),
            line("Received Message", 12, id="5"),
        ],
    )
    results = read_results(SCRIPT, [0, 0, 0], output)
    (message,) = results.messages
    assert (message.wanted, message.missing, message.copies) == ({0, 1}, [], 4)
    assert message.latencies == pytest.approx([0.25, 0.75])
    assert (results.reach, results.copies_per_delivery) == (1.0, 2.0)
    assert results.failures() == []
    assert table(results).splitlines() == [
        "message  topic  from   reach  copies  median    slowest",
        "5        t      node2  2/2    4       250.0 ms  750.0 ms",
    ]
    assert summary(results) == (
        "reach 1.000, 2.00 copies per delivery, "
        "latency median 250.0 ms, 95 % 750.0 ms, slowest 750.0 ms"
    )


def test_times_are_read_with_nine_digits_and_in_other_zones(tmp_path: Path) -> None:
    sent = {"time": "2026-01-01T01:00:00.123456789+01:00", "msg": "Sent Message", "id": "5"}
    received = {"time": "2026-01-01T00:00:01.123456Z", "msg": "Received Message", "id": "5"}
    logs = {"node2": [json.dumps(sent)], "node0": [json.dumps(received)]}
    (message,) = read_results(SCRIPT, [0, 0, 0], write(tmp_path, **logs)).messages
    assert message.latencies == pytest.approx([1.0])


def test_what_did_not_happen_is_told(tmp_path: Path) -> None:
    output = write(tmp_path, node0=[line("Received Message", 1, id="5")])
    results = read_results(SCRIPT, [0, 3, None], output)
    assert results.failures() == [
        "node1 ended with 3",
        "node2 did not end in time",
        "message 5 did not reach node1",
    ]
    assert results.reach == 0.5
    assert results.latency(0.5) is None


def test_groups_must_be_completed_by_all_that_exchange_parts(tmp_path: Path) -> None:
    script = build_script("partial-messages-chain", nodes=3)
    done = [line("All parts received", 1, **{"group id": group}) for group in range(16)]
    output = write(tmp_path, node0=done, node1=done[:14], node2=done)
    results = read_results(script, [0, 0, 0], output)
    assert results.failures() == ["node1 did not complete the groups 14, 15"]
    assert results.reach == pytest.approx(46 / 48)
    assert table(results).splitlines()[1:] == ["node0  16/16", "node1  14/16", "node2  16/16"]
    assert summary(results) == "reach 0.958"


def test_a_group_of_which_nobody_has_a_part_is_asked_of_nobody(tmp_path: Path) -> None:
    parts = [(0, 0b1), (1, 0b11)]
    script = [
        INIT,
        {"type": "subscribeToTopic", "topicID": "t", "partial": True},
        *(
            only(node, {"type": "addPartialMessage", "topicID": "t", "groupID": 1, "parts": bits})
            for node, bits in parts
        ),
    ]
    results = read_results(script, [0, 0], write(tmp_path, node0=[], node1=[]))
    assert results.failures() == []
    assert results.reach == 1.0


def test_who_gives_a_whole_group_from_outside_the_topic_has_it(tmp_path: Path) -> None:
    script = build_script("partial-messages-fanout", nodes=3)
    results = read_results(script, [0, 0, 0], write(tmp_path, node0=[], node1=[], node2=[]))
    assert [len(groups) for groups in results.groups_wanted.values()] == [1, 1, 1]
