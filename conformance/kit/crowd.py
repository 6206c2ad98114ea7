"""Scripted peers around a node: in its topic, in its mesh or outside of it; and what each was told.

node = await trial.start(subscribed=True, params=SMALL)
inside = await members(trial, node, 2)
outside = await outsiders(trial, node, 3)
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import anyio

from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import CannotTry, Deviation
from gossipsub.conformance.scripted_gossip import (
    join,
    join_mesh,
    join_outside,
    received,
    received_control,
)
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.rpc import Control, Graft, IHave, IWant, Message, Prune, Rpc, SubOpts

SMALL: dict[str, int] = {"D": 3, "Dlo": 2, "Dhi": 5, "Dscore": 0, "Dout": 0}
"""A mesh that few peers fill."""
FULL_WITH_TWO = {"D": 2, "Dlo": 1, "Dhi": 2, "Dscore": 0, "Dout": 0}
"""D and D_high are the same: two peers fill the mesh, and no heartbeat has any to prune."""
UNHURRIED_MS = 20_000
FIRST_HEARTBEAT = 0.4
"""Seconds, with room to spare: nodes here have their first heartbeat after 0.1 s."""
NO_TOPIC_SCORES: dict[str, Any] = {"topics": {}}
"""Scores are what the application says, unless a peer misbehaves."""
NO_MERCY = NO_TOPIC_SCORES | {"behaviourPenaltyThreshold": 0}
"""And misbehaviour costs the square of its count from the first on."""
PATIENCE = 10.0
"""Seconds to wait for what takes heartbeats."""
FLOODSUB = "/floodsub/1.0.0"
SETTLING_SECONDS = 0.3
"""For RPCs that are on their way."""
STAY_AWAY = 3600
"""Backoff in seconds of who is not to be grafted while the case runs."""


async def start_unhurried(
    trial: Trial,
    *,
    subscribed: bool = True,
    params: Mapping[str, object] | None = None,
    **options: Any,
) -> Node:
    """A node that has had its first heartbeat, and has none again while the case runs: what it
    does is not done by a heartbeat."""
    params = {**(params or {}), "heartbeatMs": UNHURRIED_MS}
    node = await trial.start(subscribed=subscribed, params=params, **options)
    await anyio.sleep(FIRST_HEARTBEAT)
    return node


async def members(trial: Trial, node: Node, count: int) -> list[ScriptedPeer]:
    """So many W in the node's mesh."""
    return await _group(trial, node, count, join_mesh, "W in the mesh that it grafted")


async def outsiders(trial: Trial, node: Node, count: int) -> list[ScriptedPeer]:
    """So many W in the node's topic that it must not graft."""
    return await _group(trial, node, count, join_outside, "W in the topic it subscribed to")


async def subscribers(trial: Trial, node: Node, count: int) -> list[ScriptedPeer]:
    """So many W in the topic; the node may graft them."""
    return await _group(trial, node, count, join, "W in the topic it subscribed to")


async def floodsub_peer(trial: Trial, node: Node) -> ScriptedPeer:
    """W in the topic, speaking floodsub only. CannotTry where the node does not speak it."""
    try:
        w = await trial.peer(node, protocols=[FLOODSUB])
    except Deviation as error:
        if "'na'" in error.came:
            raise CannotTry("the target does not speak floodsub") from error
        raise
    with trial.expecting("W in the topic it subscribed to"):
        await join(w, node.process, node.topic)
    return w


async def gossiped_to(trial: Trial, node: Node, count: int) -> list[ScriptedPeer]:
    """So many W in the topic of a node started FULL_WITH_TWO, and outside of the mesh because two
    others fill it: nobody has sent PRUNE, so nobody is in backoff.

    They speak v1.0: py-libp2p grafts others all the same, as if their scores were better than the
    mesh's, where there are none."""
    for _ in range(2):
        member = await trial.peer(node)
        control = Control(graft=[Graft(node.topic)])
        await member.send_rpc(Rpc(subscriptions=[SubOpts(node.topic)], control=control))
        await settled(trial, node, member)
    peers = []
    for _ in range(count):
        w = await trial.peer(node, protocols=["/meshsub/1.0.0"])
        await subscribe(w, node.topic)
        await settled(trial, node, w)
        peers.append(w)
    return peers


async def _group(
    trial: Trial,
    node: Node,
    count: int,
    enter: Callable[[ScriptedPeer, Any, str], Awaitable[None]],
    expected: str,
) -> list[ScriptedPeer]:
    peers = []
    for _ in range(count):
        w = await trial.peer(node)
        with trial.expecting(expected):
            await enter(w, node.process, node.topic)
        peers.append(w)
    return peers


async def send_control(w: ScriptedPeer, *parts: Graft | Prune | IHave | IWant) -> None:
    """All of them in one RPC."""
    control = Control(
        graft=[part for part in parts if isinstance(part, Graft)],
        prune=[part for part in parts if isinstance(part, Prune)],
        ihave=[part for part in parts if isinstance(part, IHave)],
        iwant=[part for part in parts if isinstance(part, IWant)],
    )
    await w.send_rpc(Rpc(control=control))


async def subscribe(w: ScriptedPeer, *topics: str) -> None:
    """In one RPC."""
    await w.send_rpc(Rpc(subscriptions=[SubOpts(topic) for topic in topics]))


async def publish(w: ScriptedPeer, *messages: Message) -> None:
    """In one RPC."""
    await w.send_rpc(Rpc(publish=messages))


async def settled(trial: Trial, node: Node, w: ScriptedPeer) -> None:
    """Until all that W sent was read, and answered to W: RPCs are taken in order, and the last is
    an offer that the node cannot but accept."""
    message_id = trial.rng.randbytes(20)
    await send_control(w, IHave(node.topic, [message_id]))
    await hears(trial, w, "IWANT for a message that W offers", lambda w: message_id in asked_of(w))


async def all_said(*peers: ScriptedPeer) -> None:
    """Until what the target had to say to them by now has come. Pings alone do not show it: they
    are answered ahead of what is queued (YMX-11)."""
    await anyio.sleep(SETTLING_SECONDS)
    for w in peers:
        await w.ping(1, timeout=PATIENCE)


async def rate(trial: Trial, node: Node, w: ScriptedPeer, score: float) -> None:
    """The application's opinion of W, which is its whole score."""
    peer = str(w.peer_id)
    with trial.expecting(f"a score of {score:g}, as the application says"):
        await node.command("app_score", peer=peer, score=score)
        await node.wait_answer("scores", lambda got: _is_near(got["scores"].get(peer), score))


def _is_near(told: dict[str, Any] | None, score: float) -> bool:
    return told is not None and math.isclose(told["score"], score, abs_tol=0.05)


async def mesh_of(node: Node, topic: str | None = None) -> set[str]:
    """Peer ids."""
    return set((await node.command("mesh", topic=topic or node.topic))["peers"])


async def mesh_becomes(
    trial: Trial, node: Node, expected: str, holds: Callable[[set[str]], object]
) -> set[str]:
    """Wait until `holds` is true of the mesh."""
    with trial.expecting(expected):
        answer = await node.wait_answer(
            "mesh", lambda got: bool(holds(set(got["peers"]))), timeout=PATIENCE, topic=node.topic
        )
    return set(answer["peers"])


async def hears(
    trial: Trial,
    w: ScriptedPeer,
    expected: str,
    look: Callable[[ScriptedPeer], object],
    *,
    timeout: float = PATIENCE,
) -> None:
    """Wait until W was told what `look` finds: `grafts`, `offered_to`, and so on."""
    with trial.expecting(expected):
        await w.until(lambda: bool(look(w)), "such RPC", timeout)


async def answered_with_prune(
    trial: Trial, node: Node, w: ScriptedPeer, why: str, *, count: int = 1
) -> Prune:
    """The PRUNE of that number that W got, in answer to what it sent last: at once, or with what
    the next heartbeat has to say."""
    await settled(trial, node, w)
    expected, timeout = f"PRUNE in answer to {why}", 1.0 + min(node.heartbeat, 2.0)
    await hears(trial, w, expected, lambda w: len(prunes(w)) >= count, timeout=timeout)
    return prunes(w)[count - 1]


def names(peers: Iterable[ScriptedPeer]) -> set[str]:
    """Their peer ids, as commands have them."""
    return {str(w.peer_id) for w in peers}


def inside(peers: Iterable[ScriptedPeer], mesh: Collection[str]) -> list[ScriptedPeer]:
    """Those that are in this mesh."""
    return [w for w in peers if str(w.peer_id) in mesh]


def outside(peers: Iterable[ScriptedPeer], mesh: Collection[str]) -> list[ScriptedPeer]:
    """Those that are not."""
    return [w for w in peers if str(w.peer_id) not in mesh]


def grafts(w: ScriptedPeer) -> list[str]:
    """The topics of all GRAFTs W got."""
    return [graft.topic for control in received_control(w) for graft in control.graft]


def prunes(w: ScriptedPeer) -> list[Prune]:
    """All PRUNEs W got."""
    return [prune for control in received_control(w) for prune in control.prune]


def offered_to(w: ScriptedPeer) -> list[bytes]:
    """The message ids of all IHAVEs W got, as often as they came."""
    ihaves = [ihave for control in received_control(w) for ihave in control.ihave]
    return [message_id for ihave in ihaves for message_id in ihave.message_ids]


def asked_of(w: ScriptedPeer) -> list[bytes]:
    """The message ids of all IWANTs W got, as often as they came."""
    iwants = [iwant for control in received_control(w) for iwant in control.iwant]
    return [message_id for iwant in iwants for message_id in iwant.message_ids]


def messages_to(w: ScriptedPeer) -> list[Message]:
    """All messages W got."""
    return [message for rpc in received(w) for message in rpc.publish]


def data_to(w: ScriptedPeer) -> list[bytes]:
    """The data of all messages W got."""
    return [message.data or b"" for message in messages_to(w)]


def those_with(peers: Sequence[ScriptedPeer], data: bytes) -> list[ScriptedPeer]:
    """Those that got a message with this data."""
    return [w for w in peers if data in data_to(w)]


def has_graft(rpc: Rpc) -> bool:
    """For `moments`."""
    return rpc.control is not None and bool(rpc.control.graft)


def has_prune(rpc: Rpc) -> bool:
    """For `moments`."""
    return rpc.control is not None and bool(rpc.control.prune)


def moments(w: ScriptedPeer, holds: Callable[[Rpc], object], *, sent: bool) -> list[float]:
    """When W sent or got RPCs like that, in seconds of its own clock."""
    return [
        entry.at
        for entry in w.journal.entries
        if entry.layer == "rpc"
        and entry.sent is sent
        and isinstance(entry.what, Rpc)
        and holds(entry.what)
    ]


def named_in(prune: Prune) -> set[str]:
    """The peers a PRUNE names, as commands have them."""
    return {str(PeerId(info.peer_id)) for info in prune.peers if info.peer_id}
