"""A scripted peer at a test peer: in its topics and meshes, with messages of its own, and what it
was told.

    async with start_peers("go", topic="news", score={}) as (peer,), stranger(peer) as w:
        await join_mesh(w, peer, "news")
        await w.send_rpc(Rpc(publish=[signed(w, "news", 1)]))
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gossipsub.conformance.driver import PeerProcess
from gossipsub.conformance.scripted_peer import ScriptedPeer, dial
from gossipsub.crypto.message_signing import sign_message
from gossipsub.wire.rpc import Control, Graft, Message, Prune, Rpc, SubOpts

OUTSIDE_SECONDS = 3600
"""Backoff of a peer that stays outside a mesh: the longest that is not cut short."""


@asynccontextmanager
async def stranger(
    peer: PeerProcess, *, seed: int = 70, scored: bool = True
) -> AsyncIterator[ScriptedPeer]:
    """W, connected, with a pubsub stream each way; in no topic. Where the test peer keeps scores
    (`scored`), it has one of W by then."""
    async with dial(peer.addresses[0], seed=seed) as w:
        await w.serve_identify()
        await w.open_pubsub()
        await w.wait_pubsub(timeout=10)
        if scored:
            await peer.wait_answer("scores", lambda got: str(w.peer_id) in got["scores"])
        yield w


async def join(w: ScriptedPeer, peer: PeerProcess, topic: str) -> None:
    """W subscribes. RPCs are read in order: those sent before have been read then, and what
    needs no signature check has had its effect."""
    await w.send_rpc(Rpc(subscriptions=[SubOpts(topic)]))
    await _is_among(w, peer, "topic_peers", topic)


async def join_mesh(w: ScriptedPeer, peer: PeerProcess, topic: str) -> None:
    """W subscribes and grafts, whether or not it was grafted."""
    await w.send_rpc(Rpc(subscriptions=[SubOpts(topic)], control=Control(graft=[Graft(topic)])))
    await _is_among(w, peer, "mesh", topic)


async def join_outside(w: ScriptedPeer, peer: PeerProcess, topic: str) -> None:
    """W subscribes, and is not in the mesh: it has sent a PRUNE before."""
    prune = Prune(topic, (), OUTSIDE_SECONDS)
    await w.send_rpc(Rpc(control=Control(prune=[prune])))
    await join(w, peer, topic)


async def _is_among(w: ScriptedPeer, peer: PeerProcess, question: str, topic: str) -> None:
    await peer.wait_answer(question, lambda got: str(w.peer_id) in got["peers"], topic=topic)


def signed(w: ScriptedPeer, topic: str, number: int, data: bytes | None = None) -> Message:
    """W's message of this sequence number; the number in digits is its data if none is given."""
    data = b"%d" % number if data is None else data
    return sign_message(Message(topic, data, seqno=number.to_bytes(8, "big")), w.key)


def id_of(w: ScriptedPeer, number: int) -> bytes:
    """The default id of that message."""
    return w.peer_id + number.to_bytes(8, "big")


def received(w: ScriptedPeer) -> list[Rpc]:
    """All RPCs W got so far, in order, whether taken by `receive_rpc` or not."""
    return [rpc for rpc in w.journal.received("rpc") if isinstance(rpc, Rpc)]


def received_control(w: ScriptedPeer) -> list[Control]:
    """The control parts among them."""
    return [rpc.control for rpc in received(w) if rpc.control is not None]


def received_numbers(w: ScriptedPeer) -> list[int]:
    """Sequence numbers of all messages W got so far, lowest first."""
    messages = [message for rpc in received(w) for message in rpc.publish]
    return sorted(int.from_bytes(message.seqno or b"", "big") for message in messages)
