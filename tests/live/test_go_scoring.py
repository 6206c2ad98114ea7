"""Misbehaviour costs at a python node what it costs at a go node.

A scripted peer W does the same to either, with the same score parameters; what the node under test
then says of W is compared. Where go goes another way, the difference stands in the test.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from gossipsub.conformance.driver import PeerProcess
from gossipsub.conformance.exchange import start_peers
from gossipsub.conformance.scripted_gossip import (
    join,
    join_mesh,
    received_control,
    signed,
    stranger,
)
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.crypto.message_signing import SIGNATURE_PREFIX
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.message_codec import bytes_to_sign
from gossipsub.wire.rpc import Control, Graft, Message, Prune, Rpc

pytestmark = pytest.mark.anyio

BUILD_TIMEOUT = 900
"""The first test that needs the Go peer may have to build it."""
# The Go library keeps 32 of each by default, and drops what is beyond.
ROOMY = {"outboundQueue": 1024, "validateQueue": 1024, "subBuffer": 1024}
LIVELY = {**ROOMY, "heartbeatMs": 100, "heartbeatInitialDelayMs": 10, "floodPublish": False}
NEVER_MS = 3_600_000
NO_HEARTBEAT = {**LIVELY, "heartbeatMs": NEVER_MS, "heartbeatInitialDelayMs": NEVER_MS}
STILL = {"decayIntervalMs": NEVER_MS}
"""The protocol's own weights (P4 -10, P7 -1 from 6 on, graylist -80), and nothing decays: counters
can be compared to the last digit."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The driver's; the nodes are processes of their own."""
    return "asyncio"


@pytest.fixture(params=["python", pytest.param("go", marks=pytest.mark.timeout(BUILD_TIMEOUT))])
def target(request: pytest.FixtureRequest) -> str:
    if request.param == "go":
        request.getfixturevalue("go_peer_available")
    return str(request.param)


@asynccontextmanager
async def judge(
    target: str, *, params: dict[str, Any] = LIVELY, score: dict[str, Any] = STILL
) -> AsyncIterator[PeerProcess]:
    """The node under test, subscribed to t."""
    async with start_peers(target, topic="t", params=params, score=score) as (peer,):
        yield peer


Told = dict[str, Any]
"""What a node says of one peer."""


async def told(peer: PeerProcess, w: ScriptedPeer, **expected: float) -> Told:
    """What the node says of W, once it is what is expected, and for one more look after that.

    P4 and P7 are the counters behind them.
    """
    name = str(w.peer_id)

    def counters(got: dict[str, Any]) -> Told:
        found: Told = got["scores"][name]
        topic = found["topics"].get("t", {})
        p4 = topic.get("invalid_message_deliveries", 0)
        return found | {"P4": p4, "P7": found["behaviour_penalty"]}

    def is_expected(got: dict[str, Any]) -> bool:
        now = counters(got)
        return all(now[key] == pytest.approx(value) for key, value in expected.items())

    await peer.wait_answer("scores", is_expected)
    again = await peer.command("scores")
    assert is_expected(again)
    return counters(again)


async def verdict(peer: PeerProcess, prefix: bytes, verdict: str, **fields: Any) -> None:
    encoded = base64.b64encode(prefix).decode()
    await peer.command("validator", topic="t", verdict=verdict, prefix_b64=encoded, **fields)


# Invalid messages


def ignored(w: ScriptedPeer, _: PeerProcess) -> Sequence[Message]:
    return [signed(w, "t", 1, b"meh")]


def flipped(w: ScriptedPeer, _: PeerProcess, number: int = 1) -> Sequence[Message]:
    forged = signed(w, "t", number)
    forged.signature = bytes(64)
    forged.encoding = None
    return [forged]


def unsigned(w: ScriptedPeer, _: PeerProcess) -> Sequence[Message]:
    return [Message("t", b"data", from_peer=w.peer_id, seqno=bytes(8))]


def self_origin(_: ScriptedPeer, peer: PeerProcess) -> Sequence[Message]:
    author = PeerId.parse(peer.peer_id)
    return [Message("t", b"data", from_peer=author, seqno=bytes(8), signature=bytes(64))]


def short_seqno(w: ScriptedPeer, _: PeerProcess) -> Sequence[Message]:
    odd = Message("t", b"data", from_peer=w.peer_id, seqno=bytes(7))
    odd.signature = w.key.sign(SIGNATURE_PREFIX + bytes_to_sign(odd))
    return [odd]


COSTS: dict[str, tuple[Any, int, int]] = {
    # what is sent; what it costs at a python node and at a go node
    "valid": (lambda w, _: [signed(w, "t", 1)], 0, 0),
    "ignored by the validator": (ignored, 0, 0),
    "rejected by the validator": (lambda w, _: [signed(w, "t", 1, b"bad")], 1, 1),
    "signature not genuine": (flipped, 1, 1),
    "not genuine, again and again": (lambda w, peer: [*flipped(w, peer)] * 3, 3, 3),
    "not signed": (unsigned, 1, 1),
    "said to be by the node itself": (self_origin, 1, 1),
    # go charges for each copy of one message; here one message costs each sender once.
    "rejected, and sent again": (lambda w, _: [signed(w, "t", 1, b"bad")] * 2, 1, 2),
    # go does not look at the length.
    "number of 7 bytes": (short_seqno, 1, 0),
}


@pytest.mark.rule("SCORE-17", "SCORE-20", "SIGN-11", "SIGN-12")
async def test_an_invalid_message_costs_its_sender_the_same(target: str) -> None:
    async with judge(target) as peer:
        await verdict(peer, b"bad", "reject")
        await verdict(peer, b"meh", "ignore")
        handled = 0
        for seed, (build, *costs) in enumerate(COSTS.values(), 70):
            cost = costs[target == "go"]
            earns = cost == 0 and build is not ignored
            async with stranger(peer, seed=seed) as w:
                await join(w, peer, "t")
                for each in build(w, peer):
                    handled += 1
                    await w.send_rpc(Rpc(publish=[each]))
                    await became_of(peer, handled)
                await told(peer, w, P4=cost, P7=0, score=earns - 10 * cost**2)


async def became_of(peer: PeerProcess, count: int) -> dict[str, Any]:
    """Until something became of so many messages."""
    kinds = ("received", "rejected", "duplicates")
    return await peer.wait_answer("stats", lambda got: sum(got[kind] for kind in kinds) == count)


# GRAFT


def prunes(w: ScriptedPeer) -> list[Prune]:
    return [each for control in received_control(w) for each in control.prune]


async def graft(w: ScriptedPeer) -> list[Prune]:
    """GRAFT, and the PRUNEs W has got when it is refused."""
    before = len(prunes(w))
    await w.send_rpc(Rpc(control=Control(graft=[Graft("t")])))
    await w.until(lambda: len(prunes(w)) > before, "PRUNE", 10)
    return prunes(w)


@pytest.mark.rule("BACK-08", "BACK-09", "BACK-10", "SCORE-25")
async def test_grafts_during_the_backoff_cost_the_same_up_to_the_graylist(target: str) -> None:
    params = LIVELY | {"pruneBackoffMs": 6000, "graftFloodThresholdMs": 2500}
    refused = Prune("t", (), 6)
    async with judge(target, params=params) as peer, stranger(peer) as w:
        await join_mesh(w, peer, "t")
        await peer.command("app_score", peer=str(w.peer_id), score=-1)
        await w.until(lambda: len(prunes(w)) > 0, "PRUNE", 10)
        await peer.command("app_score", peer=str(w.peer_id), score=0)
        assert await graft(w) == [refused] * 2  # at once: two misdeeds
        await told(peer, w, P7=2, score=0)
        await anyio.sleep(2.7)  # beyond the threshold of what comes too fast
        assert await graft(w) == [refused] * 3
        await told(peer, w, P7=3, score=0)
        for _ in range(40):
            await w.send_rpc(Rpc(control=Control(graft=[Graft("t")])))
        await join(w, peer, "another")
        await told(peer, w, P7=15, score=-((15 - 6) ** 2))  # graylisted: not heard any more
        assert prunes(w) == [refused] * (3 + 6)
        assert (await peer.command("mesh", topic="t"))["peers"] == []


@pytest.mark.rule("BACK-12")
async def test_a_graft_with_a_negative_score_is_refused_without_a_penalty(target: str) -> None:
    async with judge(target, params=NO_HEARTBEAT) as peer, stranger(peer) as w:
        await peer.command("app_score", peer=str(w.peer_id), score=-0.5)
        assert await graft(w) == [Prune("t", (), 60)]
        await told(peer, w, P7=0, score=-0.5)
        await peer.command("app_score", peer=str(w.peer_id), score=0)
        assert await graft(w) == [Prune("t", (), 60)] * 2  # by the backoff
        await told(peer, w, P7=2, score=0)


@pytest.mark.rule("BACK-03")
async def test_grafts_for_topics_not_joined_are_neither_answered_nor_charged(target: str) -> None:
    async with judge(target, params=NO_HEARTBEAT) as peer, stranger(peer) as w:
        for number in range(100):
            await w.send_rpc(Rpc(control=Control(graft=[Graft(f"topic {number}")])))
        await w.send_rpc(Rpc(control=Control(graft=[Graft("topic 0")] * 100)))
        await join_mesh(w, peer, "t")
        await told(peer, w, P4=0, P7=0, score=0)
        assert prunes(w) == []
