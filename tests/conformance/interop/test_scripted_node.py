from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from gossipsub.conformance.interop.instructions import Connect, InitGossipSub, read_script
from gossipsub.conformance.interop.node_log import NodeLog
from gossipsub.conformance.interop.results import read_results
from gossipsub.conformance.interop.scenarios import PUBLIC, SCENARIOS, build_script
from gossipsub.conformance.interop.scripted_node import (
    InstructionFailed,
    ScriptedNode,
    announce,
    node_key,
)
from gossipsub.testing.memory import MemoryNetwork

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

INIT = {"type": "initGossipSub", "gossipSubParams": {}}


async def run_nodes(script: list[Any], nodes: int) -> list[list[dict[str, Any]]]:
    """What each node printed, after all ran in one process."""
    network = MemoryNetwork()
    machines = [network.machine(f"node{node}") for node in range(nodes + 1)]  # one without host

    async def address_of(node: int) -> str:
        return f"/ip4/{machines[node].ip4}/tcp/9000/p2p/{node_key(node).peer_id()}"

    printed: list[list[dict[str, Any]]] = [[] for _ in range(nodes)]

    async def run(node: int) -> None:
        log = NodeLog(printed[node].append)
        own = read_script(script, node=node)
        async with ScriptedNode(
            node, own, log, address_of=address_of, network=machines[node]
        ) as scripted:
            announce(log, node)
            await scripted.run()

    async with anyio.create_task_group() as group:
        for node in range(nodes):
            group.start_soon(partial(run, node))
    return printed


def write(output: Path, printed: Sequence[Sequence[dict[str, Any]]]) -> Path:
    for node, lines in enumerate(printed):
        home = output / "hosts" / f"node{node}"
        home.mkdir(parents=True)
        (home / f"node{node}.stdout").write_text("".join(f"{json.dumps(it)}\n" for it in lines))
    return output


@pytest.mark.rule("SIM-07")
@pytest.mark.parametrize("gossip", [True, False], ids=["gossip", "no-gossip"])
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_our_nodes_alone_pass_every_scenario_in_its_public_timing(
    scenario: str, gossip: bool, tmp_path: Path
) -> None:
    timing = replace(PUBLIC, ready=2)
    script = build_script(scenario, nodes=8, seed=3, timing=timing, gossip=gossip)
    started = anyio.current_time()
    printed = await run_nodes(script, 8)
    results = read_results(script, [0] * 8, write(tmp_path, printed))
    assert results.failures() == []
    assert results.reach == 1.0
    waits = [it["elapsedSeconds"] for it in script if it["type"] == "waitUntil"]
    assert anyio.current_time() - started == pytest.approx(max(waits), abs=3)


async def test_a_node_tells_who_it_is_and_every_copy_it_receives() -> None:
    publish = {"type": "publish", "messageID": 31, "messageSizeBytes": 4096, "topicID": "t"}
    script = [
        INIT,
        {"type": "waitUntil", "elapsedSeconds": 1},
        {
            "type": "ifNodeIDEquals",
            "nodeID": 0,
            "instruction": {"type": "connect", "connectTo": [1]},
        },
        {"type": "subscribeToTopic", "topicID": "t"},
        {"type": "waitUntil", "elapsedSeconds": 10},
        publish,  # both publish it, so each has it when the other's copy comes
        {"type": "waitUntil", "elapsedSeconds": 12},
    ]
    for node, lines in enumerate(await run_nodes(script, 2)):
        first = lines[0]
        assert (first["msg"], first["node_id"]) == ("PeerID", node)
        assert first["id"] == str(node_key(node).peer_id())
        received = [it for it in lines if it["msg"] == "Received Message"]
        other = str(node_key(1 - node).peer_id())
        assert [(it["id"], it["from"], it["topic"]) for it in received] == [("31", other, "t")]


@pytest.mark.parametrize(
    ("instructions", "error"),
    [
        ([{"type": "connect", "connectTo": [1]}], "Connect: /ip4/10.0.0.2/tcp/9000/p2p/"),
        (
            [{"type": "publish", "messageID": 1, "messageSizeBytes": 11 << 20, "topicID": "t"}],
            "Publish: the message takes 11534352 bytes on the wire, the limit is 10485760",
        ),
        (
            [{"type": "setTopicValidationDelay", "topicID": "t", "delaySeconds": 1}] * 2,
            "SetTopicValidationDelay: ",
        ),
    ],
)
async def test_the_first_instruction_that_fails_ends_the_node(
    instructions: list[dict[str, Any]], error: str
) -> None:
    late = {"type": "waitUntil", "elapsedSeconds": 1000}
    started = anyio.current_time()
    with pytest.raises(BaseExceptionGroup) as caught:
        await run_nodes([INIT, *instructions, late], 1)
    assert anyio.current_time() - started < 500
    failure: BaseException = caught.value
    while isinstance(failure, BaseExceptionGroup):
        (failure,) = failure.exceptions
    assert isinstance(failure, InstructionFailed)
    assert str(failure).startswith(error)


async def test_what_is_late_is_done_at_once() -> None:
    waits = [{"type": "waitUntil", "elapsedSeconds": seconds} for seconds in (7, 2)]
    started = anyio.current_time()
    await run_nodes([INIT, *waits], 1)
    assert 7 <= anyio.current_time() - started < 10


async def test_a_node_can_be_dialled_before_its_script_begins() -> None:
    network = MemoryNetwork()
    early, late = network.machine(), network.machine()

    async def address_of(node: int) -> str:
        return f"/ip4/{late.ip4}/tcp/9000/p2p/{node_key(node).peer_id()}"

    log = NodeLog(lambda line: None)
    script = [InitGossipSub({}), Connect((1,))]
    async with (
        ScriptedNode(1, [InitGossipSub({})], log, address_of=address_of, network=late),
        ScriptedNode(0, script, log, address_of=address_of, network=early) as node,
    ):
        await node.run()


async def test_parameters_that_cannot_be_fail_before_the_start() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        await run_nodes([{"type": "initGossipSub", "gossipSubParams": {"D": 0.5}}], 1)
    error = "InitGossipSub: D: must be a whole number, not 0.5"
    assert [str(each) for each in caught.value.exceptions] == [error]


async def test_parameters_without_counterpart_are_warned_of() -> None:
    warnings: list[str] = []

    async def nowhere(node: int) -> str:
        raise OSError("nowhere")

    async with ScriptedNode(
        0,
        [InitGossipSub({"SlowHeartbeatWarning": 0.1})],
        NodeLog(lambda line: None),
        address_of=nowhere,
        network=MemoryNetwork().machine(),
        warn=warnings.append,
    ):
        pass
    assert warnings == ["the parameter SlowHeartbeatWarning has no counterpart here"]
