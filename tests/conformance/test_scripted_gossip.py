"""A scripted peer in the topics of a test peer: what these steps promise to scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gossipsub.conformance.driver import PeerProcess
from gossipsub.conformance.exchange import start_peers
from gossipsub.conformance.scripted_gossip import (
    id_of,
    join,
    join_mesh,
    join_outside,
    received,
    received_control,
    received_numbers,
    signed,
    stranger,
)
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Control, IHave, IWant, Rpc, SubOpts

pytestmark = pytest.mark.anyio

FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10, "floodPublish": False}


@asynccontextmanager
async def two() -> AsyncIterator[tuple[PeerProcess, ScriptedPeer]]:
    async with (
        start_peers("python", topic="t", params=FAST, score={}) as (peer,),
        stranger(peer, seed=9) as w,
    ):
        yield peer, w


async def is_listed(w: ScriptedPeer, peer: PeerProcess, question: str, topic: str) -> bool:
    return str(w.peer_id) in (await peer.command(question, topic=topic))["peers"]


async def test_a_stranger_is_scored_and_in_no_topic() -> None:
    async with two() as (peer, w):
        assert (await peer.command("scores"))["scores"][str(w.peer_id)]["score"] == 0
        assert not await is_listed(w, peer, "topic_peers", "t")
        await join(w, peer, "another")
        assert await is_listed(w, peer, "topic_peers", "another")
        assert received(w)[0].subscriptions == (SubOpts("t"),)


async def test_without_scores_there_is_none_to_wait_for() -> None:
    async with (
        start_peers("python", topic="t") as (peer,),
        stranger(peer, scored=False) as w,
    ):
        await join(w, peer, "t")


async def test_inside_a_mesh_messages_come_and_outside_gossip_comes() -> None:
    async with two() as (peer, w), stranger(peer, seed=10) as outside:
        await join_mesh(w, peer, "t")
        await join_outside(outside, peer, "t")
        for other in (w, outside):
            assert await is_listed(other, peer, "topic_peers", "t")
        assert await is_listed(w, peer, "mesh", "t")
        author = outside
        for number in (2, 1):
            await author.send_rpc(Rpc(publish=[signed(author, "t", number)]))
        await w.until(lambda: received_numbers(w) == [1, 2], "both", 10)
        await peer.publish("t", b"to the mesh")
        await outside.until(lambda: len(received_control(outside)) > 0, "gossip", 10)
        (offer,) = received_control(outside)[0].ihave
        assert offer.topic == "t"
        assert received_numbers(outside) == []
        assert not await is_listed(outside, peer, "mesh", "t")


async def test_a_message_has_the_id_that_is_told() -> None:
    async with two() as (peer, w):
        await join_outside(w, peer, "t")
        ids = [id_of(w, number) for number in (1, 2)]
        await w.send_rpc(Rpc(publish=[signed(w, "t", 1, b"known")]))
        assert (await peer.wait_event("message"))["data"] == b"known"
        await w.send_rpc(Rpc(control=Control(ihave=[IHave("t", ids)])))
        await w.until(lambda: any(each.iwant for each in received_control(w)), "IWANT", 10)
        iwants = [each for control in received_control(w) for each in control.iwant]
        assert iwants == [IWant((ids[1],))]
