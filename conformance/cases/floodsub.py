"""Peers that speak floodsub only, and a target that does (FS)."""

from __future__ import annotations

import functools

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.relay import Relay, open_relay
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_gossip import join, join_mesh, received, received_control
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Control, Graft, IHave, IWant, Message, Rpc, SubOpts

FLOODSUB = "/floodsub/1.0.0"


async def open_floodsub(trial: Trial, node: Node) -> ScriptedPeer:
    """A peer that speaks nothing but floodsub. CannotTry where the target does not."""
    asker = await trial.upgrade(node)
    with trial.expecting("an identify message, then FIN"):
        spoken = (await asker.ask_identify()).protocols
    if FLOODSUB not in spoken:
        raise CannotTry(f"the target does not speak {FLOODSUB}")
    return await trial.peer(node, protocols=[FLOODSUB])


async def floodsub_peer(trial: Trial, node: Node) -> ScriptedPeer:
    """In the topic, and speaks nothing but floodsub."""
    w = await open_floodsub(trial, node)
    await w.send_rpc(Rpc(subscriptions=[SubOpts(node.topic)]))
    return w


SUBSCRIBED = "a floodsub peer that subscribed"


@case("FS-01", fault="floodsub_peers_get_nothing", address=True)
async def a_floodsub_peer_gets_each_forwarded_message_once(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    w = await floodsub_peer(trial, node)
    await relay.reaches(w, SUBSCRIBED)
    messages = [await relay.forwards(relay.message()) for _ in range(5)]
    await trial.heartbeats(1, node)
    trial.equal("copies", [len(relay.copies(each, w)) for each in messages], [1] * 5)


@case("FS-01b", fault="floodsub_peers_get_nothing")
async def a_floodsub_peer_gets_each_published_message_once(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await open_floodsub(trial, node)
    await join(w, node.process, node.topic)
    texts = [trial.rng.randbytes(24) for _ in range(5)]
    for text in texts:
        await node.publish(text)

    def got() -> list[bytes | None]:
        return [each.data for rpc in received(w) for each in rpc.publish]

    with trial.expecting("the published messages, with a floodsub peer"):
        await w.until(lambda: set(texts) <= set(got()), "message", 5)
    await trial.heartbeats(1, node)
    trial.equal("copies", [got().count(text) for text in texts], [1] * 5)


@case("FS-02", fault="floodsub_peers_are_grafted", address=True)
async def a_floodsub_peer_gets_no_control_messages(trial: Trial) -> None:
    """No GRAFT, PRUNE, IHAVE, IWANT or IDONTWANT, however empty the mesh."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    w = await floodsub_peer(trial, node)
    await relay.reaches(w, SUBSCRIBED)
    for _ in range(4):
        await relay.forwards(relay.message(trial.rng.randbytes(2000)))
        await trial.heartbeats(1, node)
    got = [each for each in received_control(w) if each != Control()]
    trial.check(not got, "no control message at a floodsub peer", got)


@case("FS-03", fault="floodsub_peers_are_offered")
async def a_floodsub_peer_is_not_offered_in_peer_exchange(trial: Trial) -> None:
    node = await trial.start(subscribed=True, params={"doPX": True})
    w, other = await trial.peer(node), await trial.peer(node)
    flood = await open_floodsub(trial, node)
    await join(flood, node.process, node.topic)
    for each in (w, other):
        await join_mesh(each, node.process, node.topic)
    await node.command("unsubscribe", topic=node.topic)
    with trial.expecting("a PRUNE, since the target left the topic"):
        await w.until(lambda: any(each.prune for each in received_control(w)), "PRUNE", 5)
    prunes = [each for control in received_control(w) for each in control.prune]
    offered = {info.peer_id for prune in prunes for info in prune.peers}
    trial.check(bytes(flood.peer_id) not in offered, "no floodsub peer offered", "one is")
    trial.observe(f"{len(offered)} of 1 other mesh peers offered when leaving a topic")


@case("FS-04", fault="floodsub_sends_back")
async def as_floodsub_router_it_forwards_to_all_but_sender_and_author(trial: Trial) -> None:
    relay, third = await _floodsub_node(trial)
    message = relay.message(key=third.key)  # sent by the author's neighbour, so to speak
    await relay.forwards(message)
    after = await relay.forwards(relay.message())
    with trial.expecting("the message of another author, with all others in the topic"):
        await relay.arrives(after, third)
    await trial.heartbeats(1, relay.node)
    sent = {"reader": relay.reader, "sender": relay.author, "author": third}
    copies = {name: len(relay.copies(message, w)) for name, w in sent.items()}
    trial.equal("copies", copies, {"reader": 1, "sender": 0, "author": 0})


async def _floodsub_node(trial: Trial) -> tuple[Relay, ScriptedPeer]:
    """The target as a floodsub router, with three in the topic: sender, reader, and a third."""
    node = await trial.start(subscribed=True, protocol="floodsub")
    open_flood = functools.partial(trial.peer, node, protocols=[FLOODSUB])
    author, reader, third = await open_flood(), await open_flood(), await open_flood()
    for w in (author, third):
        await w.send_rpc(Rpc(subscriptions=[SubOpts(node.topic)]))
    relay = await open_relay(trial, node, author=author, reader=reader)
    await relay.reaches(third, SUBSCRIBED)
    return relay, third


@case("FS-05", fault="copies_are_forwarded_too")
async def as_floodsub_router_it_forwards_a_message_once(trial: Trial) -> None:
    """Whoever else sends it, and never back to its sender."""
    relay, third = await _floodsub_node(trial)
    message = await relay.forwards(relay.message())
    await third.send_rpc(Rpc(publish=[message]))
    await relay.author.send_rpc(Rpc(publish=[message]))
    await relay.forwards(relay.message())
    await trial.heartbeats(1, relay.node)
    trial.equal("copies at the reader", len(relay.copies(message)), 1)
    trial.equal("copies at the sender", len(relay.copies(message, relay.author)), 0)


@case("FS-06", fault="floodsub_knows_control")
async def as_floodsub_router_it_ignores_control_messages(trial: Trial) -> None:
    relay, third = await _floodsub_node(trial)
    message = await relay.forwards(relay.message())
    message_id = (message.from_peer or b"") + (message.seqno or b"")
    topic = relay.topic
    control = Control(
        ihave=[IHave(topic, [b"something"])], iwant=[IWant([message_id])], graft=[Graft(topic)]
    )
    with trial.expecting("the message, with all others in the topic"):
        await relay.arrives(message, third)
    await third.send_rpc(Rpc(control=control))
    await _hears(relay, third)
    await trial.heartbeats(1, relay.node)
    trial.equal("answers to IWANT", len(relay.copies(message, third)) - 1, 0)
    got = [each for each in received_control(third) if each != Control()]
    trial.check(not got, "no control message from a floodsub router", got)


async def _hears(relay: Relay, w: ScriptedPeer) -> Message:
    """What W sends is forwarded: its stream has been read up to there."""
    message = relay.message(key=w.key)
    with relay.trial.expecting("a message on the same stream forwarded"):
        await w.send_rpc(Rpc(publish=[message]))
        return await relay.arrives(message)


@case("FS-07", fault="what_floodsub_peers_send_is_ignored", address=True)
async def messages_pass_between_floodsub_and_mesh_peers(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    flood = await floodsub_peer(trial, node)
    to_mesh = await open_relay(trial, node, author=flood)
    to_flood = await open_relay(trial, node, reader=to_mesh.reader)
    await to_flood.reaches(flood, SUBSCRIBED)
    await to_mesh.forwards(to_mesh.message(), "a floodsub peer's message, with a mesh peer")
    message = await to_flood.forwards(to_flood.message())
    with trial.expecting("a mesh peer's message, with a floodsub peer"):
        await to_flood.arrives(message, flood)
