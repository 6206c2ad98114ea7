"""GRAFT: who is let into the mesh, and who is refused (GossipSub v1.0 and v1.1)."""

from __future__ import annotations

from gossipsub.conformance.driver import Event, PeerTimeout
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import (
    FULL_WITH_TWO,
    NO_MERCY,
    answered_with_prune,
    data_to,
    grafts,
    hears,
    members,
    mesh_becomes,
    messages_to,
    names,
    outsiders,
    prunes,
    publish,
    rate,
    send_control,
    settled,
    start_unhurried,
    subscribe,
)
from gossipsub.conformance.kit.scoring import score_of
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_gossip import join, signed
from gossipsub.wire.rpc import Control, Graft, Rpc, SubOpts


@case("BACK-01", fault="every_graft_is_refused", address=True)
async def a_peer_that_grafts_gets_messages(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w, author = await trial.peer(node), await trial.peer(node)
    graft = Control(graft=[Graft(node.topic)])
    await w.send_rpc(Rpc(subscriptions=[SubOpts(node.topic)], control=graft))
    await settled(trial, node, w)
    trial.equal("PRUNEs in answer to the GRAFT", prunes(w), [])
    await publish(author, signed(author, node.topic, 1))
    await hears(trial, w, "the message, forwarded to W", messages_to)


@case("BACK-02", fault="a_repeated_graft_is_refused")
async def a_graft_of_a_peer_in_the_mesh_changes_nothing(trial: Trial) -> None:
    node = await trial.start(subscribed=True, score={})
    w, author = await trial.peer(node), await trial.peer(node)
    await subscribe(w, node.topic)
    await settled(trial, node, w)
    await send_control(w, Graft(node.topic))
    with trial.expecting("W in the mesh"):
        await node.has_in_mesh(w)
    peer = str(w.peer_id)
    try:
        before = await node.wait_answer(
            "scores", lambda got: _time_in_mesh(got, peer, node.topic) > 0, timeout=3.0
        )
    except PeerTimeout:
        before = await node.command("scores")  # it does not tell times: the rest shows enough
    for _ in range(2):
        await send_control(w, Graft(node.topic))
    await settled(trial, node, w)
    trial.equal("PRUNEs in answer to the GRAFTs", prunes(w), [])
    await publish(author, signed(author, node.topic, 1))
    await hears(trial, w, "the message, forwarded to W", messages_to)
    after = await node.command("scores")
    trial.equal("behaviour penalty", after["scores"][peer]["behaviour_penalty"] or 0, 0)
    least, came = (_time_in_mesh(answer, peer, node.topic) for answer in (before, after))
    trial.check(came >= least, f"at least {least:g} ms in the mesh", f"{came:g} ms")


def _time_in_mesh(answer: Event, peer: str, topic: str) -> float:
    topics = answer["scores"].get(peer, {}).get("topics", {})
    return float(topics.get(topic, {}).get("time_in_mesh_ms") or 0)


@case("BACK-03", fault="grafts_for_unknown_topics_are_answered", address=True)
async def grafts_for_topics_that_are_not_joined_are_ignored(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    await send_control(w, *(Graft(f"{node.topic}/nobody is here/{n}") for n in range(100)))
    await settled(trial, node, w)
    await trial.heartbeats(1, node)
    trial.equal("PRUNEs", len(prunes(w)), 0)


@case("BACK-03b", fault="grafts_for_unknown_topics_cost_something")
async def grafts_for_topics_that_are_not_joined_cost_nothing(trial: Trial) -> None:
    node = await trial.start(subscribed=True, score=NO_MERCY)
    w = await trial.peer(node)
    await rate(trial, node, w, 0)
    await send_control(w, *(Graft(f"nobody is here/{number}") for number in range(20)))
    await settled(trial, node, w)
    trial.equal("score", await score_of(node, w), 0)


@case("BACK-04", fault="graft_needs_a_subscription")
async def a_graft_without_a_subscription_is_accepted(trial: Trial) -> None:
    """It may be sent before the subscription, which then comes too late for it."""
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    author = await trial.peer(node)
    await send_control(w, Graft(node.topic))
    with trial.expecting("W in the mesh"):
        await node.has_in_mesh(w)
    await join(author, node.process, node.topic)
    await publish(author, signed(author, node.topic, 1))
    await hears(trial, w, "the message, forwarded to W", messages_to)
    known = (await node.command("topic_peers", topic=node.topic))["peers"]
    if str(w.peer_id) in known:
        trial.observe("takes who grafts for subscribed")


@case("BACK-12", fault="peers_of_negative_score_are_let_in", also=("PX-03",))
async def a_graft_of_a_peer_with_negative_score_is_refused(trial: Trial) -> None:
    """It is no fault that costs anything, but no peers are named in the PRUNE. With score 0 a
    peer is let in."""
    params = {"doPX": True, "pruneBackoffMs": 9000}
    node = await start_unhurried(trial, params=params, score=NO_MERCY)
    await members(trial, node, 2)
    bad, neutral = await trial.peer(node), await trial.peer(node)
    await rate(trial, node, bad, -0.5)
    await rate(trial, node, neutral, 0)
    for w in (bad, neutral):
        await subscribe(w, node.topic)
        await send_control(w, Graft(node.topic))
        await settled(trial, node, w)
    prune = await answered_with_prune(trial, node, bad, "a GRAFT of a peer with score -0.5")
    trial.equal("backoff and peers named", (prune.backoff, list(prune.peers)), (9, []))
    trial.equal("score after it", await score_of(node, bad), -0.5)
    trial.equal("PRUNEs to a peer with score 0", prunes(neutral), [])
    with trial.expecting("the peer with score 0 in the mesh"):
        await node.has_in_mesh(neutral)


@case("BACK-13", fault="a_full_mesh_lets_more_in")
async def a_graft_of_an_inbound_peer_is_refused_where_the_mesh_is_full(trial: Trial) -> None:
    node = await start_unhurried(trial, params=FULL_WITH_TWO)
    first, second = await members(trial, node, 2)
    trial.equal("PRUNEs below D_high", prunes(first) + prunes(second), [])
    w = await trial.peer(node)
    author = await trial.peer(node)
    await subscribe(w, node.topic)
    await send_control(w, Graft(node.topic))
    prune = await answered_with_prune(trial, node, w, "a GRAFT where D_high peers are in the mesh")
    trial.check(prune.backoff, "a backoff above 0", f"backoff {prune.backoff}")
    await publish(author, signed(author, node.topic, 1))
    for member in (first, second):
        await hears(trial, member, "the message, forwarded to who is in the mesh", messages_to)
    trial.equal("messages to who was refused", data_to(w), [])


@case("OUT-03", fault="a_full_mesh_lets_nobody_in")
async def a_graft_of_an_outbound_peer_is_accepted_where_the_mesh_is_full(trial: Trial) -> None:
    """Nim accepts it while fewer than D_out peers of the mesh are outbound, as here. The defence
    is meant for peers that come to the target, not for those it chose."""
    params = {"D": 4, "Dlo": 2, "Dhi": 4, "Dscore": 0, "Dout": 1}
    node = await start_unhurried(trial, params=params)
    full = await members(trial, node, 4)
    w = await trial.dialled_peer(node)
    await subscribe(w, node.topic)
    await send_control(w, Graft(node.topic))
    await settled(trial, node, w)
    trial.equal("PRUNEs to an outbound peer that grafts at D_high", prunes(w), [])
    await mesh_becomes(
        trial, node, "the outbound peer in the mesh", lambda mesh: mesh >= names([*full, w])
    )


@case("OUT-02", fault="outbound_peers_are_not_sought")
async def a_mesh_with_too_few_outbound_peers_grafts_some(trial: Trial) -> None:
    """Up to D_out (1 here), although the mesh has enough peers."""
    params = {"D": 4, "Dlo": 2, "Dhi": 6, "Dscore": 0, "Dout": 1}
    node = await trial.start(subscribed=True, params=params)
    await members(trial, node, 4)
    (inbound,) = await outsiders(trial, node, 1)
    first, second = await trial.dialled_peer(node), await trial.dialled_peer(node)
    for w in (first, second):
        await join(w, node.process, node.topic)
    with trial.expecting("GRAFT to an outbound peer"):
        await mesh_becomes(
            trial, node, "an outbound peer in the mesh", lambda mesh: mesh & names([first, second])
        )
    await trial.heartbeats(2, node)
    trial.equal("GRAFTs to outbound peers", len(grafts(first) + grafts(second)), 1)
    trial.equal("GRAFTs to an inbound peer that pruned", grafts(inbound), [])
