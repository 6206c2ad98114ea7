"""What the peer written in Go does beside what every peer promises."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gossipsub.conformance.driver import (
    PeerProcess,
    start_peer,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("go_peer_available")]

FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextlib.asynccontextmanager
async def pair(*, topic: str = "t", **options: Any) -> AsyncIterator[tuple[PeerProcess, ...]]:
    """Two connected peers that subscribe to a topic and know it of each other."""
    options = {"params": FAST} | options
    async with start_peer("go", seed=1, **options) as a, start_peer("go", seed=2, **options) as b:
        for peer in (a, b):
            await peer.command("subscribe", topic=topic)
        assert (await a.command("connect", addr=b.addresses[0]))["peer"] == b.peer_id
        for peer, other in ((a, b), (b, a)):
            joined = await peer.wait_event("topic_peer_join")
            assert (joined["topic"], joined["peer"]) == (topic, other.peer_id)
        yield a, b


async def in_mesh(a: PeerProcess, b: PeerProcess, topic: str = "t") -> None:
    await a.wait_answer("mesh", lambda answer: answer["peers"] == [b.peer_id], topic=topic)
    await b.wait_answer("mesh", lambda answer: answer["peers"] == [a.peer_id], topic=topic)


async def test_scores_are_shown_in_parts_and_decay_as_often_as_asked() -> None:
    score = {"decayIntervalMs": 100, "appSpecificWeight": 2, "thresholds": {"graylist": -1000}}
    async with pair(score=score) as (a, b):
        await in_mesh(a, b)
        await b.command("validator", topic="t", verdict="reject", prefix_b64=encode(b"bad"))
        await a.publish("t", b"bad")
        await a.publish("t", b"good")
        await b.command("app_score", peer=a.peer_id, score=-3)
        seen = await b.wait_answer(
            "scores",
            lambda answer: (
                answer["scores"][a.peer_id]["topics"]["t"]["invalid_message_deliveries"] > 0
            ),
        )
        entry = seen["scores"][a.peer_id]
        assert entry["app_specific_score"] == -3
        assert entry["score"] < -6
        assert entry["ip_colocation_factor"] == entry["behaviour_penalty"] == 0
        assert entry["topics"]["t"]["time_in_mesh_ms"] >= 0
        # 0.9 every 100 ms; at the library's shortest interval, 1 s, it would take 7 s
        await b.wait_answer(
            "scores",
            lambda answer: (
                answer["scores"][a.peer_id]["topics"]["t"]["invalid_message_deliveries"] < 0.5
            ),
            timeout=5,
        )


async def test_parameters_reach_the_library() -> None:
    params = FAST | {"protocols": ["/meshsub/1.1.0"], "maxMessageSize": 2000, "outboundQueue": 64}
    async with pair(params=params) as (a, b):
        assert (await a.command("peers"))["peers"][0]["protocol"] == "/meshsub/1.1.0"
        await in_mesh(a, b)
        await a.publish("t", b"x" * 3000)
        await a.wait_answer("stats", lambda stats: stats["rpc_dropped"] > 0)
        await a.publish("t", b"x" * 1000)
        assert len((await b.wait_event("message"))["data"]) == 1000


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="reads the sockets from /proc")
async def test_a_peer_listens_on_its_one_address_and_nowhere_else() -> None:
    async with pair() as (a, _b):
        folder = f"/proc/{a.ready['pid']}"
        sockets = {
            link.removeprefix("socket:[").removesuffix("]")
            for name in os.listdir(f"{folder}/fd")
            if (link := os.readlink(f"{folder}/fd/{name}")).startswith("socket:[")
        }
        listening: list[tuple[str, str]] = []
        other: list[tuple[str, str]] = []
        for table in ("tcp", "tcp6", "udp", "udp6"):
            with open(f"{folder}/net/{table}") as lines:
                for columns in map(str.split, list(lines)[1:]):
                    if columns[9] in sockets:
                        (listening if columns[3] == "0A" else other).append((table, columns[1]))
        port = int(a.addresses[0].split("/")[4])
        assert listening == [("tcp", f"0100007F:{port:04X}")]
        assert all(table == "tcp" and local.startswith("0100007F") for table, local in other)
