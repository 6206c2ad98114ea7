"""What the peer written in Rust does beside what every peer promises; and at work with others."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from gossipsub.conformance.driver import (
    PeerError,
    PeerProcess,
    start_peer,
)
from gossipsub.conformance.exchange import connect, exchange, in_mesh, start_peers

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("rust_peer_available")]

FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}
ROOMY = FAST | {"outboundQueue": 1024, "validateQueue": 1024, "subBuffer": 1024}


@contextlib.asynccontextmanager
async def pair(*targets: str, **options: Any) -> AsyncIterator[list[PeerProcess]]:
    """Two connected peers, each in the other's mesh."""
    async with start_peers(
        *(targets or ("rust", "rust")), topic="t", **({"params": FAST} | options)
    ) as (a, b):
        await connect(a, b, topic="t")
        await in_mesh(a, b, topic="t")
        yield [a, b]


@pytest.mark.parametrize("other", ["python", "go"])
@pytest.mark.parametrize("dials", [True, False])
async def test_it_exchanges_messages_with_the_others(
    other: str, dials: bool, request: pytest.FixtureRequest
) -> None:
    if other == "go":
        request.getfixturevalue("go_peer_available")
    targets = ("rust", other) if dials else (other, "rust")
    params = ROOMY | {"maxMessageSize": 1 << 20}  # rust's own limit is 64 KiB with all around it
    async with pair(*targets, params=params) as peers:
        await exchange(peers, peers, topic="t", count=300, size=100)
        await exchange(peers, peers, topic="t", count=20, size=1 << 16)
        for peer in peers:
            stats = await peer.command("stats")
            assert (stats["received"], stats["duplicates"], stats["rejected"]) == (320, 0, 0)


async def test_copies_count_as_duplicates_and_not_as_received() -> None:
    async with start_peers("rust", "rust", "rust", topic="t", params=FAST) as (a, b, c):
        for dialler, listener in ((a, b), (b, c), (c, a)):
            await connect(dialler, listener, topic="t")
        await in_mesh(a, b, c, topic="t")
        await a.publish("t", b"data")
        for peer in (b, c):
            await peer.wait_event("message")
        copies = 0
        with anyio.fail_after(10):
            while copies == 0:
                copies = 0
                for peer in (b, c):
                    stats = await peer.command("stats")
                    assert stats["received"] == 1
                    copies += stats["duplicates"]


async def test_publishing_to_nobody_is_refused_by_the_library() -> None:
    async with start_peer("rust") as peer:
        with pytest.raises(PeerError, match="NoPeersSubscribedToTopic"):
            await peer.publish("t", b"data")
        answer = await peer.command("publish_many", topic="t", count=3, size=16, window=1)
        assert (answer["sent"], answer["failed"]) == (0, 3)


async def test_without_validation_there_are_no_validators() -> None:
    async with pair(params=FAST | {"validate": False}) as (a, b):
        with pytest.raises(PeerError, match="unsupported"):
            await b.command("validator", topic="t", verdict="reject", prefix_b64="")
        await a.publish("t", b"data")
        assert (await b.wait_event("message"))["data"] == b"data"


async def test_scores_are_sums_without_parts() -> None:
    score = {"decayIntervalMs": 100, "appSpecificWeight": 2, "thresholds": {"graylist": -1000}}
    async with pair(score=score) as (a, b):
        assert a.ready["unsupported_params"] == ["score.decayIntervalMs"]
        await b.command("app_score", peer=a.peer_id, score=-3)
        (entry,) = (await b.command("scores"))["scores"].values()
        assert entry["app_specific_score"] == -3
        assert -6 <= entry["score"] < -5
        assert entry["topics"] == {}
        assert entry["behaviour_penalty"] is entry["ip_colocation_factor"] is None
        await b.command("validator", topic="t", verdict="reject", prefix_b64="")
        await a.publish("t", b"bad")  # P4 by the parameters of every topic
        await b.wait_answer("scores", lambda seen: seen["scores"][a.peer_id]["score"] < -13)


async def test_an_app_score_counts_for_whoever_comes_later() -> None:
    async with (
        start_peer("rust", seed=1) as a,
        start_peer("rust", score={"appScores": {a.peer_id: 7}}) as b,
    ):
        await a.command("connect", addr=b.addresses[0])
        await b.wait_answer(
            "scores", lambda seen: [s["score"] for s in seen["scores"].values()] == [7]
        )


@pytest.mark.parametrize(
    ("protocols", "spoken"),
    [
        (["/meshsub/1.1.0", "/meshsub/1.0.0"], "/meshsub/1.1.0"),
        (["/meshsub/1.0.0"], "/meshsub/1.0.0"),
        (["/own/1.1.0", "/own/1.0.0", "/floodsub/1.0.0"], "/own/1.1.0"),
    ],
)
async def test_protocols_that_the_library_can_speak(protocols: list[str], spoken: str) -> None:
    async with pair(params=FAST | {"protocols": protocols}) as (a, _b):
        assert a.ready["unsupported_params"] == []
        assert (await a.command("peers"))["peers"][0]["protocol"] == spoken


@pytest.mark.parametrize(
    "protocols", [["/meshsub/1.2.0"], ["/floodsub/1.0.0"], ["/a/1.1.0", "/b/1.0.0"]]
)
async def test_protocols_that_it_cannot_speak_are_named_as_unsupported(
    protocols: list[str],
) -> None:
    async with start_peer("rust", params={"protocols": protocols}) as peer:
        assert peer.ready["unsupported_params"] == ["protocols"]


async def test_direct_peers_are_dialled_and_kept() -> None:
    async with (
        start_peer("rust", seed=5) as other,
        start_peer("rust", params={"direct": other.addresses}) as peer,
    ):
        assert (await peer.wait_event("peer_connected"))["peer"] == other.peer_id


async def test_a_message_above_the_limit_is_refused() -> None:
    async with pair(params=FAST | {"maxMessageSize": 2000}) as (a, b):
        with pytest.raises(PeerError, match="MessageTooLarge"):
            await a.publish("t", b"x" * 3000)
        await a.publish("t", b"x" * 1000)
        assert len((await b.wait_event("message"))["data"]) == 1000
