"""A python node in a mesh of go nodes keeps its good name, and so do they with it, for as many
heartbeats as ten minutes have, with every part of the score switched on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import anyio
import pytest

from gossipsub.conformance.driver import PeerProcess
from gossipsub.conformance.exchange import connect, start_peers
from gossipsub.conformance.scripted_gossip import join_mesh, stranger

pytestmark = pytest.mark.anyio

BUILD_TIMEOUT = 900
"""The first test that needs the Go peer may have to build it."""

MINUTES_10 = 600
"""Heartbeats."""
BEAT_MS = 50
"""Twenty times as fast as usual, and what is counted in heartbeats with it. What a peer needs to
answer is not any faster: the time for an IWANT stays as it is."""
MESH = {
    # The Go library keeps 32 of each by default, and drops what is beyond.
    **{"outboundQueue": 1024, "validateQueue": 1024, "subBuffer": 1024},
    **{"D": 3, "Dlo": 2, "Dhi": 4, "Dscore": 2, "Dout": 0},
    **{"heartbeatMs": BEAT_MS, "heartbeatInitialDelayMs": 10},
}
TOPIC = {
    **{"topicWeight": 0.5, "timeInMeshWeight": 0.03, "timeInMeshCap": 300},
    **{"timeInMeshQuantumMs": BEAT_MS, "firstMessageDeliveriesWeight": 0.5},
    **{"firstMessageDeliveriesDecay": 0.98, "firstMessageDeliveriesCap": 50},
    **{"meshMessageDeliveriesWeight": -1, "meshMessageDeliveriesDecay": 0.98},
    **{"meshMessageDeliveriesThreshold": 5, "meshMessageDeliveriesCap": 50},
    **{"meshMessageDeliveriesWindowMs": 20, "meshMessageDeliveriesActivationMs": 60 * BEAT_MS},
    **{"meshFailurePenaltyWeight": -1, "meshFailurePenaltyDecay": 0.98},
    **{"invalidMessageDeliveriesWeight": -20, "invalidMessageDeliveriesDecay": 0.98},
}
STRICT = {
    **{"topics": {"t": TOPIC}, "topicScoreCap": 60, "decayIntervalMs": BEAT_MS},
    **{"ipColocationFactorWeight": -10, "ipColocationFactorThreshold": 1},
    **{"behaviourPenaltyWeight": -10, "behaviourPenaltyThreshold": 0},
    "behaviourPenaltyDecay": 0.98,
}
PER_SECOND = 15
EACH = PER_SECOND * MINUTES_10 * BEAT_MS // 1000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The driver's; the nodes are processes of their own."""
    return "asyncio"


@pytest.fixture(params=["python", pytest.param("go", marks=pytest.mark.timeout(BUILD_TIMEOUT))])
def target(request: pytest.FixtureRequest) -> str:
    if request.param == "go":
        request.getfixturevalue("go_peer_available")
    return str(request.param)


async def test_a_peer_that_never_speaks_does_not_keep_its_score(target: str) -> None:
    """What the test below would show of a python node that did not do its part."""
    soon = {"topics": {"t": TOPIC | {"meshMessageDeliveriesActivationMs": 4 * BEAT_MS}}}
    async with (
        start_peers(target, topic="t", params=MESH, score=STRICT | soon) as (peer,),
        stranger(peer) as w,
    ):
        await join_mesh(w, peer, "t")
        await peer.wait_answer("scores", lambda got: got["scores"][str(w.peer_id)]["score"] < 0)


def time_in_mesh(told: dict[str, Any]) -> float:
    return float(told["topics"].get("t", {}).get("time_in_mesh_ms", 0))


class Watch:
    """What all say of all while messages go round, and what each got."""

    def __init__(self, peers: Sequence[PeerProcess]) -> None:
        self._peers = peers
        self.samples = 0
        self.bad: list[tuple[str, Any]] = []
        self.active = 0
        """Samples in which a deficit would have counted between python and a go node."""
        self.got = {peer.peer_id: Counter[tuple[str, int]]() for peer in peers}

    async def run(self) -> None:
        while True:
            await self.sample()

    async def sample(self) -> None:
        self.samples += 1
        for peer in self._peers:
            scores = (await peer.command("scores", timeout=30))["scores"]
            assert scores.keys() >= self.got.keys() - {peer.peer_id}
            self.bad += [(peer.name, one) for one in scores.values() if one["score"] < 0]
            if peer.name == "python":
                times = [time_in_mesh(one) for one in scores.values()]
                self.active += max(times) > TOPIC["meshMessageDeliveriesActivationMs"]
            self.take_messages(peer)

    def take_messages(self, peer: PeerProcess) -> None:
        for event in peer.messages():
            if event["from"] != peer.peer_id:
                number = int.from_bytes(event["data"][:8], "big")
                self.got[peer.peer_id][event["from"], number] += 1


@pytest.mark.timeout(BUILD_TIMEOUT)
@pytest.mark.rule("SCORE-40")
async def test_a_python_node_in_a_mesh_of_go_nodes_keeps_its_score_for_ten_minutes(
    go_peer_available: object,
) -> None:
    targets = ("go", "go", "python", "go", "go")
    async with start_peers(*targets, topic="t", params=MESH, score=STRICT) as peers:
        for one, other in combinations(peers, 2):
            await connect(one, other, topic="t")
        watch = Watch(peers)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.run)
            async with anyio.create_task_group() as publishers:
                for peer in peers:
                    publishers.start_soon(publish_all, peer)
            tasks.cancel_scope.cancel()
        for peer in peers:
            await peer.wait_answer("stats", lambda got: got["received"] >= 4 * EACH, timeout=20)
            watch.take_messages(peer)
        assert watch.bad == []
        assert watch.samples >= 10
        assert watch.active >= 5
        names = {peer.peer_id for peer in peers}
        for me, got in watch.got.items():
            wanted = {(name, number) for name in names - {me} for number in range(EACH)}
            assert got == dict.fromkeys(wanted, 1)
        for peer in peers:
            assert (await peer.command("stats"))["rejections"] == {}


async def publish_all(peer: PeerProcess) -> None:
    answer = await peer.command(
        "publish_many", topic="t", count=EACH, size=200, rate=PER_SECOND, timeout=150
    )
    assert (answer["sent"], answer["failed"]) == (EACH, 0)
