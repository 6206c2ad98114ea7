"""Announcing subscriptions, and taking note of others' (SUB)."""

from __future__ import annotations

import anyio

from gossipsub.conformance.cases.message_signing import SCORE
from gossipsub.conformance.cases.pubsub_streams import (
    announced,
    out_of,
    read_run,
    wait_announced,
)
from gossipsub.conformance.driver import Event, PeerTimeout
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.relay import open_relay, take_part
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_gossip import join, join_mesh, received
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.protobuf import encode_bytes_field
from gossipsub.wire.rpc import Control, Graft, Rpc, SubOpts

TOPICS = ("a", "b", "c")


async def knows_topics(trial: Trial, node: Node, w: ScriptedPeer, *topics: str) -> None:
    """Deviation unless the target has W in exactly these of a, b and c."""
    name = str(w.peer_id)

    def is_right(got: Event) -> bool:
        return (name in got["peers"]) is (topic in topics)

    for topic in TOPICS:
        with trial.expecting(f"W {'' if topic in topics else 'not '}among the peers of {topic}"):
            await node.wait_answer("topic_peers", is_right, topic=topic, timeout=5)


@case("SUB-01", fault="the_hello_comes_in_pieces")
async def the_first_rpc_holds_all_subscriptions(trial: Trial) -> None:
    """One that only announces extensions (version 1.3) may come before it."""
    node = await trial.start()
    for topic in TOPICS:
        await node.command("subscribe", topic=topic)
    w = await trial.peer(node)
    with trial.expecting("an RPC with subscriptions on the new stream"):
        hello = await w.receive_rpc_with(lambda rpc: rpc.subscriptions)
    told = sorted(option.topic for option in hello.subscriptions if option.subscribe)
    trial.equal("subscriptions in the first RPC", told, list(TOPICS))


@case("SUB-01b", fault="the_hello_names_what_is_not_joined")
async def without_subscriptions_the_first_rpc_names_no_topic(trial: Trial) -> None:
    """Usually nothing is sent at all; version 1.3 may have something else to say."""
    node = await trial.start()
    w = await trial.peer(node)
    await join(w, node.process, "barrier")
    await trial.heartbeats(1, node)
    told = [option.topic for rpc in received(w) for option in rpc.subscriptions]
    trial.equal("topics announced", told, [])


@case("SUB-02", fault="subscriptions_are_announced_in_the_topic_alone")
async def every_peer_hears_of_each_subscription_and_its_end(trial: Trial) -> None:
    """Whether or not it is in the topic."""
    node = await trial.start()
    inside, outside = await trial.peer(node), await trial.peer(node)
    await join(inside, node.process, "d")
    await node.command("subscribe", topic="d")
    with trial.expecting("the subscription, with a peer in the topic and one outside"):
        for w in (inside, outside):
            await wait_announced(w, "d")
    await node.command("unsubscribe", topic="d")
    with trial.expecting("its end, with both"):
        for w in (inside, outside):
            await wait_announced(w, "d", 2)
    for w in (inside, outside):
        trial.equal("what was announced of d", announced(w, "d"), [True, False])


@case("SUB-04", fault="unsubscribing_is_not_heard")
async def a_topics_peers_are_those_that_subscribed(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.peer(node)
    steps: list[tuple[list[SubOpts], tuple[str, ...]]] = [
        ([SubOpts("a"), SubOpts("b")], ("a", "b")),
        ([SubOpts("b", False), SubOpts("c")], ("a", "c")),
        ([SubOpts("a", False), SubOpts("a"), SubOpts("c", False)], ("a",)),
        ([SubOpts("a", False), SubOpts("b", False)], ()),
    ]
    for options, topics in steps:
        await w.send_rpc(Rpc(subscriptions=options))
        await knows_topics(trial, node, w, *topics)


@case("SUB-05", fault="an_option_without_subscribe_subscribes")
async def an_option_without_subscribe_means_unsubscribe(trial: Trial) -> None:
    """The absent field reads as false in proto2."""
    node = await trial.start()
    w = await trial.peer(node)
    await w.send_rpc(Rpc(subscriptions=[SubOpts("a"), SubOpts("b")]))
    await knows_topics(trial, node, w, "a", "b")
    await out_of(w).write_frame(encode_bytes_field(1, encode_bytes_field(2, b"a")))
    await knows_topics(trial, node, w, "b")


@case("SUB-07", fault="every_subscription_is_an_event")
async def joining_and_leaving_a_topic_are_told_once(trial: Trial) -> None:
    """A repeated subscription is no second event."""
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    name = str(w.peer_id)
    await join(w, node.process, node.topic)
    try:
        await node.process.wait_event(
            "topic_peer_join", timeout=3, where=lambda event: event["peer"] == name
        )
    except PeerTimeout as error:
        raise CannotTry("the target tells nothing of peers that join a topic") from error
    await w.send_rpc(Rpc(subscriptions=[SubOpts(node.topic)]))
    await w.send_rpc(Rpc(subscriptions=[SubOpts(node.topic, False)]))
    with trial.expecting("an event when it left"):
        await node.process.wait_event(
            "topic_peer_leave", timeout=5, where=lambda event: event["peer"] == name
        )
    again = [event for event in node.process.events("topic_peer_join") if event["peer"] == name]
    trial.equal("events of a repeated subscription", len(again), 0)


@case("SUB-08", fault="announcements_are_lost_behind_messages")
async def an_announcement_that_finds_no_room_comes_later(trial: Trial) -> None:
    """W reads nothing while 4 MB are published and a topic is subscribed to; then it reads."""
    node = await trial.start(subscribed=True, params={"outboundQueue": 32})
    w, other = await trial.peer(node), await trial.peer(node)
    for each in (w, other):
        await join_mesh(each, node.process, node.topic)
    w.stop_reading()
    with trial.expecting("the messages, with a peer that reads"):
        await read_run(node, other, count=80, timeout=20)
    await node.command("subscribe", topic="late")
    with trial.expecting("the subscription, with the peer that reads"):
        await wait_announced(other, "late")
    w.resume_reading()
    with trial.expecting("the subscription, with W when it reads again"):
        await w.until(lambda: bool(announced(w, "late")), "subscription", 15)


@case("SUB-09", fault="graylisted_peers_are_heard", also=("THR-02",))
async def of_a_graylisted_peer_messages_and_grafts_are_ignored(trial: Trial) -> None:
    """Its subscriptions may be noted (go, rust) or not (js). Some judge by a score that is up to
    a second old."""
    score = SCORE | {"thresholds": {"gossip": -10, "publish": -20, "graylist": -30}}
    node = await trial.start(subscribed=True, score=score)
    relay = await open_relay(trial, node)
    name = str(relay.author.peer_id)
    await node.command("app_score", peer=name, score=-100)
    await node.wait_answer("scores", lambda got: got["scores"][name]["score"] < -30)
    await anyio.sleep(1.2)
    message = relay.message()
    await relay.author.send_rpc(
        Rpc(
            subscriptions=[SubOpts("a"), SubOpts(node.topic)],
            publish=[message],
            control=Control(graft=[Graft(node.topic)]),
        )
    )
    other = await trial.peer(node)
    with trial.expecting("a message of another peer forwarded"):
        good = relay.message(key=other.key)
        await other.send_rpc(Rpc(publish=[good]))
        await relay.arrives(good)
    await trial.heartbeats(1, node)
    relay.none_arrived([message], "the graylisted peer's message dropped")
    mesh = (await node.command("mesh", topic=node.topic))["peers"]
    trial.check(name not in mesh, "the graylisted peer's GRAFT ignored", "in the mesh")
    noted = name in (await node.command("topic_peers", topic="a"))["peers"]
    trial.observe(f"subscriptions of a graylisted peer are {'' if noted else 'not '}noted")


@case("SUB-12", fault="who_left_the_topic_stays_in_the_mesh", address=True)
async def a_mesh_peer_that_unsubscribes_gets_no_more_messages(trial: Trial) -> None:
    """Without PRUNE. rust and nim take it out of the mesh; go and js only out of the topic's
    peers, since it usually sends PRUNE as well."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    leaver = await trial.peer(node)
    await take_part(leaver, node.topic)
    await relay.reaches(leaver, "a peer that subscribed and sent GRAFT")
    await leaver.send_rpc(Rpc(subscriptions=[SubOpts(node.topic, False)]))
    await trial.heartbeats(1, node)
    message = await relay.forwards(relay.message())
    await trial.heartbeats(0.5, node)
    trial.equal("copies to a peer that left", len(relay.copies(message, leaver)), 0)


@case("QUE-04", fault="grafts_overtake_subscriptions")
async def the_subscription_comes_before_the_graft_of_its_topic(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.peer(node)
    await join(w, node.process, "d")
    await node.command("subscribe", topic="d")
    with trial.expecting("a subscription to d, and GRAFT"):
        await w.until(lambda: "graft d" in _sequence(w, "d"), "GRAFT", 10)
    trial.equal("what came first", _sequence(w, "d")[0], "subscribe d")


def _sequence(w: ScriptedPeer, topic: str) -> list[str]:
    """Subscriptions and GRAFTs of that topic in the order in which they came; in one RPC
    subscriptions count first."""
    order: list[str] = []
    for rpc in received(w):
        order += ["subscribe d" for each in rpc.subscriptions if each.topic == topic]
        grafts = rpc.control.graft if rpc.control is not None else ()
        order += ["graft d" for each in grafts if each.topic == topic]
    return order
