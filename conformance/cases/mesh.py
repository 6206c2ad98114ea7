"""JOIN, LEAVE and the upkeep of meshes (GossipSub v1.0 and v1.1, "Mesh maintenance")."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import (
    FIRST_HEARTBEAT,
    PATIENCE,
    SMALL,
    STAY_AWAY,
    all_said,
    grafts,
    has_graft,
    hears,
    inside,
    members,
    mesh_becomes,
    mesh_of,
    moments,
    names,
    offered_to,
    outside,
    outsiders,
    prunes,
    publish,
    send_control,
    settled,
    start_unhurried,
    subscribe,
    subscribers,
)
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_gossip import join, received, signed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_wire import WireTimeout
from gossipsub.wire.rpc import Graft, Prune


@case("MESH-01", fault="join_grafts_everybody")
async def joining_grafts_up_to_d_peers_at_once(trial: Trial) -> None:
    node = await start_unhurried(trial, subscribed=False, params=SMALL)
    peers = await subscribers(trial, node, 6)
    for w in peers[:2]:
        await join(w, node.process, "small")
    for topic, candidates, expected in ((node.topic, peers, 3), ("small", peers[:2], 2)):
        await node.command("subscribe", topic=topic)
        for w in peers:
            await hears(trial, w, "SUBSCRIBE", _announced(topic))
        mesh = await _mesh_filled(trial, node, topic, expected)
        await all_said(*peers)
        grafted = [w for w in candidates if topic in grafts(w)]
        what = f"peers grafted of {len(candidates)} subscribed"
        trial.equal(what, len(grafted), expected)
        trial.equal("the mesh is who was grafted", names(grafted) == mesh, True)


async def _mesh_filled(trial: Trial, node: Node, topic: str, least: int) -> set[str]:
    with trial.expecting(f"a mesh of {least} peers, without a heartbeat"):
        answer = await node.wait_answer(
            "mesh", lambda got: len(got["peers"]) >= least, timeout=PATIENCE, topic=topic
        )
    return set(answer["peers"])


def _announced(topic: str, *, joined: bool = True) -> Callable[[ScriptedPeer], bool]:
    """Whether a peer was told so."""

    def look(w: ScriptedPeer) -> bool:
        changes = [change for rpc in received(w) for change in rpc.subscriptions]
        return (topic, joined) in [(change.topic, change.subscribe) for change in changes]

    return look


@case("MESH-02", fault="grafts_do_not_wait_for_backoffs", also=("T23",))
async def joining_again_does_not_graft_who_pruned(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    await send_control(w, Prune(node.topic, (), STAY_AWAY))
    await settled(trial, node, w)
    await node.command("unsubscribe", topic=node.topic)
    other = await trial.peer(node)
    for each in (w, other):
        with trial.expecting("W in the topic it subscribed to"):
            await join(each, node.process, node.topic)
    await node.command("subscribe", topic=node.topic)
    await hears(trial, other, "GRAFT to who did not prune", grafts)
    await trial.heartbeats(1, node)
    trial.equal("GRAFTs during the backoff", grafts(w), [])


@case("MESH-03", fault="leaving_states_the_longer_backoff")
async def leaving_prunes_the_mesh_and_keeps_the_backoff(trial: Trial) -> None:
    node = await trial.start(subscribed=True, params={"unsubscribeBackoffMs": 5000})
    (member,) = await members(trial, node, 1)
    (outsider,) = await outsiders(trial, node, 1)
    await node.command("unsubscribe", topic=node.topic)
    for w in (member, outsider):
        await hears(trial, w, "UNSUBSCRIBE", _announced(node.topic, joined=False))
    await hears(trial, member, "PRUNE to who was in the mesh", prunes)
    told = [(prune.topic, prune.backoff) for prune in prunes(member)]
    trial.equal("topic and backoff of PRUNEs", told, [(node.topic, 5)])
    trial.equal("PRUNEs to who was not in the mesh", prunes(outsider), [])
    before = len(grafts(member))
    await node.command("subscribe", topic=node.topic)
    await trial.heartbeats(2, node)
    await settled(trial, node, member)
    trial.equal("GRAFTs within the backoff for leaving", len(grafts(member)) - before, 0)


@case("MESH-04", fault="small_meshes_are_filled_to_d_low")
async def a_mesh_below_d_low_is_filled_up_to_d(trial: Trial) -> None:
    """With D_low peers it is left as it is. Here D is 4 and D_low is 3."""
    params = {"D": 4, "Dlo": 3, "Dhi": 6, "Dscore": 0, "Dout": 0}
    node = await trial.start(subscribed=True, params=params)
    peers = await subscribers(trial, node, 7)
    mesh = await mesh_becomes(trial, node, "a mesh of 3 or 4 peers", lambda got: 3 <= len(got) <= 4)
    if len(mesh) == 4:
        await _shrink(trial, node, peers, mesh)
    await trial.heartbeats(2, node)
    trial.equal("peers in the mesh, as before", len(await mesh_of(node)), 3)
    await _shrink(trial, node, peers, await mesh_of(node))
    await mesh_becomes(trial, node, "a mesh of 4 peers", lambda got: len(got) == 4)


async def _shrink(
    trial: Trial, node: Node, peers: list[ScriptedPeer], mesh: set[str]
) -> ScriptedPeer:
    """One of the mesh prunes."""
    w = inside(peers, mesh)[0]
    await send_control(w, Prune(node.topic, (), STAY_AWAY))
    await mesh_becomes(
        trial, node, "a mesh without who pruned", lambda got: str(w.peer_id) not in got
    )
    return w


async def overfill(trial: Trial, node: Node, size: int) -> list[ScriptedPeer]:
    """W until the mesh has more than D_high, or is pruned at D_high already; `size` is D_high.
    Only a peer that was dialled is let into a full mesh."""
    peers = await members(trial, node, size - 1)
    await trial.heartbeats(2, node)
    came = [len(prunes(w)) for w in peers]
    trial.equal(f"PRUNEs to {size - 1} peers, one fewer than D_high", sum(came), 0)
    w = await trial.peer(node)
    await subscribe(w, node.topic)
    await send_control(w, Graft(node.topic))
    await settled(trial, node, w)
    peers.append(w)
    await trial.heartbeats(2, node)
    if len(await mesh_of(node)) < size:
        trial.observe("prunes at exactly D_high")
        return peers
    trial.observe("prunes above D_high only")
    outbound = await trial.dialled_peer(node)
    await subscribe(outbound, node.topic)
    await send_control(outbound, Graft(node.topic))
    return [*peers, outbound]


@case("MESH-05", fault="meshes_are_not_pruned")
async def a_mesh_with_too_many_peers_is_pruned_to_d(trial: Trial) -> None:
    """Too many is more than D_high; go and rust prune at exactly D_high already."""
    node = await trial.start(subscribed=True, params=SMALL)
    peers = await overfill(trial, node, SMALL["Dhi"])
    mesh = await mesh_becomes(trial, node, "D (3) peers in the mesh", lambda got: len(got) == 3)
    pruned = outside(peers, mesh)
    for w in pruned:
        await hears(trial, w, "PRUNE to each that is not in the mesh any more", prunes)
    trial.equal("PRUNEs to who stays", [prunes(w) for w in inside(peers, mesh)], [[]] * 3)


@case("MESH-10", fault="only_the_first_topic_has_a_mesh")
async def a_peer_of_several_topics_is_grafted_in_each(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    topics = {node.topic, "second", "third"}
    for topic in ("second", "third"):
        await node.command("subscribe", topic=topic)
    w = await trial.peer(node)
    await subscribe(w, *topics)
    with trial.expecting("GRAFTs for three topics"):
        await w.until(lambda: set(grafts(w)) >= topics, "GRAFTs", PATIENCE)
    trial.equal("topics of GRAFTs", sorted(grafts(w)), sorted(topics))
    count = len(moments(w, has_graft, sent=False))
    trial.observe(f"GRAFTs for three topics in {count} RPC{'s' if count > 1 else ''}")


@case("MESH-11", fault="every_subscriber_is_grafted")
async def who_subscribes_is_grafted_only_where_the_mesh_is_too_small(trial: Trial) -> None:
    """Rust, js and nim graft at once, go at the next heartbeat: both are allowed."""
    node = await trial.start(subscribed=True, params=SMALL | {"heartbeatMs": 1000})
    first = await trial.peer(node)
    await anyio.sleep(FIRST_HEARTBEAT)  # the next is more than half a second away
    began = len(first.journal.entries)
    await subscribe(first, node.topic)
    await hears(trial, first, "GRAFT to the only subscriber", grafts)
    at = first.journal.entries[began].at
    soon = moments(first, has_graft, sent=False)[0] - at < 0.3
    trial.observe("grafts who subscribes at once" if soon else "grafts at the next heartbeat")
    await members(trial, node, 1)
    (third,) = await subscribers(trial, node, 1)
    await trial.heartbeats(1.5, node)
    trial.equal("GRAFTs where D_low peers are in the mesh", grafts(third), [])


@case("MESH-12", fault="lost_peers_are_not_replaced")
async def peers_that_are_gone_are_replaced(trial: Trial) -> None:
    node = await trial.start(subscribed=True, params=SMALL)
    lost = await members(trial, node, 3)
    others = await subscribers(trial, node, 3)
    for w in lost[:2]:
        await w.wire.close()
    staying = names([lost[2], *others])
    mesh = await mesh_becomes(
        trial,
        node,
        "D (3) peers in the mesh, none of them gone",
        lambda got: len(got) == 3 and got <= staying,
    )
    for w in inside(others, mesh):
        await hears(trial, w, "GRAFT to each that is in the mesh now", grafts)


async def _offered_more(trial: Trial, w: ScriptedPeer, before: int) -> None:
    await hears(trial, w, "IHAVE at each heartbeat", lambda w: len(offered_to(w)) > before)


@case("MESH-17", fault="heartbeats_are_half_as_frequent", address=True)
async def heartbeats_are_regular(trial: Trial) -> None:
    """Seen by the gossip that comes with them: of a new message after each, for six of them. Who
    gossips to nobody that pruned it cannot be tried so; that is for BACK-05 to say."""
    node = await trial.start(subscribed=True)
    w, author = await trial.peer(node), await trial.peer(node)
    await send_control(w, Prune(node.topic, (), STAY_AWAY))
    await subscribe(w, node.topic)
    await settled(trial, node, w)
    await publish(author, signed(author, node.topic, 1))
    try:
        await w.until(lambda: bool(offered_to(w)), "IHAVE", PATIENCE)
    except WireTimeout as error:
        raise CannotTry("the target's gossip does not reach a peer that pruned it") from error
    for number in range(2, 8):
        before = len(offered_to(w))
        await publish(author, signed(author, node.topic, number))
        await _offered_more(trial, w, before)
    times = moments(w, lambda rpc: rpc.control is not None and rpc.control.ihave, sent=False)
    mean = (times[6] - times[0]) / 6 / node.heartbeat
    expected = f"IHAVEs every {node.heartbeat:g} s on average, give or take a half"
    trial.check(0.5 <= mean <= 1.5, expected, f"every {mean * node.heartbeat:.2f} s")
