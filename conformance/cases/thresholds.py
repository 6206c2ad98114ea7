"""Score thresholds (GossipSub v1.1, "Score Thresholds"). Here gossip is -10, publish -50 and
graylist -80."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import FULL_WITH_TWO, gossiped_to
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.scoring import (
    deliveries,
    enter_mesh,
    has_read,
    has_score,
    judge,
    knows_subscription,
    meet,
    name_of,
    set_app_score,
)
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_control import (
    ask,
    asked,
    forged,
    offer,
    offered,
    prunes,
    received_data,
    send,
    subscribe,
    wait_asked,
    wait_data,
)
from gossipsub.conformance.scripted_gossip import id_of, received_numbers, signed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_wire import WireError
from gossipsub.wire.rpc import Control, Graft, IHave, IWant, Rpc

W, V, U = 71, 72, 73
"""Seeds: who these peers are is known before they come."""
FLOODSUB = "/floodsub/1.0.0"


@case("THR-01", fault="a_score_at_a_threshold_is_below_it")
async def a_score_of_exactly_a_threshold_is_not_below_it(trial: Trial) -> None:
    app_scores = {name_of(W): -10, name_of(V): -50, name_of(U): -80}
    node = await judge(trial, params={"floodPublish": True}, appScores=app_scores)
    at_gossip, at_publish, at_graylist = [await meet(trial, node, seed=s) for s in (W, V, U)]
    await send(at_graylist, signed(at_graylist, node.topic, 1))
    with trial.expecting("a message of a peer at the graylist threshold, delivered"):
        await node.delivered(b"1")
    offer_id = id_of(at_gossip, 2)
    await offer(at_gossip, node.topic, offer_id)
    with trial.expecting("IWANT for what a peer at the gossip threshold offers"):
        await wait_asked(at_gossip, [offer_id])
    await subscribe(at_publish, node.topic)
    await knows_subscription(trial, node, at_publish, node.topic)
    await node.publish(b"own")
    with trial.expecting("an own message, flooded to a peer at the publish threshold"):
        await wait_data(at_publish, b"own")


@case("THR-02", fault="graylisted_peers_are_heard", also=("SUB-09",))
async def what_a_graylisted_peer_says_has_no_effect(trial: Trial) -> None:
    """Its subscriptions may be noted (go, rust) or not (js)."""
    node = await judge(
        trial,
        topic={"invalidMessageDeliveriesWeight": -10},
        behaviourPenaltyWeight=-1,
        behaviourPenaltyThreshold=0,
        appScores={name_of(W): -100},
    )
    w, v = await meet(trial, node, seed=W), await meet(trial, node, seed=V)
    await send(v, signed(v, node.topic, 7))
    with trial.expecting("a message of a peer with a good score, delivered"):
        await node.delivered(b"7")
    control = Control(
        ihave=[IHave(node.topic, [b"anything" * 5])],
        iwant=[IWant([id_of(v, 7)])],
        graft=[Graft(node.topic)],
    )
    await w.send_rpc(Rpc(publish=[signed(w, node.topic, 1), forged(w, node.topic, 2)]))
    await w.send_rpc(Rpc(control=control))
    await subscribe(w, "other")
    await trial.heartbeats(2, node)
    peers = (await node.command("topic_peers", topic="other"))["peers"]
    is_noted = str(w.peer_id) in peers
    trial.observe(f"{'notes' if is_noted else 'ignores'} subscriptions of a graylisted peer")
    await set_app_score(node, w, 0)
    await _is_heard_again(trial, node, w)
    trial.equal("delivered of what it said before", deliveries(node).count(b"1"), 0)
    trial.equal("IWANT to it", asked(w), [])
    trial.equal("PRUNE to it", prunes(w), [])
    trial.equal("messages to it", received_numbers(w), [])
    await has_score(trial, node, w, 0, why="what is ignored costs nothing")


async def _is_heard_again(trial: Trial, node: Node, w: ScriptedPeer) -> None:
    """An implementation may go by a score that is a second old."""
    number, heard = 100, set[bytes]()
    while not heard and number < 130:
        number += 1
        await send(w, signed(w, node.topic, number))
        await trial.heartbeats(1, node)
        got = deliveries(node)
        trial.check(b"1" not in got, "nothing of what it said before", "its message, delivered")
        heard = {data for data in got if len(data) == 3}
    trial.check(heard, "W heard again when its score is good", "no message of W's delivered")


@case("THR-03", fault="gossip_is_for_everybody")
async def below_the_gossip_threshold_there_is_no_gossip_but_messages_are_taken(
    trial: Trial,
) -> None:
    node = await judge(trial, params=FULL_WITH_TWO, appScores={name_of(W): -20})
    (v,) = await gossiped_to(trial, node, 1)
    w, author = await meet(trial, node, seed=W), await meet(trial, node, seed=U)
    await subscribe(w, node.topic)
    await knows_subscription(trial, node, w, node.topic)
    await send(author, signed(author, node.topic, 1))
    with trial.expecting("IHAVE to a peer with a good score, outside of the mesh"):
        await v.until(lambda: id_of(author, 1) in offered(v), "IHAVE", 10)
    await ask(w, id_of(author, 1))
    await offer(w, node.topic, b"anything" * 5)
    await send(w, signed(w, node.topic, 2))
    with trial.expecting("a message of a peer below the gossip threshold, delivered"):
        await node.delivered(b"2")
    await trial.heartbeats(1.5, node)
    trial.equal("IHAVE to W", offered(w), [])
    trial.equal("IWANT to W", asked(w), [])
    trial.equal("answers to W's IWANT", received_numbers(w), [])


@case("THR-04", fault="own_messages_are_for_everybody")
async def own_messages_are_not_flooded_to_peers_below_the_publish_threshold(trial: Trial) -> None:
    node = await judge(trial, params={"floodPublish": True}, appScores={name_of(W): -60})
    w, v = await meet(trial, node, seed=W), await meet(trial, node, seed=V)
    await _only_one_gets_what_is_published(trial, node, node.topic, w, v)


@case("THR-04b", fault="own_messages_are_for_everybody")
async def peers_below_the_publish_threshold_are_in_no_fanout(trial: Trial) -> None:
    node = await judge(trial, subscribed=False, appScores={name_of(W): -60})
    w, v = await trial.peer(node, seed=W), await trial.peer(node, seed=V)
    await _only_one_gets_what_is_published(trial, node, node.topic, w, v)


@case("THR-04c", fault="own_messages_are_for_everybody")
async def floodsub_peers_below_the_publish_threshold_get_no_own_messages(trial: Trial) -> None:
    node = await judge(trial, appScores={name_of(W): -60})
    w, v = await _floodsub_peer(trial, node, W), await _floodsub_peer(trial, node, V)
    await _only_one_gets_what_is_published(trial, node, node.topic, w, v)


async def _floodsub_peer(trial: Trial, node: Node, seed: int) -> ScriptedPeer:
    w = await trial.upgrade(node, seed=seed)
    await w.serve_identify([FLOODSUB])
    try:
        await w.open_pubsub(FLOODSUB)
    except WireError as error:
        raise CannotTry("the target does not speak floodsub") from error
    with trial.expecting("a pubsub stream to a floodsub peer"):
        await w.wait_pubsub(timeout=10)
    return w


async def _only_one_gets_what_is_published(
    trial: Trial, node: Node, topic: str, bad: ScriptedPeer, good: ScriptedPeer
) -> None:
    for each in (bad, good):
        await subscribe(each, topic)
        await knows_subscription(trial, node, each, topic)
    for data in (b"first", b"second"):
        await node.publish(data, topic)
        with trial.expecting("an own message at a peer with a good score"):
            await wait_data(good, data)
    await trial.heartbeats(1, node)
    trial.equal("own messages to a peer below the publish threshold", received_data(bad), [])


@case("THR-05", fault="mesh_peers_stay_whatever_their_score")
async def a_mesh_peer_with_a_negative_score_is_pruned_without_peer_exchange(trial: Trial) -> None:
    node = await judge(trial, params={"doPX": True})
    w, v, u = [await meet(trial, node, seed=seed) for seed in (W, V, U)]
    for each in (w, v, u):
        await enter_mesh(trial, node, each)
    await set_app_score(node, w, -0.5)
    with trial.expecting("PRUNE to W"):
        await w.until(lambda: prunes(w) != [], "PRUNE", 5)
    trial.equal("peers named to W", [list(prune.peers) for prune in prunes(w)], [[]])
    mesh = (await node.command("mesh", topic=node.topic))["peers"]
    trial.equal("mesh", sorted(mesh), sorted([name_of(V), name_of(U)]))
    await node.command("unsubscribe", topic=node.topic)
    with trial.expecting("PRUNE to V, as the target leaves"):
        await v.until(lambda: prunes(v) != [], "PRUNE", 5)
    named = [info.peer_id for prune in prunes(v) for info in prune.peers]
    trial.check(w.peer_id not in named, "W, with its negative score, not named to V", named)
    trial.observe(f"names {len(named)} of 1 other peer in the PRUNE")


@case("THR-06", fault="who_is_graylisted_is_decided_once")
async def a_peer_that_falls_below_the_graylist_is_ignored_a_second_later(trial: Trial) -> None:
    node = await judge(trial)
    w = await meet(trial, node)
    await send(w, signed(w, node.topic, 1))
    with trial.expecting("a message of a peer with a good score, delivered"):
        await node.delivered(b"1")
    await set_app_score(node, w, -1000)
    await has_score(trial, node, w, -1000, why="the application says so")
    await trial.heartbeats(1.2 / node.heartbeat, node)
    await send(w, signed(w, node.topic, 2))
    await offer(w, node.topic, b"anything" * 5)
    await trial.heartbeats(2, node)
    trial.equal("delivered", deliveries(node), [])
    trial.equal("IWANT to it", asked(w), [])


@case("THR-07", fault="scores_are_kept_unasked")
async def without_scoring_no_threshold_acts(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await meet(trial, node)
    await send(w, *(forged(w, node.topic, number) for number in range(30)))
    await has_read(trial, node, w)
    await trial.heartbeats(1, node)
    await enter_mesh(trial, node, w)
    offer_id = id_of(w, 100)
    await offer(w, node.topic, offer_id)
    with trial.expecting("IWANT for what W offers"):
        await wait_asked(w, [offer_id])
    await send(w, signed(w, node.topic, 101))
    with trial.expecting("W's message, delivered"):
        await node.delivered(b"101")
