"""Misbehaviour costs at a python node what it costs at a go node.

A scripted peer W does the same to either, with the same score parameters; what the node under test
then says of W is compared. Where go goes another way, the difference stands in the test.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import anyio
import pytest

from gossipsub.conformance.driver import PeerProcess
from gossipsub.conformance.exchange import start_peers
from gossipsub.conformance.scripted_gossip import (
    id_of,
    join,
    join_mesh,
    join_outside,
    received_control,
    received_numbers,
    signed,
    stranger,
)
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.crypto.message_signing import SIGNATURE_PREFIX
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.message_codec import bytes_to_sign
from gossipsub.wire.rpc import Control, Graft, IDontWant, IHave, IWant, Message, Prune, Rpc

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


@pytest.mark.rule("SCORE-18", "SCORE-19")
async def test_an_invalid_message_costs_each_of_its_senders_however_late(target: str) -> None:
    async with (
        judge(target) as peer,
        stranger(peer, seed=71) as first,
        stranger(peer, seed=72) as second,
        stranger(peer, seed=73) as late,
    ):
        await verdict(peer, b"bad", "reject", delay_ms=700)
        bad = Rpc(publish=[signed(first, "t", 1, b"bad")])
        await first.send_rpc(bad)
        await second.send_rpc(bad)
        await became_of(peer, 2)
        await told(peer, first, P4=1, score=-10)
        await told(peer, second, P4=1, score=-10)
        await late.send_rpc(bad)
        await told(peer, late, P4=1, score=-10)


@pytest.mark.rule("SPAM-06", "THR-02", "SUB-09")
async def test_a_sender_of_invalid_messages_is_ignored_until_its_debt_decayed(target: str) -> None:
    """20 of them cost 4,000, and 19 ticks of the decay take the score back above -80."""
    score = {"decayIntervalMs": 150}
    async with judge(target, score=score) as peer, stranger(peer) as w:
        await join_outside(w, peer, "t")
        await w.send_rpc(Rpc(publish=[flipped(w, peer, number)[0] for number in range(20)]))
        await peer.wait_answer("stats", lambda got: got["rejected"] == 20)
        control = Control(ihave=[IHave("t", [b"anything"])], graft=[Graft("t")])
        await w.send_rpc(Rpc(publish=[signed(w, "t", 1)], control=control))
        await join(w, peer, "a topic of the graylisted")
        stats = await peer.command("stats")
        assert (stats["received"], stats["rejected"], stats["duplicates"]) == (0, 20, 0)
        await peer.wait_answer("scores", lambda got: got["scores"][str(w.peer_id)]["score"] > -80)
        assert (asked(w), prunes(w)) == ([], [])
        await w.send_rpc(Rpc(publish=[signed(w, "t", 2)]))
        assert (await peer.wait_event("message"))["data"] == b"2"
        await told(peer, w, P7=0)


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


SILENT_TOPIC = {
    **{"timeInMeshWeight": 0, "meshMessageDeliveriesWeight": -1, "meshMessageDeliveriesCap": 9},
    **{"meshMessageDeliveriesThreshold": 2, "meshMessageDeliveriesDecay": 0.5},
    **{"meshMessageDeliveriesWindowMs": 10, "meshMessageDeliveriesActivationMs": 200},
    **{"meshFailurePenaltyWeight": -1, "meshFailurePenaltyDecay": 0.9999999},
}


@pytest.mark.rule("SCORE-13", "SCORE-15")
async def test_a_silent_mesh_peer_is_charged_and_pruned(target: str) -> None:
    """Here once, for the deficit it left with. In go the deficit goes on counting beside that,
    and each PRUNE W sends, though it is in no mesh, charges it once more."""
    score = {"topics": {"t": SILENT_TOPIC}, "decayIntervalMs": 50}
    left_with = -4  # the square of what it misses
    async with judge(target, score=score) as peer, stranger(peer) as w:
        await join_mesh(w, peer, "t")
        await w.until(lambda: len(prunes(w)) > 0, "PRUNE", 10)
        await told(peer, w, score={"python": left_with, "go": 2 * left_with}[target])
        await w.send_rpc(Rpc(control=Control(prune=[Prune("t", (), 1)])))
        await join(w, peer, "another")
        await told(peer, w, score={"python": left_with, "go": 3 * left_with}[target])


# IHAVE


def asked(w: ScriptedPeer) -> list[list[bytes]]:
    """The ids of each IWANT W got, in order; those of one sorted."""
    iwants = [each for control in received_control(w) for each in control.iwant]
    return [sorted(each.message_ids) for each in iwants]


def offered(w: ScriptedPeer) -> set[bytes]:
    ihaves = [each for control in received_control(w) for each in control.ihave]
    return {message_id for each in ihaves for message_id in each.message_ids}


async def offer(w: ScriptedPeer, *ids: bytes) -> None:
    await w.send_rpc(Rpc(control=Control(ihave=[IHave("t", ids)])))


@pytest.mark.rule("SPAM-03", "SPAM-04")
async def test_what_is_offered_and_not_delivered_costs_the_same(target: str) -> None:
    params = LIVELY | {"iwantFollowupMs": 1000}
    async with (
        judge(target, params=params) as peer,
        stranger(peer, seed=71) as w,
        stranger(peer, seed=72) as other,
    ):
        await verdict(peer, b"bad", "reject")
        await join_outside(w, peer, "t")
        began = anyio.current_time()
        offers = [range(100), range(100, 200), range(200, 300), [1001], [1002], [1003]]
        for several in offers:  # each asked for by itself: what comes together is here asked for so
            ids = [id_of(w, number) for number in several]
            await offer(w, *ids)
            await w.until(lambda: sorted(asked(w)[-1:]) == [ids], "IWANT", 10)  # noqa: B023
        # Kept, by another; kept, with a message that has another fault; and not kept.
        await other.send_rpc(Rpc(publish=[signed(w, "t", 1001)]))
        await w.send_rpc(Rpc(publish=[signed(w, "t", 1002, b"bad"), *flipped(w, peer, 1003)]))
        name = str(w.peer_id)
        await peer.wait_answer("scores", lambda got: got["scores"][name]["behaviour_penalty"] > 0)
        assert anyio.current_time() - began >= 1
        await told(peer, w, P7=4, P4=2)


class Ticks:
    """The node's heartbeats, seen by the gossip about what it published since the last one."""

    def __init__(self, peer: PeerProcess, w: ScriptedPeer) -> None:
        self._peer = peer
        self._w = w
        self._data = count()
        self._taken = 0

    async def next(self) -> list[bytes]:
        """Wait for one; gives the ids W was asked for since the last one."""
        before = len(offered(self._w))
        await self._peer.publish("t", b"%d" % next(self._data))
        await self._w.until(lambda: len(offered(self._w)) > before, "IHAVE", 10)
        ids = [message_id for several in asked(self._w) for message_id in several]
        new, self._taken = ids[self._taken :], len(ids)
        return new


@pytest.mark.rule("SPAM-01", "SPAM-02", "GOS-01", "GOS-06", "GOS-17")
async def test_a_flood_of_ihave_is_answered_as_often(target: str) -> None:
    """go answers each with an IWANT of its own; here those that come together are answered so."""
    params = LIVELY | {"heartbeatMs": 1200, "maxIHaveLength": 50, "iwantFollowupMs": NEVER_MS}
    async with judge(target, params=params) as peer, stranger(peer) as w:
        await join_outside(w, peer, "t")
        ticks = Ticks(peer, w)
        assert await ticks.next() == []
        new = [id_of(w, number) for number in range(20)]
        for each in new:
            await offer(w, each)
        assert sorted(await ticks.next()) == new[:10]

        many = [id_of(w, 1000 + number) for number in range(80)]
        await offer(w, *many[:20])
        await offer(w, *many[20:])
        await offer(w, b"more")
        ids = await ticks.next()
        assert len(ids) == len(set(ids)) == 50
        assert set(many[:20]) < set(ids) < set(many[:70])  # the first 50 it named, twice

        # go counts an RPC with any control message as one with IHAVE.
        for _ in range(10):
            await w.send_rpc(Rpc(control=Control(graft=[Graft("another")])))
        await offer(w, b"after ten others")
        assert await ticks.next() == {"python": [b"after ten others"], "go": []}[target]
        await told(peer, w, P7=0, P4=0)


# IDONTWANT


async def refuse(w: ScriptedPeer, *ids: bytes) -> None:
    await w.send_rpc(Rpc(control=Control(idontwant=[IDontWant(ids)])))


@pytest.mark.rule("IDW-06", "IDW-07", "IDW-08", "IDW-12", "SPAM-07")
async def test_a_flood_of_idontwant_has_its_bounds_and_costs_nothing(target: str) -> None:
    """Ten ids of an RPC are heeded, and a thousand RPCs between two heartbeats."""
    async with (
        judge(target, params=NO_HEARTBEAT) as peer,
        stranger(peer, seed=71) as w,
        stranger(peer, seed=72) as author,
    ):
        await join_mesh(w, peer, "t")
        await refuse(w, *(id_of(author, number) for number in range(20)))
        for number in range(1, 1500):
            await refuse(w, id_of(author, 1000 + number))
        await join(w, peer, "another")
        sent = [*range(20), 1001, 1500, 1999, 2000, 2001, 2499]
        kept = [*range(10, 20), 2000, 2001, 2499]
        for number in sent:
            await author.send_rpc(Rpc(publish=[signed(author, "t", number)]))
        await became_of(peer, len(sent))
        await w.until(lambda: len(received_numbers(w)) >= len(kept), "messages", 15)
        # Nor are they sent when asked for; the last answer shows that the others do not come.
        wanted = [id_of(author, number) for number in sent if number not in kept]
        for ids in (wanted, [id_of(author, 2000)]):
            await w.send_rpc(Rpc(control=Control(iwant=[IWant(ids)])))
        await w.until(lambda: received_numbers(w).count(2000) == 2, "answer", 10)
        assert received_numbers(w) == sorted([*kept, 2000])
        assert await told(peer, w, P4=0, P7=0, score=0) == await told(peer, w)
        await told(peer, author, P4=0, P7=0, score=len(sent))


@pytest.mark.rule("IDW-01", "IDW-02", "IDW-12")
async def test_idontwant_comes_before_validation_and_who_sends_all_the_same_is_not_charged(
    target: str,
) -> None:
    async with (
        judge(target, params=NO_HEARTBEAT) as peer,
        stranger(peer, seed=71) as w,
        stranger(peer, seed=72) as author,
    ):
        await verdict(peer, b"large", "accept", delay_ms=700)
        for each in (w, author):
            await join_mesh(each, peer, "t")
        large = signed(author, "t", 1, b"large" + bytes(2000))
        await author.send_rpc(Rpc(publish=[large]))
        refused = await w.receive_rpc_with(lambda rpc: rpc.control and rpc.control.idontwant)
        assert refused.control is not None
        assert list(refused.control.idontwant[0].message_ids) == [id_of(author, 1)]
        assert received_numbers(w) == []
        await w.send_rpc(Rpc(publish=[signed(w, "t", 2)]))
        await author.until(lambda: 2 in received_numbers(author), "message 2", 15)
        # Not asked after W's copy: go tells of one that comes before its signature check has
        # marked the message as seen, and then the author is among those told.
        assert [control for control in received_control(author) if control.idontwant] == []
        await w.send_rpc(Rpc(publish=[large]))
        await became_of(peer, 3)
        await told(peer, w, P4=0, P7=0, score=1)  # for the second
