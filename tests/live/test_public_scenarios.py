"""Two scenarios of the public GossipSub experiments (libp2p/test-plans), with mixed nodes.

Their waits, minutes in real time, are replaced by waiting for what they are there for.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import anyio
import pytest

from gossipsub.conformance.driver import PeerProcess
from gossipsub.conformance.exchange import knows, start_peers

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(900),  # the Go peer may have to be built first
    pytest.mark.usefixtures("go_peer_available"),
]

MESSAGES = 16
PARAMS = {
    "heartbeatMs": 200,
    "heartbeatInitialDelayMs": 20,
    "outboundQueue": 600,
    "validateQueue": 600,
    "subBuffer": 600,
}
NO_GOSSIP = {"Dlazy": 0, "gossipFactor": 0}
MIXTURES = {"half": ("python", "go") * 4, "one of ours": ("python", *("go",) * 7)}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def connect_all(peers: Sequence[PeerProcess], topics: Sequence[str]) -> None:
    """Everybody with everybody; each node subscribes to its own of the topics."""
    for peer, topic in zip(peers, topics, strict=True):
        await peer.command("subscribe", topic=topic)
    for one, other in combinations(peers, 2):
        await one.command("connect", addr=other.addresses[0])
    for one, topic in zip(peers, topics, strict=True):
        for other in peers:
            if other is not one:
                await knows(other, one, topic=topic)
    for peer, topic in zip(peers, topics, strict=True):
        least = min(5, topics.count(topic) - 1)  # D_low
        await peer.wait_answer(
            "mesh", lambda mesh, n=least: len(mesh["peers"]) >= n, topic=topic, timeout=30
        )


async def hears(peer: PeerProcess, count: int) -> None:
    await peer.wait_answer("stats", lambda stats: stats["received"] >= count, timeout=30)


@pytest.mark.rule("SIM-07")
@pytest.mark.parametrize("gossip", [{}, NO_GOSSIP], ids=["gossip", "no gossip"])
@pytest.mark.parametrize("targets", MIXTURES.values(), ids=MIXTURES)
async def test_every_blob_of_96_kib_reaches_every_node_of_the_subnet(
    targets: tuple[str, ...], gossip: dict[str, object]
) -> None:
    rng = random.Random(f"blobs {targets}")
    async with start_peers(*targets, params=PARAMS | gossip, quiet=True) as peers:
        await connect_all(peers, ["a-subnet"] * len(peers))
        for peer in peers:
            await peer.command(
                "validator", topic="a-subnet", verdict="accept", prefix_b64="", delay_ms=5
            )
        published: Counter[int] = Counter()
        for number in range(MESSAGES):
            publisher = rng.randrange(len(peers))
            published[publisher] += 1
            await peers[publisher].command(
                "publish_many", topic="a-subnet", count=1, size=98304, first_seq=number
            )
            for index, peer in enumerate(peers):
                await hears(peer, number + 1 - published[index])
        for index, peer in enumerate(peers):
            stats = await peer.command("stats")
            assert stats["received"] == MESSAGES - published[index]


@pytest.mark.rule("SIM-07")
@pytest.mark.parametrize("gossip", [{}, NO_GOSSIP], ids=["gossip", "no gossip"])
@pytest.mark.parametrize("targets", MIXTURES.values(), ids=MIXTURES)
async def test_messages_to_topics_one_is_in_or_not_reach_everybody_in_them(
    targets: tuple[str, ...], gossip: dict[str, object]
) -> None:
    rng = random.Random(f"fanout {targets}")
    topics = [("topic-a", "topic-b")[number % 2] for number in range(len(targets))]
    params = PARAMS | {"floodPublish": False} | gossip
    async with start_peers(*targets, params=params, quiet=True) as peers:
        await connect_all(peers, topics)
        wanted: Counter[int] = Counter()
        for number in range(MESSAGES):
            publisher, topic = rng.randrange(len(peers)), rng.choice(["topic-a", "topic-b"])
            await peers[publisher].command(
                "publish_many", topic=topic, count=1, size=1024, first_seq=number
            )
            for index in range(len(peers)):
                wanted[index] += topics[index] == topic and index != publisher
        with anyio.fail_after(60):
            for index, peer in enumerate(peers):
                await hears(peer, wanted[index])
        for index, peer in enumerate(peers):
            assert (await peer.command("stats"))["received"] == wanted[index]
