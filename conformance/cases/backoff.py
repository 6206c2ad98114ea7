"""PRUNE and backoff (GossipSub v1.1, "Adding backoff")."""

from __future__ import annotations

import math

import anyio

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import (
    FULL_WITH_TWO,
    NO_MERCY,
    STAY_AWAY,
    answered_with_prune,
    data_to,
    grafts,
    has_graft,
    has_prune,
    hears,
    members,
    mesh_becomes,
    moments,
    names,
    offered_to,
    prunes,
    publish,
    send_control,
    settled,
    subscribe,
    subscribers,
)
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.scoring import has_read
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_gossip import join, signed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Graft, Prune

V10 = ("/meshsub/1.0.0", "/floodsub/1.0.0")


@case("BACK-05", fault="pruned_peers_stay_in_the_mesh", address=True)
async def a_peer_that_prunes_gets_gossip_instead_of_messages(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    author = await trial.peer(node)
    await subscribe(w, node.topic)
    await send_control(w, Graft(node.topic))
    await settled(trial, node, w)
    await send_control(w, Prune(node.topic, (), STAY_AWAY))
    await settled(trial, node, w)
    await publish(author, signed(author, node.topic, 1))
    await hears(trial, w, "IHAVE for the message", lambda w: offered_to(w) or data_to(w))
    trial.equal("messages to W after its PRUNE", data_to(w), [])
    trial.equal("PRUNEs in answer to W's", prunes(w), [])


@case("BACK-06", fault="stated_backoffs_are_not_heard", also=("BACK-07",))
async def a_pruned_peer_is_grafted_again_when_its_backoff_is_over(trial: Trial) -> None:
    """The mesh has too few peers all the time, so there is a reason to graft. A backoff that is not
    stated is the target's own: 1 s here. The other is 5 s, since a target may wait some heartbeats
    and seconds longer than it must, which is not to be taken for having heard it."""
    params = {"heartbeatMs": 100, "pruneBackoffMs": 1000}
    node = await trial.start(subscribed=True, params=params)
    stating, silent = await trial.peer(node), await trial.peer(node)
    await send_control(stating, Prune(node.topic, (), 5))
    await send_control(silent, Prune(node.topic))
    for w in (stating, silent):
        await subscribe(w, node.topic)
    for w, seconds in ((silent, 1.0), (stating, 5.0)):
        await hears(trial, w, f"GRAFT after a backoff of {seconds:g} s", grafts, timeout=15.0)
        (pruned,) = moments(w, has_prune, sent=True)
        waited = moments(w, has_graft, sent=False)[0] - pruned
        trial.check(waited >= seconds, f"GRAFT not before {seconds:g} s", f"after {waited:.2f} s")


@case("BACK-08", fault="prunes_state_no_backoff")
async def a_prune_states_the_backoff_in_seconds(trial: Trial) -> None:
    params = FULL_WITH_TWO | {"pruneBackoffMs": 7000}
    node = await trial.start(subscribed=True, params=params)
    await members(trial, node, 2)
    w = await trial.peer(node)
    await subscribe(w, node.topic)
    await send_control(w, Graft(node.topic))
    prune = await answered_with_prune(trial, node, w, "a GRAFT where the mesh is full")
    trial.equal("backoff", prune.backoff, 7)


@case("BACK-08b", fault="grafts_do_not_wait_for_backoffs")
async def who_prunes_keeps_the_backoff_itself(trial: Trial) -> None:
    params = FULL_WITH_TWO | {"heartbeatMs": 100, "pruneBackoffMs": 1000}
    node = await trial.start(subscribed=True, params=params)
    full = await members(trial, node, 2)
    w = await trial.peer(node)
    await subscribe(w, node.topic)
    await send_control(w, Graft(node.topic))
    await answered_with_prune(trial, node, w, "a GRAFT where the mesh is full")
    for member in full:
        await send_control(member, Prune(node.topic, (), STAY_AWAY))
    await hears(
        trial, w, "GRAFT when the backoff is over, since the mesh is empty", grafts, timeout=15.0
    )
    waited = moments(w, has_graft, sent=False)[0] - moments(w, has_graft, sent=True)[0]
    trial.check(waited >= 1.0, "GRAFT not before 1 s", f"after {waited:.2f} s")


@case("BACK-09", fault="early_grafts_are_accepted", also=("T23",))
async def a_graft_during_the_backoff_is_refused_and_starts_it_again(trial: Trial) -> None:
    node = await trial.start(subscribed=True, params={"pruneBackoffMs": 20_000})
    w = await trial.peer(node)
    await subscribe(w, node.topic)
    await send_control(w, Prune(node.topic, (), 1))
    await send_control(w, Graft(node.topic))
    prune = await answered_with_prune(trial, node, w, "a GRAFT during the backoff")
    trial.equal("backoff", prune.backoff, 20)
    await anyio.sleep(1.2)
    await send_control(w, Graft(node.topic))
    await answered_with_prune(trial, node, w, "a GRAFT during the prolonged backoff", count=2)


@case("BACK-09b", fault="early_grafts_are_accepted", address=True)
async def a_running_node_refuses_a_graft_during_the_backoff(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    await subscribe(w, node.topic)
    await send_control(w, Prune(node.topic, (), STAY_AWAY))
    await send_control(w, Graft(node.topic))
    prune = await answered_with_prune(trial, node, w, "a GRAFT during the backoff")
    trial.equal("peers named", list(prune.peers), [])


@case("BACK-09c", fault="early_grafts_cost_nothing")
async def a_graft_during_the_backoff_is_penalised(trial: Trial) -> None:
    node = await trial.start(subscribed=True, score=NO_MERCY)
    w = await trial.peer(node)
    await send_control(w, Prune(node.topic, (), STAY_AWAY), Graft(node.topic))
    await send_control(w, Graft(node.topic))
    await answered_with_prune(trial, node, w, "a GRAFT during the backoff")
    await wait_penalty(trial, node, w)


async def wait_penalty(trial: Trial, node: Node, w: ScriptedPeer) -> float:
    """W's behaviour penalty, as soon as there is one, by the score as a whole."""
    peer = str(w.peer_id)
    with trial.expecting("a behaviour penalty (P7) above 0, so a score below 0"):
        answer = await node.wait_answer(
            "scores", lambda got: got["scores"].get(peer, {}).get("score", 0) < 0
        )
    return math.sqrt(-answer["scores"][peer]["score"])


@case("BACK-10", fault="a_flood_of_grafts_costs_no_more")
async def a_graft_soon_after_the_prune_is_penalised_twice(trial: Trial) -> None:
    """Soon is within the graft flood threshold (1 s here); what comes later in the backoff costs
    half of that."""
    params = {"pruneBackoffMs": 20_000, "graftFloodThresholdMs": 1000}
    score = NO_MERCY | {"behaviourPenaltyDecay": 0.999}
    node = await trial.start(subscribed=True, params=params, score=score)
    late = await trial.peer(node)
    await send_control(late, Prune(node.topic, (), 20))
    await settled(trial, node, late)
    await anyio.sleep(1.2)
    soon = await trial.peer(node)
    await send_control(soon, Prune(node.topic, (), 20))
    for w in (soon, late):
        await send_control(w, Graft(node.topic))
    for w, penalty in ((soon, 2.0), (late, 1.0)):
        await answered_with_prune(trial, node, w, "a GRAFT during the backoff")
        came = await wait_penalty(trial, node, w)
        trial.check(
            abs(came - penalty) < 0.2, f"behaviour penalty {penalty:g}", f"behaviour penalty {came}"
        )


@case("BACK-11", fault="the_newest_backoff_counts", address=True)
async def a_shorter_backoff_leaves_the_longer_in_force(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    await subscribe(w, node.topic)
    await send_control(w, Prune(node.topic, (), STAY_AWAY))
    await send_control(w, Prune(node.topic, (), 1))
    await settled(trial, node, w)
    await anyio.sleep(1.2)
    await send_control(w, Graft(node.topic))
    await answered_with_prune(trial, node, w, "a GRAFT after the shorter backoff")


@case("BACK-14", fault="huge_backoffs_wrap")
async def a_huge_backoff_is_a_long_one(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    values = (2**31, 2**53, 2**63, 2**64 - 1)
    peers = [await trial.peer(node) for _ in values]
    for w, seconds in zip(peers, values, strict=True):
        await send_control(w, Prune(node.topic, (), seconds))
        await send_control(w, Graft(node.topic))
        await answered_with_prune(trial, node, w, f"a GRAFT in a backoff of {seconds} s")


@case("BACK-15", fault="v1_0_peers_are_told_as_much_as_others", address=True)
async def a_v1_0_peer_is_pruned_with_the_topic_only(trial: Trial) -> None:
    """Its own PRUNE states no backoff, and starts one all the same."""
    node = await trial.start(subscribed=True)
    w = await trial.peer(node, protocols=V10)
    trial.equal("protocol of the target's stream", w.pubsub_in[0].protocol, V10[0])
    await subscribe(w, node.topic)
    await send_control(w, Prune(node.topic))
    for number in (1, 2):
        await send_control(w, Graft(node.topic))
        prune = await answered_with_prune(
            trial, node, w, "a GRAFT during the backoff", count=number
        )
        trial.equal("PRUNE", prune, Prune(node.topic))


@case("BACK-16", fault="who_prunes_keeps_everybody_out")
async def a_prune_before_the_topic_is_joined_keeps_nobody_else_out(trial: Trial) -> None:
    """Go, js and rust note a backoff in topics of their own alone, so that W is grafted and has to
    refuse; py-libp2p heeds it."""
    node = await trial.start()
    w, other = await subscribers(trial, node, 2)
    await send_control(w, Prune(node.topic, (), STAY_AWAY))
    await has_read(trial, node, w)
    await node.command("subscribe", topic=node.topic)
    await hears(trial, other, "GRAFT to who did not prune", grafts)
    await trial.heartbeats(1, node)
    trial.observe("grafts who pruned it before" if grafts(w) else "heeds the backoff")


@case("BACK-17", fault="backoffs_count_for_all_topics")
async def a_backoff_in_one_topic_does_not_hinder_another(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    await node.command("subscribe", topic="other")
    w = await trial.peer(node)
    await send_control(w, Prune(node.topic, (), STAY_AWAY))
    await settled(trial, node, w)
    with trial.expecting("W in the topic it subscribed to"):
        await join(w, node.process, "other")
    await hears(trial, w, "GRAFT in the topic that W did not prune", grafts)
    await send_control(w, Graft("other"))
    await settled(trial, node, w)
    trial.equal("PRUNEs", prunes(w), [])
    trial.equal("topics of GRAFTs", set(grafts(w)), {"other"})
    with trial.expecting("W in the mesh of the other topic"):
        await node.has_in_mesh(w, "other")
    await mesh_becomes(trial, node, "no mesh in the first", lambda mesh: not mesh & names([w]))
