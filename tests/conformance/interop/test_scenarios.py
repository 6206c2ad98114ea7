from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from gossipsub.conformance.interop.instructions import (
    AddPartialMessage,
    Connect,
    Publish,
    SubscribeToTopic,
    read_script,
)
from gossipsub.conformance.interop.scenarios import (
    COMPRESSED,
    SCENARIOS,
    build_script,
    duration,
)


def of_node(script: list[dict[str, Any]], node: int, kind: type) -> list[Any]:
    return [it for it in read_script(script, node=node) if isinstance(it, kind)]


@pytest.mark.parametrize(
    ("scenario", "digest"),
    [  # of what libp2p/test-plans generates for these, its commit f4942573
        ("subnet-blob-msg", "986efabadf5ec322"),
        ("simple-fanout", "8925f0825128cc39"),
        ("partial-messages", "e2782859f3a56417"),
        ("partial-messages-chain", "21eecbe7ceb76ef3"),
        ("partial-messages-fanout", "696588fda9aa6ee3"),
    ],
)
def test_the_script_of_a_seed_is_the_public_one(scenario: str, digest: str) -> None:
    script = build_script(scenario, nodes=8, seed=1)
    text = json.dumps(script, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_seed_gives_one_script_and_another_seed_another(scenario: str) -> None:
    first, again, other = (build_script(scenario, nodes=10, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert (first == other) is (scenario == "partial-messages-chain")  # no draw there


@pytest.mark.parametrize(
    ("scenario", "public", "compressed"),
    [
        ("subnet-blob-msg", 342, 26),
        ("simple-fanout", 342, 26),
        ("partial-messages", 40, 10),
        ("partial-messages-chain", 92, 26),
        ("partial-messages-fanout", 40, 10),
    ],
)
def test_compressed_timing_is_short_and_changes_nothing_but_times(
    scenario: str, public: int, compressed: int
) -> None:
    long = build_script(scenario, nodes=8)
    short = build_script(scenario, nodes=8, timing=COMPRESSED)
    assert (duration(long), duration(short)) == (public, compressed)
    for node in range(8):
        for kind in (Connect, Publish, SubscribeToTopic, AddPartialMessage):
            assert of_node(long, node, kind) == of_node(short, node, kind)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_gossip_no_node_offers_messages(scenario: str) -> None:
    def params(**options: bool) -> list[dict[str, Any]]:
        script = build_script(scenario, nodes=3, **options)
        return [it["instruction"]["gossipSubParams"] for it in script[:3]]

    assert params() == [{"HeartbeatInitialDelay": 100_000_000 + 100_000 * n} for n in (1, 2, 3)]
    for with_gossip, without in zip(params(), params(gossip=False), strict=True):
        assert without == {**with_gossip, "Dlazy": 0, "GossipFactor": 0}


@pytest.mark.parametrize("nodes", [2, 8, 40])
def test_each_node_has_twenty_links_or_one_to_every_other(nodes: int) -> None:
    script = build_script("subnet-blob-msg", nodes=nodes, seed=5)
    links: list[set[int]] = [set() for _ in range(nodes)]
    for node in range(nodes):
        for connect in of_node(script, node, Connect):
            for other in connect.nodes:
                assert other != node
                assert other not in links[node]
                links[node].add(other)
                links[other].add(node)
    assert min(map(len, links)) >= min(20, nodes - 1)


def test_of_two_nodes_one_has_the_parts_that_the_other_lacks() -> None:
    for seed in range(10):
        script = build_script("partial-messages", nodes=2, seed=seed)
        (mine,), (theirs,) = (of_node(script, node, AddPartialMessage) for node in (0, 1))
        assert mine.parts ^ theirs.parts == 0xFF


@pytest.mark.parametrize(
    ("scenario", "nodes", "error"),
    [
        ("subnet", 8, "no scenario is called 'subnet'; known are subnet-blob-msg, "),
        ("simple-fanout", 1, "a scenario needs at least 2 nodes, not 1"),
    ],
)
def test_what_is_no_scenario_is_refused(scenario: str, nodes: int, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        build_script(scenario, nodes=nodes)
