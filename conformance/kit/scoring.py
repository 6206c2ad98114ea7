"""A target that keeps scores of scripted peers, and how to have its say.

Only scores as a whole are looked at: not every implementation shows the counters behind them. So
each case gives a weight to the component it is about and to no other.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

from gossipsub.conformance.driver import PeerTimeout
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import PROTOCOLS, Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_control import prunes
from gossipsub.conformance.scripted_gossip import OUTSIDE_SECONDS, received
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.wire.rpc import Control, Graft, Prune, Rpc, SubOpts

NEVER_MS = 3_600_000
NO_THRESHOLDS = {"gossip": -1e12, "publish": -2e12, "graylist": -3e12}
"""For cases that let a peer sink deep and go on."""

LASTING = 0.999999
"""A decay that does not show, where a target decays more often than it is told."""

WEIGHTLESS: Mapping[str, object] = {
    "timeInMeshWeight": 0,
    "firstMessageDeliveriesWeight": 0,
    "firstMessageDeliveriesDecay": LASTING,
    "meshMessageDeliveriesDecay": LASTING,
    "meshFailurePenaltyDecay": LASTING,
    "invalidMessageDeliveriesWeight": 0,
    "invalidMessageDeliveriesDecay": LASTING,
}
"""Parameters of a topic by which nothing counts, and nothing decays."""


async def judge(
    trial: Trial,
    *,
    topic: Mapping[str, object] | None = None,
    params: Mapping[str, object] | None = None,
    subscribed: bool = True,
    listen: str | None = None,
    **score: Any,
) -> Node:
    """The target, scoring by nothing but what is named here: `topic` are the parameters of its
    topic, `score` those beside. Other weights are 0, P5's is 1, and nothing decays. CannotTry
    where the target lacks what `score` names; some decay at times of their own."""
    given = {
        "topics": {trial.target.topic: {**WEIGHTLESS, **(topic or {})}},
        "decayIntervalMs": NEVER_MS,
        "behaviourPenaltyWeight": 0,
        "behaviourPenaltyDecay": LASTING,
        **score,
    }
    flags = {} if listen is None else {"listen": listen}
    node = await trial.start(subscribed=subscribed, params=params, score=given, **flags)
    unsupported = node.process.ready.get("unsupported_params", ())
    lacking = [n for n in score if f"score.{n}" in unsupported and n != "decayIntervalMs"]
    if lacking:
        raise CannotTry(f"the target has no score parameter {', '.join(lacking)}")
    return node


async def meet(
    trial: Trial,
    node: Node,
    *,
    seed: int | None = None,
    protocols: Sequence[str] = PROTOCOLS,
    local_host: str | None = None,
) -> ScriptedPeer:
    """W, as `Trial.peer`, at a node that is subscribed to its topic, and has said so: before it
    does, some drop what they have to say to W."""
    w = await trial.peer(node, seed=seed, protocols=protocols, local_host=local_host)
    with trial.expecting("the target's subscription"):
        await w.until(
            lambda: node.topic in [o.topic for rpc in received(w) for o in rpc.subscriptions],
            "subscription",
            10,
        )
    return w


def name_of(seed: int) -> str:
    """The peer id of the scripted peer with this seed, which need not be there yet."""
    return str(key_of_seed(seed).peer_id())


async def score_of(node: Node, w: ScriptedPeer) -> float | None:
    """What the target says now; None where it says nothing of W."""
    told = (await node.command("scores"))["scores"].get(str(w.peer_id))
    return None if told is None else float(told["score"])


async def has_score(
    trial: Trial, node: Node, w: ScriptedPeer, score: float, *, why: str, timeout: float = 5.0
) -> None:
    """Wait until the target says so, and see that it does not go on from there."""

    def is_right(told: float | None) -> bool:
        return told is not None and math.isclose(told, score, rel_tol=1e-3, abs_tol=1e-3)

    def is_told(answer: Mapping[str, Any]) -> bool:
        told = answer["scores"].get(str(w.peer_id))
        return told is not None and is_right(float(told["score"]))

    try:
        await node.wait_answer("scores", is_told, timeout=timeout)
        await trial.heartbeats(0.5, node)
    except PeerTimeout:
        pass  # what it says instead is looked at below
    told = await score_of(node, w)
    trial.check(is_right(told), f"a score of {score:g}: {why}", f"a score of {told}")


async def set_app_score(node: Node, w: ScriptedPeer, score: float) -> None:
    await node.command("app_score", peer=str(w.peer_id), score=score)


async def judge_messages(node: Node, prefix: bytes, verdict: str, *, delay_ms: int = 0) -> None:
    """What becomes of messages whose data begins so."""
    encoded = base64.b64encode(prefix).decode()
    delay = {"delay_ms": delay_ms} if delay_ms else {}
    await node.command("validator", topic=node.topic, verdict=verdict, prefix_b64=encoded, **delay)


async def enter_mesh(trial: Trial, node: Node, w: ScriptedPeer) -> None:
    """W subscribes and grafts, and is in the mesh then. CannotTry where a node that nobody can
    ask refuses."""
    topic = node.topic
    await w.send_rpc(Rpc(subscriptions=[SubOpts(topic)], control=Control(graft=[Graft(topic)])))
    if node.is_steered:
        with trial.expecting("a peer that grafts in the mesh"):
            await node.has_in_mesh(w)
        return
    await trial.heartbeats(1.5, node)
    if prunes(w):
        raise CannotTry("the target refuses GRAFT: its mesh may be full")


async def stay_outside(trial: Trial, node: Node, w: ScriptedPeer) -> None:
    """W subscribes, and is not in the mesh: it has sent a PRUNE before."""
    await w.send_rpc(Rpc(control=Control(prune=[Prune(node.topic, (), OUTSIDE_SECONDS)])))
    await w.send_rpc(Rpc(subscriptions=[SubOpts(node.topic)]))
    await knows_subscription(trial, node, w, node.topic)


async def knows_subscription(
    trial: Trial, node: Node, w: ScriptedPeer, topic: str, *, timeout: float = 5.0
) -> None:
    with trial.expecting(f"W among the peers subscribed to {topic!r}"):
        await node.wait_answer(
            "topic_peers",
            lambda got: str(w.peer_id) in got["peers"],
            topic=topic,
            timeout=timeout,
        )


async def has_read(trial: Trial, node: Node, w: ScriptedPeer, *, timeout: float = 5.0) -> None:
    """Wait until the target has looked at all RPCs of W: they are read in order, and it has taken
    note of a subscription that W sends now. Of messages the signature check may be under way."""
    topic = f"read {trial.rng.getrandbits(32):x}"
    await w.send_rpc(Rpc(subscriptions=[SubOpts(topic)]))
    await knows_subscription(trial, node, w, topic, timeout=timeout)


def deliveries(node: Node) -> list[bytes]:
    """The data of all messages its application got since the last look, without those that
    `Node.delivered` has taken."""
    return [event["data"] for event in node.process.messages()]
