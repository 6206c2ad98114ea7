"""What scores decide about meshes (GossipSub v1.1): who stays, who is let in, who is sought."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import (
    NO_TOPIC_SCORES,
    PATIENCE,
    SMALL,
    all_said,
    grafts,
    hears,
    members,
    mesh_becomes,
    mesh_of,
    names,
    prunes,
    rate,
    send_control,
    settled,
    start_unhurried,
    subscribe,
    subscribers,
)
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_gossip import join
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_wire import deadline, key_of_seed
from gossipsub.wire.rpc import Graft


@case("MESH-02b", fault="scores_do_not_matter_to_who_is_grafted")
async def joining_does_not_graft_peers_of_negative_score(trial: Trial) -> None:
    node = await start_unhurried(trial, subscribed=False, score=NO_TOPIC_SCORES)
    bad, good = await subscribers(trial, node, 2)
    await rate(trial, node, bad, -1)
    await rate(trial, node, good, 0)
    await node.command("subscribe", topic=node.topic)
    await hears(trial, good, "GRAFT to a peer with score 0", grafts)
    await all_said(bad)
    trial.equal("GRAFTs to a peer with score -1", grafts(bad), [])
    trial.equal("the mesh is the peer with score 0", await mesh_of(node) == names([good]), True)


@case("MESH-02c", fault="direct_peers_are_like_others")
async def joining_does_not_graft_direct_peers(trial: Trial) -> None:
    seed = 4000
    direct = f"/ip4/127.0.0.1/tcp/9/p2p/{key_of_seed(seed).peer_id()}"
    node = await start_unhurried(trial, subscribed=False, params={"direct": [direct]})
    friend = await trial.peer(node, seed=seed)
    with trial.expecting("W in the topic it subscribed to"):
        await join(friend, node.process, node.topic)
    (other,) = await subscribers(trial, node, 1)
    await node.command("subscribe", topic=node.topic)
    await hears(trial, other, "GRAFT to a peer that is not a direct one", grafts)
    await all_said(friend)
    trial.equal("GRAFTs to a direct peer", grafts(friend), [])


@case("MESH-06", fault="the_worst_peers_are_kept")
async def of_too_many_peers_the_best_are_kept(trial: Trial) -> None:
    """D and D_score are both 2 here, so that all that stay are chosen by score."""
    params = {"D": 2, "Dlo": 1, "Dhi": 5, "Dscore": 2, "Dout": 0, "heartbeatMs": 1000}
    node = await trial.start(subscribed=True, params=params, score=NO_TOPIC_SCORES)
    peers = [await trial.peer(node) for _ in range(5)]
    for number, w in enumerate(peers):
        await rate(trial, node, w, 10 * (number % 4))
    best = [peers[2], peers[3]]
    for w in peers:
        await subscribe(w, node.topic)
        await send_control(w, Graft(node.topic))
        await settled(trial, node, w)
    # One more than D_high: only a peer that was dialled is let in. It may come when the others
    # have been pruned, by those that do so at D_high.
    outbound = await trial.dialled_peer(node)
    await subscribe(outbound, node.topic)
    await send_control(outbound, Graft(node.topic))
    mesh = await mesh_becomes(
        trial,
        node,
        "D (2) peers left in the mesh",
        lambda got: len(got - names([outbound])) == 2,
    )
    trial.equal("the best two are left", names(best) <= mesh, True)


@case("OUT-01", fault="outbound_peers_have_no_quota")
async def of_too_many_peers_as_many_outbound_ones_are_kept_as_there_must_be(trial: Trial) -> None:
    """D_out is 1 here. By their scores alone (all D are kept by score) none would stay."""
    params = {"D": 4, "Dlo": 3, "Dhi": 6, "Dscore": 4, "Dout": 1}
    node = await trial.start(subscribed=True, params=params, score=NO_TOPIC_SCORES)
    outbound = [await _grafting(trial, node, await trial.dialled_peer(node), 0)]
    for _ in range(5):
        await _grafting(trial, node, await trial.peer(node), 10)
    await trial.heartbeats(2, node)
    if len(await mesh_of(node)) == 6:  # pruned above D_high only
        outbound.append(await _grafting(trial, node, await trial.dialled_peer(node), 0))
    mesh = await mesh_becomes(trial, node, "D (4) peers in the mesh", lambda got: len(got) == 4)
    kept = mesh & names(outbound)
    trial.check(kept, "an outbound peer among those that are kept", "inbound peers only")


async def _grafting(trial: Trial, node: Node, w: ScriptedPeer, score: float) -> ScriptedPeer:
    await rate(trial, node, w, score)
    await subscribe(w, node.topic)
    await send_control(w, Graft(node.topic))
    await settled(trial, node, w)
    return w


@case("MESH-07", fault="peers_of_negative_score_stay", also=("PX-03",))
async def a_peer_whose_score_becomes_negative_is_pruned(trial: Trial) -> None:
    """With the backoff and without naming others, though the target does that otherwise."""
    params = {"doPX": True, "pruneBackoffMs": 9000}
    node = await trial.start(subscribed=True, params=params, score=NO_TOPIC_SCORES)
    bad, neutral, _ = await members(trial, node, 3)
    await rate(trial, node, bad, -1)
    await hears(trial, bad, "PRUNE to a peer with score -1", prunes)
    told = [(prune.backoff, list(prune.peers)) for prune in prunes(bad)]
    trial.equal("backoff and peers named", told, [(9, [])])
    trial.equal("PRUNEs to a peer with score 0", prunes(neutral), [])
    await mesh_becomes(trial, node, "the mesh without it", lambda got: not got & names([bad]))


@case("MESH-08", fault="scores_do_not_matter_to_who_is_grafted")
async def a_peer_of_negative_score_is_not_grafted_however_few_there_are(trial: Trial) -> None:
    node = await trial.start(subscribed=True, score=NO_TOPIC_SCORES)
    w = await trial.peer(node)
    await rate(trial, node, w, -0.5)
    await subscribe(w, node.topic)
    await settled(trial, node, w)
    await trial.heartbeats(3, node)
    trial.equal("GRAFTs to a peer with score -0.5", grafts(w), [])
    await rate(trial, node, w, 0)
    await hears(trial, w, "GRAFT as soon as the score is 0", grafts)


OPPORTUNISTIC = SMALL | {"opportunisticGraftTicks": 3, "opportunisticGraftPeers": 2}


async def _rated(
    trial: Trial, node: Node, scores: tuple[float, ...], *topics: str, graft: bool
) -> list[ScriptedPeer]:
    peers = []
    for score in scores:
        w = await trial.peer(node)
        await rate(trial, node, w, score)
        await subscribe(w, *topics)
        if graft:
            await send_control(w, *(Graft(topic) for topic in topics))
        await settled(trial, node, w)
        peers.append(w)
    return peers


@case("OPP-01", fault="nobody_is_grafted_opportunistically")
async def a_mesh_of_poor_peers_takes_in_better_ones(trial: Trial) -> None:
    """At every so many heartbeats (3 here): up to two peers better than the median of the mesh,
    where that is below the threshold (1 here)."""
    node = await trial.start(subscribed=True, params=OPPORTUNISTIC, score=NO_TOPIC_SCORES)
    mesh = await _rated(trial, node, (0.5, 0.5), node.topic, graft=True)
    better = await _rated(trial, node, (2, 3), node.topic, graft=False)
    (worse,) = await _rated(trial, node, (0.4,), node.topic, graft=False)
    for w in better:
        await _is_grafted(trial, node, w, mesh[0], "GRAFT to a peer that is better than the median")
    trial.equal("GRAFTs to a peer below the median", grafts(worse), [])
    await mesh_becomes(
        trial, node, "both in the mesh, beside the others", lambda got: got == names(mesh + better)
    )


@case("OPP-02", fault="the_mean_is_taken_for_the_median")
async def what_counts_is_the_median_of_the_mesh(trial: Trial) -> None:
    """Not the mean."""
    score = NO_TOPIC_SCORES | {"thresholds": _thresholds(opportunistic=5)}
    node = await trial.start(subscribed=True, params=OPPORTUNISTIC, score=score)
    mesh = await _rated(trial, node, (1, 2, 12), node.topic, graft=True)
    (between,) = await _rated(trial, node, (3,), node.topic, graft=False)
    expected = "GRAFT to a peer with score 3, where the median is 2"
    await _is_grafted(trial, node, between, mesh[0], expected)


@case("OPP-02b", fault="everybody_counts_as_better")
async def a_mesh_with_a_good_median_takes_in_nobody(trial: Trial) -> None:
    score = NO_TOPIC_SCORES | {"thresholds": _thresholds(opportunistic=1.5)}
    node = await trial.start(subscribed=True, params=OPPORTUNISTIC, score=score)
    await _rated(trial, node, (1, 2, 2), node.topic, graft=True)
    (better,) = await _rated(trial, node, (3,), node.topic, graft=False)
    await trial.heartbeats(7, node)
    trial.equal("GRAFTs where the median is not below the threshold", grafts(better), [])


@case("OPP-02c", fault="the_middle_two_are_averaged")
async def of_an_even_mesh_the_upper_of_the_middle_two_counts(trial: Trial) -> None:
    """As in go, js and nim; rust takes the mean of both."""
    score = NO_TOPIC_SCORES | {"thresholds": _thresholds(opportunistic=10)}
    node = await trial.start(subscribed=True, params=OPPORTUNISTIC, score=score)
    mesh = await _rated(trial, node, (1, 5), node.topic, graft=True)
    (between,) = await _rated(trial, node, (4,), node.topic, graft=False)
    (better,) = await _rated(trial, node, (6,), node.topic, graft=False)
    expected = "GRAFT to a peer with score 6, where the mesh has 1 and 5"
    await _is_grafted(trial, node, better, mesh[0], expected)
    trial.equal("GRAFTs to a peer with score 4", grafts(between), [])


async def _is_grafted(
    trial: Trial, node: Node, w: ScriptedPeer, other: ScriptedPeer, expected: str
) -> None:
    """Heartbeats are kept coming by RPCs of another peer: rust has none where nothing happens."""
    with trial.expecting(expected), deadline(PATIENCE, "GRAFT"):
        while not grafts(w):
            await subscribe(other, "of no concern")
            await trial.heartbeats(0.5, node)


def _thresholds(*, opportunistic: float) -> dict[str, float]:
    return {
        "gossip": -10,
        "publish": -50,
        "graylist": -80,
        "acceptPX": 10,
        "opportunisticGraft": opportunistic,
    }
