"""Gossip that a node sends: IHAVE (GossipSub v1.0; v1.1, "Adaptive gossip dissemination")."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import (
    FULL_WITH_TWO,
    NO_TOPIC_SCORES,
    SMALL,
    STAY_AWAY,
    data_to,
    floodsub_peer,
    gossiped_to,
    hears,
    members,
    offered_to,
    outsiders,
    publish,
    rate,
    send_control,
    settled,
    subscribe,
)
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_gossip import id_of, join, received_control, signed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Graft, IWant, Prune


@case("GOS-01", fault="nothing_is_gossiped", also=("GOS-09",), address=True)
async def a_peer_outside_the_mesh_is_told_what_there_is(trial: Trial) -> None:
    """Of a node that runs already the mesh cannot be filled: there W has sent PRUNE."""
    if trial.target.address is None:
        node = await trial.start(subscribed=True, params=FULL_WITH_TWO)
        (w,) = await gossiped_to(trial, node, 1)
    else:
        node = await trial.start(subscribed=True)
        w = await trial.peer(node)
        await send_control(w, Prune(node.topic, (), STAY_AWAY))
        await subscribe(w, node.topic)
        await settled(trial, node, w)
    author = await trial.peer(node)
    message = signed(author, node.topic, 901)
    await publish(author, message)
    if trial.target.address is not None:
        await trial.heartbeats(1, node)  # at the last one it may have offered what others sent
    await hears(trial, w, "IHAVE at the next heartbeat", offered_to)
    await send_control(w, IWant(offered_to(w)))
    await hears(trial, w, "the message that was offered", lambda w: message.data in data_to(w))


@case("GOS-01b", fault="gossip_goes_on_for_as_long_as_messages_are_kept")
async def gossip_is_about_the_newest_windows(trial: Trial) -> None:
    """A message is offered at as many heartbeats as `historyGossip` says (2 here), though it is
    kept for more (8)."""
    params = FULL_WITH_TWO | {"historyGossip": 2, "historyLength": 8}
    node = await trial.start(subscribed=True, params=params)
    (w,) = await gossiped_to(trial, node, 1)
    author = await trial.peer(node)
    await publish(author, signed(author, node.topic, 1))
    await hears(trial, w, "IHAVE at the next heartbeat", offered_to)
    await trial.heartbeats(3, node)
    await publish(author, signed(author, node.topic, 2))
    second = id_of(author, 2)
    await hears(trial, w, "IHAVE for another message", lambda w: second in offered_to(w))
    trial.equal("IHAVEs for the first", offered_to(w).count(id_of(author, 1)), 2)


async def _count_told(trial: Trial, node: Node, of: int) -> int:
    """How many of so many peers outside the mesh are told of a message that is gossiped once."""
    peers = await outsiders(trial, node, of)
    author = await trial.peer(node)
    await publish(author, signed(author, node.topic, 1))
    await settled(trial, node, author)
    await trial.heartbeats(2, node)
    for w in peers:
        await w.ping(1)
    return sum(id_of(author, 1) in offered_to(w) for w in peers)


ONCE = {"historyGossip": 1, "Dlazy": 1, "gossipFactor": 0.5}


@case("GOS-02", fault="everybody_is_gossiped_to")
async def gossip_goes_to_a_share_of_many_peers(trial: Trial) -> None:
    """The share of `gossipFactor` (a half of 6 here), if that is more than D_lazy. Fractions are
    not rounded in the same way by all."""
    node = await trial.start(subscribed=True, params=ONCE)
    trial.equal("peers told of 6", await _count_told(trial, node, 6), 3)


@case("GOS-02b", fault="everybody_is_gossiped_to")
async def gossip_goes_to_d_lazy_of_few_peers(trial: Trial) -> None:
    """D_lazy (2 here), if that is more than the share of `gossipFactor` (of 4: 1)."""
    params = ONCE | {"Dlazy": 2, "gossipFactor": 0.25}
    node = await trial.start(subscribed=True, params=params)
    trial.equal("peers told of 4", await _count_told(trial, node, 4), 2)


@case("GOS-03", fault="the_mesh_is_gossiped_to", also=("FS-03",))
async def gossip_goes_to_nobody_who_gets_messages_anyway(trial: Trial) -> None:
    """Neither to peers in the mesh nor to those that speak floodsub only."""
    node = await trial.start(subscribed=True)
    (member,) = await members(trial, node, 1)
    (outsider,) = await outsiders(trial, node, 1)
    floodsub = await floodsub_peer(trial, node)
    author = await trial.peer(node)
    await publish(author, signed(author, node.topic, 1))
    await hears(trial, outsider, "IHAVE to who is outside the mesh", offered_to)
    await trial.heartbeats(1, node)
    for w, what in ((member, "a peer in the mesh"), (floodsub, "a floodsub peer")):
        await hears(trial, w, f"the message, forwarded to {what}", data_to)
        trial.equal(f"ids offered to {what}", len(offered_to(w)), 0)


@case("GOS-03b", fault="bad_scores_take_part_in_gossip")
async def gossip_goes_to_nobody_below_the_gossip_threshold(trial: Trial) -> None:
    """The threshold is -10 here."""
    node = await trial.start(subscribed=True, params=FULL_WITH_TWO, score=NO_TOPIC_SCORES)
    below, at = await gossiped_to(trial, node, 2)
    await rate(trial, node, below, -10.5)
    await rate(trial, node, at, -10)
    author = await trial.peer(node)
    await publish(author, signed(author, node.topic, 1))
    await hears(trial, at, "IHAVE to a peer at the threshold", offered_to)
    await trial.heartbeats(1, node)
    trial.equal("ids offered to a peer below the threshold", len(offered_to(below)), 0)


@case("GOS-04", fault="the_fanout_is_not_gossiped_about")
async def messages_of_a_fanout_are_gossiped_about_too(trial: Trial) -> None:
    node = await trial.start(params=SMALL | {"D": 2})
    peers = []
    for _ in range(3):
        w = await trial.peer(node)
        with trial.expecting("W in the topic it subscribed to"):
            await join(w, node.process, node.topic)
        peers.append(w)
    await node.publish(b"by fanout")
    for w in peers:
        await hears(trial, w, "the message, or IHAVE for it", lambda w: data_to(w) or offered_to(w))
    trial.equal("peers that got the message itself", sum(bool(data_to(w)) for w in peers), 2)


@case("GOS-05", fault="an_ihave_names_everything")
async def an_ihave_has_at_most_so_many_ids(trial: Trial) -> None:
    """`maxIHaveLength` (10 here) of 30. Each peer is told of its own choice, so that together
    they learn of more."""
    params = {"maxIHaveLength": 10, "historyGossip": 8, "historyLength": 9}
    node = await trial.start(subscribed=True, params=params)
    peers = await outsiders(trial, node, 2)
    author = await trial.peer(node)
    await publish(author, *(signed(author, node.topic, number) for number in range(1, 31)))
    with trial.expecting("30 messages, delivered"):
        await node.wait_answer("stats", lambda got: got["received"] >= 30)
    seen = [len(_ihaves(w)) for w in peers]  # while there were fewer, both were told of all
    chosen: list[set[bytes]] = []
    for w, before in zip(peers, seen, strict=True):
        await hears(
            trial,
            w,
            "IHAVE of 10 ids",
            lambda w, before=before: any(  # type: ignore[misc]
                len(ihave) >= 10 for ihave in _ihaves(w)[before:]
            ),
        )
        longest = max(len(ihave) for ihave in _ihaves(w))
        trial.equal("ids in the longest IHAVE", longest, 10)
        chosen.append(set(next(each for each in _ihaves(w)[before:] if len(each) == 10)))
    first, second = chosen
    trial.check(first != second, "different ids for different peers", "the same ids")


def _ihaves(w: ScriptedPeer) -> list[list[bytes]]:
    """The ids of each RPC's IHAVEs."""
    controls = received_control(w)
    return [[id for ihave in control.ihave for id in ihave.message_ids] for control in controls]


@case("CACHE-07", fault="duplicates_are_forwarded", address=True)
async def a_message_seen_before_is_not_forwarded_again(trial: Trial) -> None:
    """Whoever sends it, and whether at the same time or later."""
    node = await trial.start(subscribed=True)
    w, author, *others = [await trial.peer(node) for _ in range(4)]
    await subscribe(w, node.topic)
    await send_control(w, Graft(node.topic))
    await settled(trial, node, w)
    message = signed(author, node.topic, 1)
    for sender in (author, *others):
        await publish(sender, message)
    await hears(trial, w, "the message, forwarded", data_to)
    await publish(others[0], message)
    for sender in (author, *others):
        await settled(trial, node, sender)
    await publish(author, signed(author, node.topic, 2))
    await hears(trial, w, "the next message, forwarded", lambda w: b"2" in data_to(w))
    trial.equal("messages forwarded", data_to(w), [b"1", b"2"])


@case("CACHE-07b", fault="duplicates_are_forwarded")
async def a_message_seen_before_is_not_delivered_again(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    author, *others = [await trial.peer(node) for _ in range(3)]
    message = signed(author, node.topic, 1)
    for sender in (author, *others, author):
        await publish(sender, message)
    for sender in (author, *others):
        await settled(trial, node, sender)
    await publish(author, signed(author, node.topic, 2))
    with trial.expecting("the next message, delivered"):
        await node.wait_answer("stats", lambda got: got["received"] >= 2)
        for data in (b"1", b"2"):
            await node.delivered(data)
    trial.equal("deliveries", (await node.command("stats"))["received"], 2)
