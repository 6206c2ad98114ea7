"""Protection from spam (GossipSub v1.1, "Spam Protection Measures")."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import anyio

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import FULL_WITH_TWO, gossiped_to
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.scoring import (
    NO_THRESHOLDS,
    deliveries,
    enter_mesh,
    has_read,
    judge,
    judge_messages,
    meet,
    score_of,
)
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_control import (
    asked,
    forged,
    offer,
    offered,
    prunes,
    send,
    wait_asked,
)
from gossipsub.conformance.scripted_gossip import id_of, signed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Control, Graft, Prune, Rpc

BEHAVIOUR: dict[str, Any] = {"behaviourPenaltyWeight": -1, "behaviourPenaltyThreshold": 0}
GRAFTS = 2_000
FOLLOW_UP = 1.0
"""Seconds."""


class Ticks:
    """The target's heartbeats, as W sees them: by IHAVE for what an author had sent before."""

    def __init__(self, node: Node, author: ScriptedPeer, w: ScriptedPeer) -> None:
        self._node, self._author, self._w = node, author, w
        self._number = 0
        self._taken = 0

    async def next(self) -> list[bytes]:
        """Wait for one; gives the ids that W was asked for since the last one."""
        self._number += 1
        message_id = id_of(self._author, self._number)
        await send(self._author, signed(self._author, self._node.topic, self._number))
        await self._w.until(lambda: message_id in offered(self._w), "IHAVE", 10)
        ids = asked(self._w)
        new, self._taken = ids[self._taken :], len(ids)
        return new


async def _ticking(trial: Trial, params: dict[str, object]) -> tuple[Node, ScriptedPeer, Ticks]:
    """Slow enough that what is sent after a heartbeat is read before the next one."""
    params = {**FULL_WITH_TWO, "heartbeatMs": 1000, **params}
    node = await trial.start(subscribed=True, params=params)
    (w,), author = await gossiped_to(trial, node, 1), await meet(trial, node)
    ticks = Ticks(node, author, w)
    with trial.expecting("IHAVE for a message, to a peer outside of the mesh"):
        for _ in range(2):  # some count by the second: what W said before is that long ago then
            await ticks.next()
    return node, w, ticks


@case("SPAM-01", fault="no_ihave_is_too_much", also=("GOS-06",))
async def of_the_rpcs_with_ihave_ten_are_heeded_between_two_heartbeats(trial: Trial) -> None:
    node, w, ticks = await _ticking(trial, {})
    new = [id_of(w, number) for number in range(20)]
    for each in new:
        await offer(w, node.topic, each)
    with trial.expecting("the next heartbeat's IHAVE"):
        came = await ticks.next()
    trial.equal("offers asked for, of 20 in RPCs of their own", len(set(came)), 10)
    trial.check(set(came) <= set(new[:10]), "the first ten to be those", sorted(came))
    await trial.heartbeats(0.3, node)  # for those that count by the second
    await offer(w, node.topic, b"after the heartbeat")
    with trial.expecting("IWANT for what is offered after the next heartbeat"):
        await wait_asked(w, [b"after the heartbeat"])


@case("SPAM-02", fault="any_number_of_ids_is_asked_for")
async def no_more_ids_than_the_limit_are_asked_for_between_two_heartbeats(trial: Trial) -> None:
    """With a limit of 50 instead of 5,000."""
    node, w, ticks = await _ticking(trial, {"maxIHaveLength": 50})
    many = [id_of(w, number) for number in range(80)]
    await offer(w, node.topic, *many[:20])
    await offer(w, node.topic, *many[20:])
    await offer(w, node.topic, b"more")
    with trial.expecting("the next heartbeat's IHAVE"):
        came = await ticks.next()
    trial.equal("ids asked for, of 81 offered", len(set(came)), 50)
    trial.equal("times any of them was asked for", len(came), 50)
    is_cut = set(came) <= set(many[:70])
    trial.observe(f"looks at {'the first 50' if is_cut else 'all'} ids of one IHAVE")


@case("SPAM-03", fault="broken_promises_cost_nothing")
async def who_does_not_deliver_what_it_offered_is_charged(trial: Trial) -> None:
    """For one id of each IWANT (go, js), or for each id (rust)."""
    node = await judge(trial, params={"iwantFollowupMs": 1000 * FOLLOW_UP}, **BEHAVIOUR)
    w = await meet(trial, node)
    ids = [id_of(w, number) for number in range(8)]
    began = anyio.current_time()
    await offer(w, node.topic, *ids)
    with trial.expecting("IWANT"):
        await wait_asked(w, ids)
    score = await _wait_charged(trial, node, w)
    waited = anyio.current_time() - began
    trial.check(waited >= FOLLOW_UP, f"no penalty for {FOLLOW_UP:g} s", f"one after {waited:.2f} s")
    counts = [n for n in range(1, len(ids) + 1) if math.isclose(-score, n**2, rel_tol=1e-3)]
    trial.check(counts, "P7 of 1 for each IWANT, or for each id: -1 or -64", score)
    trial.observe(f"counts {counts[0]} for {len(ids)} ids in {len(set(asked(w)))} answers")


@case("SPAM-04", fault="promises_are_personal", also=("SPAM-03",))
async def a_promise_is_kept_by_whoever_delivers_the_message(trial: Trial) -> None:
    """Also with a message that validation rejects then, but by none whose signature is wrong."""
    node = await judge(
        trial,
        params={"iwantFollowupMs": 1000 * FOLLOW_UP},
        thresholds=NO_THRESHOLDS,
        **BEHAVIOUR,
    )
    await judge_messages(node, b"2", "reject")
    by_other, by_rejected, by_forged, broken = [await meet(trial, node) for _ in range(4)]
    for number, w in enumerate((by_other, by_rejected, by_forged, broken), 1):
        await offer(w, node.topic, id_of(w, number))
        with trial.expecting("IWANT for what is offered"):
            await wait_asked(w, [id_of(w, number)])
    await send(broken, signed(by_other, node.topic, 1))
    await send(by_rejected, signed(by_rejected, node.topic, 2))
    await send(by_forged, forged(by_forged, node.topic, 3))
    await _wait_charged(trial, node, broken)  # asked last, so that all others are due
    await _wait_charged(trial, node, by_forged)
    trial.equal("score of one whose message another delivered", await score_of(node, by_other), 0)
    trial.equal("score of one whose message was rejected", await score_of(node, by_rejected), 0)


async def _wait_charged(trial: Trial, node: Node, w: ScriptedPeer) -> float:
    with trial.expecting("a penalty for a message that was offered and never delivered"):
        answer = await node.wait_answer(
            "scores",
            lambda got: got["scores"].get(str(w.peer_id), {"score": 0})["score"] < 0,
            timeout=5,
        )
    return float(answer["scores"][str(w.peer_id)]["score"])


@case("SPAM-06", fault="invalid_messages_cost_nothing", also=("THR-02", "SCORE-17", "SCORE-26"))
async def a_sender_of_invalid_messages_is_ignored_until_its_debt_has_decayed(trial: Trial) -> None:
    """16 of them cost 2,560, and each second leaves a quarter of that. The graylist is at -80."""
    decaying = {"invalidMessageDeliveriesWeight": -10, "invalidMessageDeliveriesDecay": 0.5}
    node = await judge(trial, topic=decaying, decayIntervalMs=1000)
    w = await meet(trial, node)
    # In one RPC: after the first few of several it would be ignored.
    await w.send_rpc(Rpc(publish=[forged(w, node.topic, number) for number in range(16)]))
    with trial.expecting("a score of -600 or less after 16 badly signed messages"):
        await _wait_score(node, w, lambda score: score <= -600)
    await trial.heartbeats(1.1 / node.heartbeat, node)  # a score may be a second old (THR-06)
    await send(w, signed(w, node.topic, 20))
    await offer(w, node.topic, b"anything" * 5)
    await trial.heartbeats(1, node)
    if (await score_of(node, w) or 0) < -80:
        trial.equal("delivered of a graylisted peer", deliveries(node), [])
        trial.equal("IWANT to a graylisted peer", asked(w), [])
    with trial.expecting("a score above -80 as its counter decays"):
        await _wait_score(node, w, lambda score: score > -80)
    number, got = 100, list[bytes]()
    while not got and number < 120:
        number += 1
        await send(w, signed(w, node.topic, number))
        await trial.heartbeats(1, node)
        got = deliveries(node)
    trial.check(got, "its messages, delivered again", "none")


async def _wait_score(node: Node, w: ScriptedPeer, holds: Callable[[float], bool]) -> None:
    await node.wait_answer(
        "scores",
        lambda got: holds(float(got["scores"].get(str(w.peer_id), {"score": 0})["score"])),
        timeout=5,
    )


@case("SPAM-09", fault="refusals_are_sent_twice")
async def a_flood_of_grafts_is_answered_with_no_more_than_it_sent(trial: Trial) -> None:
    node = await judge(trial, thresholds=NO_THRESHOLDS, **BEHAVIOUR)
    w = await meet(trial, node)
    await enter_mesh(trial, node, w)
    await w.send_rpc(Rpc(control=Control(prune=[Prune(node.topic, (), 60)])))
    await w.send_rpc(Rpc(control=Control(graft=[Graft(node.topic)])))
    with trial.expecting("PRUNE for a GRAFT during the backoff"):
        await w.until(lambda: prunes(w) != [], "PRUNE", 5)
    await trial.heartbeats(1, node)
    trial.equal("PRUNEs for one GRAFT", len(prunes(w)), 1)
    before = await score_of(node, w) or 0.0
    await w.send_rpc(Rpc(control=Control(graft=[Graft(node.topic)] * GRAFTS)))
    await has_read(trial, node, w, timeout=20)
    with trial.expecting("a penalty for GRAFTs during the backoff"):
        await _wait_score(node, w, lambda score: score < before)
    with trial.expecting("the connection alive"):
        await w.ping(7)
    trial.check(
        len(prunes(w)) <= GRAFTS + 1, f"at most {GRAFTS} more PRUNEs", f"{len(prunes(w))} PRUNEs"
    )
    trial.observe(f"answers {GRAFTS} GRAFTs in one RPC with {len(prunes(w)) - 1} PRUNEs")
