"""Own messages: fanout (GossipSub v1.0) and flood publishing (v1.1)."""

from __future__ import annotations

import anyio

from gossipsub.conformance.driver import PeerError
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import (
    NO_TOPIC_SCORES,
    PATIENCE,
    SMALL,
    all_said,
    data_to,
    floodsub_peer,
    grafts,
    hears,
    mesh_becomes,
    names,
    offered_to,
    outsiders,
    publish,
    rate,
    start_unhurried,
    subscribers,
    those_with,
)
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_gossip import join, signed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_wire import deadline, key_of_seed
from gossipsub.wire.rpc import Rpc, SubOpts


async def publish_to(
    trial: Trial, node: Node, peers: list[ScriptedPeer], data: bytes, count: int
) -> list[ScriptedPeer]:
    """The target publishes, and `count` of the peers get it, no more; those."""
    await node.publish(data)
    with (
        trial.expecting(f"the message at {count} of {len(peers)} peers"),
        deadline(PATIENCE, "such copies"),
    ):
        while len(those_with(peers, data)) < count:
            await anyio.sleep(0.01)
    await all_said(*peers)
    got = those_with(peers, data)
    trial.equal(f"of {len(peers)} peers, those that get a message", len(got), count)
    return got


@case("FAN-01", fault="the_fanout_is_chosen_anew")
async def a_fanout_is_of_d_peers_that_stay_the_same(trial: Trial) -> None:
    """D is 3 here, and 7 peers are in the topic, which the target does not join."""
    node = await trial.start(params=SMALL)
    peers = await subscribers(trial, node, 7)
    first = await publish_to(trial, node, peers, b"1", 3)
    for data in (b"2", b"3", b"4", b"5"):
        got = await publish_to(trial, node, peers, data, 3)
        trial.equal("the peers are those of the first message", names(got) == names(first), True)


@case("FAN-02", fault="the_fanout_takes_peers_of_any_score")
async def a_fanout_has_no_peer_below_the_publish_threshold(trial: Trial) -> None:
    """The threshold is -50 here."""
    node = await trial.start(params=SMALL, score=NO_TOPIC_SCORES)
    below, at = await subscribers(trial, node, 2)
    await rate(trial, node, below, -50.5)
    await rate(trial, node, at, -50)
    await node.publish(b"1")
    await hears(trial, at, "the message, to a peer at the threshold", data_to)
    await all_said(below)
    trial.equal("messages to a peer below the threshold", data_to(below), [])


@case("FAN-03", fault="fanouts_live_for_ever")
async def a_fanout_is_given_up_some_time_after_the_last_message(trial: Trial) -> None:
    """Seen by its gossip: the message is kept, and gossiped about, for ten heartbeats."""
    params = SMALL | {"D": 2, "fanoutTTLMs": 900, "historyLength": 12, "historyGossip": 12}
    node = await trial.start(params=params)
    peers = await subscribers(trial, node, 3)
    (other,) = [w for w in peers if w not in await publish_to(trial, node, peers, b"1", 2)]
    await hears(trial, other, "IHAVE about the message, while the fanout lives", offered_to)
    await trial.heartbeats(5, node)
    await other.ping(1, timeout=PATIENCE)
    before = len(offered_to(other))
    await trial.heartbeats(3, node)
    await other.ping(2, timeout=PATIENCE)
    trial.equal("IHAVEs after the fanout's time", len(offered_to(other)) - before, 0)


@case("FAN-04", fault="fanouts_are_not_maintained")
async def a_fanout_that_lost_a_peer_gets_another(trial: Trial) -> None:
    """At the next heartbeat, up to D (2 here)."""
    node = await trial.start(params=SMALL | {"D": 2})
    peers = await subscribers(trial, node, 4)
    leaver, _ = await publish_to(trial, node, peers, b"1", 2)
    await leaver.send_rpc(Rpc(subscriptions=[SubOpts(node.topic, False)]))
    with trial.expecting("W no longer in the topic it left"):
        await node.wait_answer(
            "topic_peers",
            lambda got: str(leaver.peer_id) not in got["peers"],
            topic=node.topic,
        )
    await trial.heartbeats(2, node)
    got = await publish_to(trial, node, peers, b"2", 2)
    trial.equal("messages to who left", leaver in got, False)


@case("FAN-05", fault="joining_forgets_the_fanout")
async def the_fanout_is_the_beginning_of_the_mesh(trial: Trial) -> None:
    """Nim forgets the fanout, and grafts any peers."""
    node = await start_unhurried(trial, subscribed=False, params=SMALL)
    fanout = await subscribers(trial, node, 2)
    await publish_to(trial, node, fanout, b"1", 2)
    others = await subscribers(trial, node, 5)
    await node.command("subscribe", topic=node.topic)
    mesh = await mesh_becomes(trial, node, "D (3) peers in the mesh", lambda got: len(got) >= 3)
    trial.equal("peers in the mesh", len(mesh), 3)
    trial.equal("the peers of the fanout are in the mesh", names(fanout) <= mesh, True)
    for w in fanout:
        await hears(trial, w, "GRAFT to each peer of the fanout", grafts)
    await all_said(*others)
    trial.equal("GRAFTs to others", sum(len(grafts(w)) for w in others), 1)


@case("FAN-06", fault="direct_peers_are_left_out")
async def direct_peers_get_messages_beside_the_fanout(trial: Trial) -> None:
    seed = 4000
    direct = f"/ip4/127.0.0.1/tcp/9/p2p/{key_of_seed(seed).peer_id()}"
    node = await trial.start(params=SMALL | {"D": 2, "direct": [direct]})
    friend = await trial.peer(node, seed=seed)
    with trial.expecting("W in the topic it subscribed to"):
        await join(friend, node.process, node.topic)
    peers = await subscribers(trial, node, 4)
    for data in (b"1", b"2"):
        await publish_to(trial, node, peers, data, 2)
        await hears(
            trial,
            friend,
            "the message, to a direct peer",
            lambda w, data=data: data in data_to(w),  # type: ignore[misc]
        )


@case("FAN-08", fault="a_fanout_of_nobody_stays_one")
async def publishing_where_nobody_is_does_no_harm(trial: Trial) -> None:
    """Go has it succeed; rust and js tell the application, unless they are told not to, as the js
    peer here is."""
    node = await trial.start()
    try:
        await node.publish(b"nobody is there")
        trial.observe("publishing to nobody is no error")
    except PeerError:
        trial.observe("publishing to nobody is an error")
    (w,) = await subscribers(trial, node, 1)
    await node.publish(b"W is there")
    await hears(trial, w, "the next message, to who has come since", data_to)


@case("FPUB-01", fault="own_messages_go_to_the_mesh_only")
async def flood_publishing_reaches_all_peers_of_the_topic(trial: Trial) -> None:
    node = await trial.start(subscribed=True, params=SMALL | {"floodPublish": True})
    peers = await subscribers(trial, node, 3)
    await mesh_becomes(trial, node, "D_low (2) peers in the mesh", lambda got: len(got) >= 2)
    peers += await outsiders(trial, node, 3)
    await publish_to(trial, node, peers, b"1", 6)


@case("FPUB-02", fault="flood_publishing_reaches_peers_of_any_score")
async def flood_publishing_leaves_out_peers_below_the_publish_threshold(trial: Trial) -> None:
    """The threshold is -50 here."""
    params = {"floodPublish": True}
    node = await trial.start(subscribed=True, params=params, score=NO_TOPIC_SCORES)
    below, at = await outsiders(trial, node, 2)
    await rate(trial, node, below, -50.5)
    await rate(trial, node, at, -50)
    await node.publish(b"1")
    await hears(trial, at, "the message, to a peer at the threshold", data_to)
    await all_said(below)
    trial.equal("messages to a peer below the threshold", data_to(below), [])


@case("FPUB-03", fault="messages_of_others_are_flooded")
async def messages_of_others_are_not_flooded(trial: Trial) -> None:
    node = await trial.start(subscribed=True, params=SMALL | {"floodPublish": True})
    inside = await subscribers(trial, node, 2)
    await mesh_becomes(trial, node, "both peers in the mesh", lambda got: got == names(inside))
    outside = await outsiders(trial, node, 2)
    author = await trial.peer(node)
    await publish(author, signed(author, node.topic, 1))
    for w in inside:
        await hears(trial, w, "the message, forwarded into the mesh", data_to)
    await all_said(*outside)
    trial.equal("copies to peers outside the mesh", len(those_with(outside, b"1")), 0)


@case("FPUB-04", fault="own_messages_are_flooded", also=("FS-01",))
async def without_flood_publishing_own_messages_go_to_the_mesh(trial: Trial) -> None:
    """And to floodsub peers. With fewer than D in the mesh rust sends to more."""
    node = await trial.start(subscribed=True, params=SMALL | {"D": 2})
    inside = await subscribers(trial, node, 2)
    await mesh_becomes(trial, node, "both peers in the mesh", lambda got: got == names(inside))
    outside = await outsiders(trial, node, 3)
    floodsub = await floodsub_peer(trial, node)
    await node.publish(b"1")
    for w in (*inside, floodsub):
        await hears(trial, w, "the message, to the mesh and to floodsub peers", data_to)
    await all_said(*outside)
    trial.equal("copies to others", len(those_with(outside, b"1")), 0)
